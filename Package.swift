// swift-tools-version: 6.2
import PackageDescription

// One set of flags for every target: a changed flag rebuilds all dependencies.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
]

/// A room of the house: a library target and what it may import (see docs/architecture.md).
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// The tests of one room.
func tests(
    _ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = [],
    resources: [Resource] = []
) -> Target {
    .testTarget(
        name: name + "Tests",
        dependencies: [.byName(name: name)] + dependencies,
        exclude: exclude,
        resources: resources,
        swiftSettings: strict)
}

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK = Target.Dependency.product(name: "NIOHPACK", package: "swift-nio-http2")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let sqlite = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let ordered = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")

// A release carries its own Swift runtime and runs where no Swift is installed. Foundation comes in with
// GRDB and Yams; linked statically, its parts have to be named.
let foundation = [
    "FoundationInternationalization", "FoundationEssentials", "CoreFoundation", "_FoundationICU",
    "_FoundationCShims", "_FoundationCollections",
].map { "-l\($0)" }

let package = Package(
    name: "swiftlet",
    products: [
        .executable(name: "swiftlet", targets: ["swiftlet"]),
        .executable(name: "web", targets: ["web"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // The program.
        .executableTarget(
            name: "swiftlet",
            dependencies: [
                "Cluster", "ContainerRuntime", "CLinux", arguments, logging,
            ],
            swiftSettings: strict,
            linkerSettings: [
                .unsafeFlags(
                    ["-static-stdlib", "-Xlinker", "--strip-debug"] + foundation,
                    .when(configuration: .release))
            ]),

        // Puts the rooms together: what `swiftlet up` runs.
        module(
            "Cluster",
            [
                "APIServer", "ClusterDNS", "ContainerRuntime", "Controllers", "HTTPService",
                "KubernetesAPI", "KubernetesClient", "KubernetesJSON", "NodeAgent", "ObjectStore", "PKI",
                "PodNetwork", "Scheduler", "ServiceProxy", "Netlink", "Telemetry", "CLinux", lifecycle,
                logging, nioPosix, yams,
            ]),

        // What is counted and measured.
        module("Telemetry"),

        // The API as values.
        module("KubernetesJSON"),
        module("SchemaLanguage"),
        module("KubernetesAPI", ["KubernetesJSON", "SchemaLanguage"]),
        .executableTarget(
            name: "schema-generator", dependencies: ["SchemaLanguage"], swiftSettings: strict),

        // The server.
        module("ObjectStore", ["KubernetesJSON", "Telemetry", sqlite, deque, logging]),
        module("PKI", ["KubernetesJSON", x509, asn1, crypto]),
        module(
            "HTTPService",
            ["CZlib", nioCore, nioPosix, nioHTTP1, nioHTTP2, nioHPACK, nioTLS, nioSSL, logging]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        module(
            "APIServer",
            [
                "KubernetesAPI", "KubernetesJSON", "ObjectStore", "HTTPService", "PKI", "Telemetry",
                crypto, yams, logging, lifecycle,
            ]),
        module(
            "KubernetesClient",
            ["KubernetesAPI", "KubernetesJSON", "HTTPService", "Telemetry", deque, heap, logging, yams]),

        // Those who act on what the server holds.
        module("Controllers", ["KubernetesAPI", "KubernetesClient", "Telemetry", logging, lifecycle]),
        module("Scheduler", ["KubernetesAPI", "KubernetesClient", logging, lifecycle]),
        module(
            "NodeAgent",
            [
                "KubernetesAPI", "KubernetesClient", "ContainerRuntime", "PodNetwork", "HTTPService",
                "CLinux", "KubernetesJSON", nioCore, nioPosix, logging, lifecycle,
            ]),
        module(
            "ContainerRuntime",
            [
                "CLinux", "KubernetesJSON", protobuf, nioCore, nioPosix, nioHTTP1, nioHTTP2, nioHPACK,
                crypto, logging, lifecycle,
            ]),
        module("PodNetwork", ["Netlink", "KubernetesJSON", logging]),
        module(
            "ServiceProxy",
            [
                "KubernetesAPI", "KubernetesClient", "KubernetesJSON", "HTTPService", "Netlink", "Telemetry",
                logging, lifecycle,
            ]),
        module(
            "ClusterDNS",
            [
                "KubernetesAPI", "KubernetesClient", "KubernetesJSON", "Telemetry", "CLinux", nioCore,
                nioPosix, logging, lifecycle,
            ]),
        module("Netlink", ["CLinux"]),
        .target(name: "CLinux"),

        // The sample application.
        .executableTarget(
            name: "web", dependencies: [nioCore, nioPosix, nioHTTP1],
            path: "Examples/web/Sources", swiftSettings: strict,
            // One file that needs no library, so that its image holds nothing else. (lld, because other
            // linkers warn of each function in libc that a static program had better not call.)
            linkerSettings: [
                .unsafeFlags([
                    "-static-executable", "-use-ld=lld", "-Xlinker", "--gc-sections",
                    "-Xlinker", "--icf=all",
                ])
            ]),

        // Benchmarks: make bench-NAME.
        .target(
            name: "BenchmarkSupport", dependencies: ["CLinux"], path: "Benchmarks/Support",
            swiftSettings: strict),
        .executableTarget(
            name: "bench-start", dependencies: ["BenchmarkSupport", "KubernetesAPI", "KubernetesClient"],
            path: "Benchmarks/Start", swiftSettings: strict),
        .executableTarget(
            name: "bench-services",
            dependencies: [
                "BenchmarkSupport", "KubernetesAPI", "KubernetesClient", "KubernetesJSON", "Netlink",
                "ServiceProxy", logging,
            ],
            path: "Benchmarks/Services", swiftSettings: strict),
        .target(
            name: "APILoad",
            dependencies: [
                "BenchmarkSupport", "CLinux", "HTTPService", "KubernetesAPI", "KubernetesClient",
            ], path: "Benchmarks/Load", swiftSettings: strict),
        .executableTarget(
            name: "bench-api",
            dependencies: ["APILoad", "BenchmarkSupport", "HTTPService", "KubernetesClient"],
            path: "Benchmarks/API", swiftSettings: strict),
        .executableTarget(
            name: "bench-dns",
            dependencies: [
                "APILoad", "BenchmarkSupport", "CLinux", "ClusterDNS", "HTTPService", "KubernetesClient",
            ],
            path: "Benchmarks/DNS", swiftSettings: strict),

        // An open-loop client, which runs in the network namespace that it is started in.
        .executableTarget(
            name: "rollout-load", dependencies: ["CLinux"], path: "Benchmarks/RolloutLoad",
            swiftSettings: strict),
        .executableTarget(
            name: "bench-rollout",
            dependencies: ["BenchmarkSupport", "CLinux", "KubernetesAPI", "KubernetesClient"],
            path: "Benchmarks/Rollout", exclude: ["rollout.yaml"], swiftSettings: strict),

        // Tests: one target a room.
        .target(
            name: "HostileInput", dependencies: ["KubernetesJSON"], path: "Tests/HostileInput",
            swiftSettings: strict),
        .target(
            name: "ScenarioFiles", dependencies: ["KubernetesJSON", yams], path: "Tests/ScenarioFiles",
            swiftSettings: strict),
        tests("Telemetry"),
        tests("KubernetesJSON", ["HostileInput"]),
        tests("SchemaLanguage"),
        tests(
            "KubernetesAPI",
            ["HostileInput", "KubernetesJSON", "ScenarioFiles", "SchemaLanguage", yams]),
        tests("ObjectStore", ["KubernetesJSON", sqlite, logging]),
        tests("PKI", ["KubernetesJSON", x509]),
        tests(
            "HTTPService", ["HostileInput", "PKI", nioCore, nioHTTP2, nioSSL, nioPosix, nioHTTP1, logging]),
        tests(
            "APIServer",
            [
                "CZlib", "HostileInput", "KubernetesAPI", "KubernetesJSON", "ObjectStore", "HTTPService",
                "PKI",
                "Telemetry", nioCore, nioPosix,
            ]),
        tests("KubernetesClient", ["KubernetesAPI", "KubernetesJSON", "HTTPService", logging]),
        tests(
            "Controllers",
            ["KubernetesAPI", "KubernetesClient", "KubernetesJSON", "ScenarioFiles", yams]),
        tests("Scheduler", ["KubernetesAPI", "KubernetesClient"]),
        tests(
            "NodeAgent",
            [
                "KubernetesAPI", "KubernetesClient", "KubernetesJSON", "ContainerRuntime", "HTTPService",
                "ScenarioFiles", nioPosix, logging, yams,
            ]),
        tests("ContainerRuntime", ["KubernetesJSON", nioCore, nioPosix]),
        tests("PodNetwork", ["KubernetesJSON", "Netlink", logging]),
        tests(
            "ServiceProxy",
            [
                "CLinux", "HTTPService", "KubernetesAPI", "KubernetesJSON", "KubernetesClient", "Netlink",
                "ScenarioFiles", logging, yams,
            ]),
        tests(
            "ClusterDNS",
            [
                "KubernetesAPI", "KubernetesClient", "KubernetesJSON", "HTTPService", "HostileInput",
                "ScenarioFiles", "Telemetry", nioPosix, logging, yams,
            ], exclude: ["Corpus"]),
        tests("Netlink", ["CLinux"]),
        tests("Cluster", ["Controllers", "KubernetesAPI", "KubernetesJSON", "Netlink", "NodeAgent", yams]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "KubernetesAPI", "KubernetesClient", "KubernetesJSON", "HTTPService", "CLinux", "APILoad",
                "BenchmarkSupport", yams,
            ],
            path: "Tests/EndToEnd", exclude: ["python_client.py", "standalone_proxy.sh", "lagging_proxy.sh"],
            swiftSettings: strict),
    ]
)
