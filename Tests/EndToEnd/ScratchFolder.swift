import Glibc
import Testing

/// A folder of a test's own, and the file beside it; gone with this value.
final class ScratchFolder: Sendable {
    let path: String

    init(_ name: String) throws {
        var template = Array("/tmp/swiftlet-\(name)-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil, "no temporary folder: \(String(cString: strerror(errno)))")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        // The sandbox takes with it what stays; a failure here is none of the test's.
        _ = system("umount --lazy '\(path)' 2>/dev/null; rm -rf '\(path)' '\(path).log'")
    }
}
