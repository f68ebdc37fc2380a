import ArgumentParser
import Cluster

struct Image: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Images that containers can be started from without a registry.",
        discussion: """
            EXAMPLE
              swiftlet image load web_1.0.oci.tar
              swiftlet image list
            """,
        subcommands: [Load.self, List.self])

    struct Load: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take an image from an OCI or Docker archive.",
            discussion: """
                The cluster need not run. An image of the same name is replaced.

                EXAMPLE
                  docker save web:1.0 -o web.tar && swiftlet image load web.tar
                  buildah push web:1.0 oci-archive:web.oci.tar:web:1.0 && swiftlet image load web.oci.tar
                """)

        @OptionGroup var cluster: ClusterOptions

        @Argument(help: "The archive's file.")
        var archive: String

        func run() throws {
            for name in try LocalImages(cluster.existing).load(archive) { print("Loaded \(name)") }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the images that were loaded.",
            discussion: """
                EXAMPLE
                  swiftlet image list
                """)

        @OptionGroup var cluster: ClusterOptions

        func run() throws {
            print(try LocalImages(cluster.existing).table())
        }
    }
}
