import ArgumentParser
import Cluster

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print which Swiftlet this is.",
        discussion: """
            EXAMPLE
              swiftlet version
            """)

    func run() {
        print("swiftlet \(Version.swiftlet), speaks Kubernetes \(Version.kubernetes)")
    }
}
