import Glibc

/// The files of one folder of `Tests/Scenarios`; the README there tells what they hold.
public struct ScenarioFiles: Sendable {
    /// The folder, in the source tree.
    public let folder: String
    /// The names of its `.yaml` files, sorted; none if there is no such folder.
    public let names: [String]

    /// - Parameter subject: the folder's name, such as `proxy`.
    public init(_ subject: String) {
        let tests = #filePath.split(separator: "/").dropLast(2).map { "/\($0)" }.joined()
        folder = "\(tests)/Scenarios/\(subject)"
        var names: [String] = []
        if let directory = opendir(folder) {
            defer { closedir(directory) }
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name.hasSuffix(".yaml") { names.append(name) }
            }
        }
        self.names = names.sorted()
    }

    /// The text of one of them.
    public func contents(of name: String) throws -> String {
        struct Unreadable: Error { let path: String }
        let path = "\(folder)/\(name)"
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { throw Unreadable(path: path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
