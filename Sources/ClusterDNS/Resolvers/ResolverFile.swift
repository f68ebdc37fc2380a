import Glibc
import Synchronization

/// The servers that a resolv.conf names (resolv.conf(5)), in order.
package func nameServers(resolverFile text: String) -> [HostAddress] {
    var servers: [HostAddress] = []
    for line in text.split(whereSeparator: \.isNewline) {
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard words.count >= 2, words[0] == "nameserver", let address = HostAddress(String(words[1])),
            !servers.contains(address)
        else { continue }
        servers.append(address)
    }
    return servers
}

/// A resolv.conf that is read again after it changed.
final class ResolverFile: Sendable {
    private let path: String
    private let state = Mutex(State())

    private struct State {
        /// Of the file that `servers` comes from: device, inode, time of change.
        var identity: [Int] = []
        var servers: [HostAddress] = []
    }

    init(path: String) {
        self.path = path
    }

    /// Empty if there is no such file.
    var servers: [HostAddress] {
        var status = stat()
        guard stat(path, &status) == 0 else { return [] }
        let identity = [
            Int(truncatingIfNeeded: status.st_dev), Int(truncatingIfNeeded: status.st_ino),
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size,
        ]
        return state.withLock { state in
            if state.identity != identity {
                state.servers = nameServers(resolverFile: Self.read(path))
                state.identity = identity
            }
            return state.servers
        }
    }

    private static let largest = 65536

    private static func read(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: largest)
        var count = 0
        while count < largest {
            let got = buffer.withUnsafeMutableBytes { bytes in
                Glibc.read(file, bytes.baseAddress?.advanced(by: count), largest - count)
            }
            guard got > 0 else { break }
            count += got
        }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}
