import Glibc
import Testing

/// A kubectl under test.
struct Kubectl: Sendable {
    /// What it is called in namespaces and folders: `1-30`, or `path` for the one on the PATH.
    let name: String
    let path: String
    /// The minor version: 30 of 1.30.
    let minor: Int

    /// The one on the PATH, and its siblings `kubectl.1.27` to `kubectl.1.33`.
    static func all() async throws -> [Kubectl] {
        let first = try await expect("command -v kubectl").output.trimmed
        var found = [Kubectl(name: "path", path: first, minor: try await minor(of: first))]
        let folder = try await expect("dirname \"$(readlink -f '\(first)')\"").output.trimmed
        for minor in 27...33 where access("\(folder)/kubectl.1.\(minor)", X_OK) == 0 {
            found.append(Kubectl(name: "1-\(minor)", path: "\(folder)/kubectl.1.\(minor)", minor: minor))
        }
        return found
    }

    private static func variable(_ name: String, default value: String = "") -> String {
        getenv(name).map { String(cString: $0) } ?? value
    }

    private static func minor(of path: String) async throws -> Int {
        let version = try await expect("'\(path)' version --client -o json").output
        let match = try #require(version.firstMatch(of: /"minor": *"(\d+)/), "\(version)")
        return try #require(Int(match.output.1))
    }

    /// Runs a scenario in a namespace, folder and kubeconfig of its own.
    ///
    /// - Returns: what went differently, a text for each step.
    func run(_ scenarioName: String) async throws -> [String] {
        let namespace = "\(scenarioName)-\(name)"
        let scenario = try KubectlScenario(reading: scenarioName, namespace: namespace)
        let folder = try await expect("mktemp -d /tmp/swiftlet-kubectl-XXXXXX").output.trimmed
        // Found by its name: the scenarios type `kubectl`, as people do. What it caches is shared.
        let environment = [
            "PATH": "\(folder)/.bin:\(Self.variable("PATH"))", "NS": namespace,
            "HOME": "/tmp/swiftlet-kubectl-home-\(name)", "KUBECONFIG": "\(folder)/.kubeconfig",
            "TERM": "dumb",
        ]
        try await expect(
            """
            mkdir -p .bin "$HOME_HERE" && cp "$CONFIG" .kubeconfig
            printf '#!/bin/sh\\nexec "%s" "$@"\\n' '\(path)' > .bin/kubectl && chmod 755 .bin/kubectl
            """,
            environment: [
                "HOME_HERE": environment["HOME"] ?? "",
                "CONFIG": Self.variable("KUBECONFIG", default: "\(Self.variable("HOME"))/.kube/config"),
            ], in: folder)
        for file in scenario.files { try TextFile.write(file.content, to: "\(folder)/\(file.name)") }
        try await expect(
            "kubectl create namespace $NS && kubectl config set-context --current --namespace=$NS",
            environment: environment, in: folder)
        var differences: [String] = []
        for step in scenario.steps where step.versions.contains(minor) {
            if let difference = try await run(step, environment, folder) {
                differences.append("\(scenarioName), kubectl \(name): \(difference)")
            }
        }
        // Emptying it goes on while the next scenario begins.
        try await expect("kubectl delete namespace $NS --wait=false", environment: environment, in: folder)
        try await expect("rm -rf '\(folder)'")
        return differences
    }

    private func run(
        _ step: KubectlScenario.Step, _ environment: [String: String], _ folder: String
    ) async throws -> String? {
        let deadline = ContinuousClock.now + step.patience
        try TextFile.write(step.input, to: "\(folder)/.input")
        while true {
            let outcome = try await Shell.run(
                "exec < .input\n\(step.command)", environment: environment, in: folder)
            guard let difference = step.difference(outcome) else { return nil }
            guard ContinuousClock.now < deadline else { return "\(difference)\n\(outcome)" }
        }
    }
}

extension String {
    /// Without space and line ends around it.
    var trimmed: String {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
