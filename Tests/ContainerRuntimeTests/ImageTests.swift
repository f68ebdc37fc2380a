import ContainerRuntime
import Glibc
import KubernetesJSON
import Logging
import NIOPosix
import Testing

@Suite struct ImageReferenceTests {
    @Test(arguments: [
        ("busybox", "docker.io/library/busybox:latest"),
        ("web:1.0", "docker.io/library/web:1.0"),
        ("user/web:1.0", "docker.io/user/web:1.0"),
        ("localhost/web", "localhost/web:latest"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        ("index.docker.io/library/x:1", "docker.io/library/x:1"),
    ])
    func shortNamesAreCompleted(text: String, expected: String) throws {
        #expect(try ImageReference(parsing: text).description == expected)
    }

    @Test func digestsStandWithoutATag() throws {
        let digest = "sha256:" + String(repeating: "ab", count: 32)
        #expect(try ImageReference(parsing: "web@\(digest)").description == "docker.io/library/web@\(digest)")
    }

    @Test(arguments: [
        "", "Web", "a//b", "a:", "a:b:c d", "a@sha256:12", "-a", "a/",
        "web:" + String(repeating: "x", count: 129),
    ])
    func malformedOnesAreRefused(text: String) {
        #expect(throws: ContainerRuntimeError.self) { try ImageReference(parsing: text) }
    }
}

@Suite struct TarTests {
    private static func parse(_ bytes: [UInt8]) throws(ContainerRuntimeError) -> TarArchive {
        try TarArchive(size: bytes.count) { (offset, count) throws(ContainerRuntimeError) in
            Array(bytes.dropFirst(offset).prefix(count))
        }
    }

    @Test func whatIsWrittenIsRead() throws {
        let tar = TarArchive.make([
            ("a", 0o644, [1, 2, 3]), ("dir/b", 0o755, [UInt8](repeating: 4, count: 1000)),
        ])
        let archive = try Self.parse(tar)
        let b = try #require(archive.file("./dir/b"))
        #expect(Array(tar[b.offset..<(b.offset + b.size)]) == [UInt8](repeating: 4, count: 1000))
        #expect(archive.file("a")?.size == 3)
        #expect(archive.file("c") == nil)
    }

    @Test func mutatedArchivesNeverCrash() {
        let tar = TarArchive.make([
            ("index.json", 0o644, Array("{}".utf8)), ("blobs/sha256/x", 0o644, [1, 2, 3]),
        ])
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<3000 {
            var bytes = tar
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(
                    in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) {
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator))
            }
            guard let archive = try? Self.parse(bytes) else { continue }
            for member in archive.members.values { #expect(member.offset + member.size <= bytes.count) }
        }
    }
}

@Suite struct PauseImageTests {
    @Test(arguments: PauseProgram.Architecture.allCases)
    func theProgramIsAnELFFile(architecture: PauseProgram.Architecture) {
        let file = PauseProgram.executable(architecture)
        #expect(Array(file.prefix(4)) == [0x7f, 0x45, 0x4c, 0x46])
        #expect(file[18] == (architecture == .amd64 ? 62 : 183))
        #expect(file.count < 400)
    }

    /// Runs it: it must live until SIGTERM comes and then exit with status 0.
    @Test func theProgramEndsOnSIGTERM() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/pause"
        try Files.write(PauseProgram.executable(.current), to: path, mode: 0o755)
        for signal in [SIGTERM, SIGINT] {
            let process = try ChildProcess.start(path, [], environment: [:])
            // Asleep with SIGCHLD ignored means that both signals are blocked and waited for.
            try await until {
                guard let status = Files.text("/proc/\(process.pid)/status"), status.contains("State:\tS"),
                    let line = status.split(separator: "\n").first(where: { $0.hasPrefix("SigIgn:\t") }),
                    let ignored = UInt64(line.dropFirst("SigIgn:\t".count), radix: 16)
                else { return false }
                return ignored & 1 << 16 != 0
            }
            #expect(!process.hasEnded)
            process.signal(signal)
            #expect(try await process.waitForEnd() == 0)
        }
    }

    @Test func theArchiveIsAnImage() throws {
        let folder = try TemporaryFolder()
        let images = try ImageFolder(path: folder.path, logger: Logger(label: "test"))
        try images.addPauseImage()
        #expect(images.images().map(\.reference) == [PauseImage.reference])
        #expect(PauseImage.archive() == PauseImage.archive())
    }
}

@Suite struct ImageFolderTests {
    private static let web: [(name: String, mode: Int, content: [UInt8])] = {
        let layer = TarArchive.make([("hello", 0o644, Array("hi".utf8))])
        let config: JSONValue = ["architecture": "amd64", "os": "linux"]
        let manifest: JSONValue = [
            ["Config": "config.json", "RepoTags": ["web:1.0"], "Layers": ["l/layer.tar"]]
        ]
        return [
            ("manifest.json", 0o644, manifest.json()), ("config.json", 0o644, config.json()),
            ("l/layer.tar", 0o644, layer),
        ]
    }()

    @Test func dockerArchivesAreLoaded() throws {
        let folder = try TemporaryFolder()
        let file = "\(folder.path)/in"
        try Files.write(TarArchive.make(Self.web), to: file)
        let images = try ImageFolder(path: "\(folder.path)/images", logger: Logger(label: "test"))
        #expect(try images.load(file) == ["docker.io/library/web:1.0"])
        let digest = try #require(
            images.digest(registry: "docker.io", repository: "library/web", reference: "1.0"))
        let blob = try #require(images.blob(digest))
        #expect(blob.mediaType == "application/vnd.docker.distribution.manifest.v2+json")
        #expect(images.digest(registry: "docker.io", repository: "library/web", reference: "2.0") == nil)
        #expect(images.digest(registry: "docker.io", repository: "library/web", reference: digest) == digest)
    }

    @Test func incompleteArchivesAreRefused() throws {
        let folder = try TemporaryFolder()
        let images = try ImageFolder(path: "\(folder.path)/images", logger: Logger(label: "test"))
        for missing in 0..<Self.web.count {
            var files = Self.web
            files.remove(at: missing)
            let file = "\(folder.path)/in"
            try Files.write(TarArchive.make(files), to: file)
            #expect(throws: ContainerRuntimeError.self) { try images.load(file) }
        }
        try Files.write(Array("no archive".utf8), to: "\(folder.path)/in")
        #expect(throws: ContainerRuntimeError.self) { try images.load("\(folder.path)/in") }
        #expect(images.images().isEmpty)
    }

    @Test func registryPathsAreUnderstood() {
        #expect(RegistryRequest(uri: "/v2/") == .ping)
        #expect(
            RegistryRequest(uri: "/v2/library/web/manifests/1.0?ns=docker.io")
                == .manifest(registry: "docker.io", repository: "library/web", reference: "1.0"))
        #expect(
            RegistryRequest(uri: "/v2/a/manifests/sha256%3A12?ns=localhost%3A5000")
                == .manifest(registry: "localhost:5000", repository: "a", reference: "sha256:12"))
        #expect(RegistryRequest(uri: "/v2/a/blobs/sha256:12") == .blob(digest: "sha256:12"))
        for uri in ["", "/", "/v1/", "/v2/a", "/v2/a/tags/list", "?ns=x"] {
            #expect(RegistryRequest(uri: uri) == nil)
        }
    }
}

@Suite struct ContainerdConfigurationTests {
    @Test func pathsAreQuotedAndPrivate() {
        let configuration = ContainerdConfiguration(
            stateDirectory: "/s\"t", runDirectory: "/r", logFile: "/l", cniConfigurationDirectory: "/c",
            disablesAppArmor: true)
        let text = configuration.toml(ociRuntime: "/usr/sbin/runc")
        #expect(text.contains(#"root = "/s\"t""#))
        #expect(text.contains(#"address = "/r/containerd.sock""#))
        #expect(text.contains(#"BinaryName = "/usr/sbin/runc""#))
        #expect(text.contains("disable_apparmor = true"))
        #expect(!text.contains("/run/containerd"))
        #expect(configuration.registryHosts(port: 5000).contains(#"[host."http://127.0.0.1:5000"]"#))
    }
}
