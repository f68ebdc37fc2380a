import Glibc

// Writes Sources/KubernetesAPI/Generated from Schema, or proves that it is current:
//   swift run schema-generator [--check] Schema Sources/KubernetesAPI/Generated

func fail(_ message: String) -> Never {
    let text = Array("schema-generator: \(message)\n".utf8)
    _ = write(STDERR_FILENO, text, text.count)
    exit(1)
}

var paths = Array(CommandLine.arguments.dropFirst())
let isCheck = paths.first == "--check"
if isCheck { paths.removeFirst() }
guard paths.count == 2 else { fail("usage: schema-generator [--check] SCHEMA-FOLDER GENERATED-FOLDER") }

do {
    let outputs = try generate(from: paths[0])
    let stale = try Set(Files.names(in: paths[1], suffix: ".swift")).subtracting(outputs.keys)
    for (name, text) in outputs.sorted(by: { $0.key < $1.key }) {
        let path = "\(paths[1])/\(name)"
        if (try? Files.read(path)) == text { continue }
        if isCheck { fail("\(path) is not current; run schema-generator without --check") }
        try Files.write(text, to: path)
    }
    for name in stale.sorted() {
        if isCheck { fail("\(paths[1])/\(name) belongs to no file of the schema; remove it") }
        unlink("\(paths[1])/\(name)")
    }
} catch {
    fail("\(error)")
}
