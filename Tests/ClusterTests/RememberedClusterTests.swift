import Cluster
import Glibc
import Testing

@Suite("A cluster is found through its run directory")
final class RememberedClusterTests {
    private let folder: String

    init() throws {
        var template = Array("/tmp/remembered-cluster-XXXXXX".utf8CString)
        folder = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit {
        for name in ["cluster.json", "state"] { remove("\(folder)/\(name)") }
        rmdir(folder)
    }

    @Test("with the folders that it was started with, unless others are named")
    func folders() throws {
        try #require(mkdir("\(folder)/state", 0o755) == 0)
        var started = ClusterConfiguration()
        started.runDirectory = folder
        // Whoever looks at it may do so from another folder.
        started.stateDirectory = "\(folder)/../\(folder.split(separator: "/")[1])/state"
        started.podLogDirectory = folder
        try started.setServiceCIDR("10.97.0.0/16")
        try started.remember()

        let found = try ClusterConfiguration.found(
            runDirectory: folder, stateDirectory: nil, podLogDirectory: nil)
        #expect(found.adminKubeconfig == "\(folder)/state/server/admin.kubeconfig")
        #expect(found.imageDirectory == "\(folder)/state/images")
        #expect(found.podLogDirectory == folder)
        #expect(found.serviceCIDRs == ["10.97.0.0/16"])

        let named = try ClusterConfiguration.found(
            runDirectory: folder, stateDirectory: "/elsewhere", podLogDirectory: "/logs")
        #expect(named.stateDirectory == "/elsewhere" && named.podLogDirectory == "/logs")
        #expect(named.serviceCIDRs == ["10.97.0.0/16"])
    }

    @Test("A relative path is noted as what it meant at the start")
    func relative() throws {
        var started = ClusterConfiguration()
        started.runDirectory = folder
        started.stateDirectory = "."
        try started.remember()
        let found = try ClusterConfiguration.found(
            runDirectory: folder, stateDirectory: nil, podLogDirectory: nil)
        let here = try #require(getcwd(nil, 0))
        defer { free(here) }
        #expect(found.stateDirectory == String(cString: here))
    }

    @Test("Where none ran, the usual ones are meant; what cannot be read is told")
    func nothingNoted() throws {
        let found = try ClusterConfiguration.found(
            runDirectory: folder, stateDirectory: nil, podLogDirectory: nil)
        var usual = ClusterConfiguration()
        usual.runDirectory = folder
        #expect(found == usual)

        let file = try #require(fopen("\(folder)/cluster.json", "w"))
        fputs("{", file)
        fclose(file)
        let error = #expect(throws: ClusterError.self) {
            try ClusterConfiguration.found(runDirectory: folder, stateDirectory: nil, podLogDirectory: nil)
        }
        #expect(error?.code == .badConfiguration)
    }
}
