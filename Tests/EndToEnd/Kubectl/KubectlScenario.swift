import Glibc
import Yams

/// A file of `Tests/Scenarios/kubectl`; the README there says what it holds.
struct KubectlScenario: Sendable {
    struct Step: Sendable {
        var command: String
        var input: String
        var status: Int32
        /// nil: whatever it prints.
        var output: OutputPattern?
        /// nil: nothing.
        var error: OutputPattern
        /// For how long it may be tried again.
        var patience: Duration
        /// The minor versions of kubectl that it is for.
        var versions: ClosedRange<Int>
    }

    struct Mistake: Error, CustomStringConvertible {
        let description: String
    }

    let name: String
    var files: [(name: String, content: String)] = []
    var steps: [Step] = []

    static let folder = "\(Shell.repository)/Tests/Scenarios/kubectl"

    /// The names of the scenarios there are.
    static let names: [String] = {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let file = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if file.hasSuffix(".yaml") { names.append(String(file.dropLast(5))) }
        }
        return names.sorted()
    }()

    /// Reads a scenario.
    ///
    /// - Parameter namespace: what `$NS` stands for in files, inputs and expectations.
    init(reading name: String, namespace: String) throws {
        self.name = name
        let text = try TextFile.read("\(Self.folder)/\(name).yaml")
        guard let document = try Yams.compose(yaml: text), let mapping = document.mapping else {
            throw Mistake(description: "\(name): expected a mapping with files and steps")
        }
        func filled(_ node: Yams.Node?) -> String? {
            node?.scalar?.string.replacing("$NS", with: namespace)
        }
        for (key, content) in mapping["files"]?.mapping ?? [:] {
            files.append((key.string ?? "", filled(content) ?? ""))
        }
        for (index, node) in (mapping["steps"]?.sequence ?? []).enumerated() {
            guard let step = node.mapping, let command = step["run"]?.string else {
                throw Mistake(description: "\(name): step \(index + 1) has nothing to run")
            }
            let known: Set = ["run", "input", "status", "output", "error", "within", "since", "until"]
            for (key, _) in step where !known.contains(key.string ?? "") {
                throw Mistake(
                    description: "\(name): step \(index + 1) has an unknown key \(key.string ?? "")")
            }
            steps.append(
                Step(
                    command: command, input: filled(step["input"]) ?? "",
                    status: Int32(step["status"]?.int ?? 0),
                    output: filled(step["output"]).map(OutputPattern.init),
                    error: OutputPattern(filled(step["error"]) ?? ""),
                    patience: .seconds(step["within"]?.int ?? 0),
                    versions: (step["since"]?.int ?? 0)...(step["until"]?.int ?? 1000)))
        }
    }
}

extension KubectlScenario.Step {
    /// How an outcome differs from what is expected, or nil.
    func difference(_ outcome: Outcome) -> String? {
        if outcome.status != status { return "status \(outcome.status), expected \(status)" }
        if let output, !output.matches(outcome.output) { return "expected output:\n\(output)" }
        if !error.matches(outcome.error) { return "expected on standard error:\n\(error)" }
        return nil
    }
}

/// Whole files as text.
enum TextFile {
    static func read(_ path: String) throws -> String {
        guard let file = fopen(path, "r") else {
            throw KubectlScenario.Mistake(description: "\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else {
            throw KubectlScenario.Mistake(description: "\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        let bytes = Array(text.utf8)
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else {
            throw KubectlScenario.Mistake(description: "\(path): \(String(cString: strerror(errno)))")
        }
    }
}
