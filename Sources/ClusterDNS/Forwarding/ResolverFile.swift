import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix

/// What a resolv.conf says, as far as it matters to a server (resolv.conf(5)).
package struct ResolverFile: Sendable, Hashable {
    /// In order, each once.
    package var servers: [ListenAddress] = []
    package var searches: [DNSName] = []

    package init() {}

    package init(parsing text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard words.count >= 2 else { continue }
            switch words[0] {
            case "nameserver":
                guard let server = ListenAddress(host: words[1]), !servers.contains(server) else { continue }
                servers.append(server)
            case "search", "domain":
                // The last of them counts.
                searches = Self.searches(words.dropFirst())
            default: continue
            }
        }
    }

    static func searches(_ words: some Sequence<String>) -> [DNSName] {
        words.compactMap { DNSName($0)?.lowercased }.filter { $0 != .root }
    }

    /// Empty if there is no such file.
    package init(path: String) {
        self.init(parsing: Self.text(path))
    }

    /// What a file says that may just be in the course of being written: nil if there is none, or nothing in it.
    package static func written(_ path: String) -> ResolverFile? {
        let text = text(path)
        return text.allSatisfy(\.isWhitespace) ? nil : ResolverFile(parsing: text)
    }

    /// When a file was written, in seconds since 1970; 0 if there is none.
    static func modificationTime(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mtim.tv_sec : 0
    }

    private static let largest = 65536

    private static func text(_ path: String) -> String {
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

/// Tells what a resolv.conf says whenever that changes, be the file written to, replaced, or a link that leads
/// elsewhere from now on.
struct ResolverFileWatch: Sendable {
    let path: String
    let group: any EventLoopGroup
    let logger: Logger

    /// Calls `changed` with the file's content after each change, until the task is cancelled.
    ///
    /// - Parameter known: what it said when it was last looked at.
    func run(since known: ResolverFile, _ changed: @escaping @Sendable (ResolverFile) -> Void) async {
        let (events, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let channel: (any Channel)?
        do {
            channel = try await watch { signal.yield() }
        } catch {
            logger.warning(
                "the resolver file cannot be watched; what changes in it is not noticed",
                metadata: ["path": "\(path)", "error": "\(error)"])
            channel = nil
        }
        defer { channel?.close(promise: nil) }
        var last = known
        func look() {
            // Emptied to be written anew: what it said holds until it says something else.
            guard let now = ResolverFile.written(path) else { return }
            if now != last { changed(now) }
            last = now
        }
        look()
        for await _ in events { look() }
    }

    private struct Refusal: Error {
        let number: Int32
    }

    /// Shell: `inotifywait --monitor FILE FOLDER REAL-FOLDER`.
    private func watch(_ event: @escaping @Sendable () -> Void) async throws -> any Channel {
        let folder = Self.folder(of: path)
        let descriptor = swiftlet_watch_path(folder)
        guard descriptor >= 0 else { throw Refusal(number: -descriptor) }
        watchTargets(descriptor)
        // Owned, and closed, by the channel from now on.
        return try await NIOPipeBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ChangeHandler {
                            // What the path leads to may be another file now.
                            watchTargets(descriptor)
                            event()
                        })
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor).get()
    }

    /// The file itself, for it may be mounted there; and the folder that a link leads to.
    private func watchTargets(_ descriptor: Int32) {
        let mask = UInt32(
            IN_MODIFY | IN_CLOSE_WRITE | IN_MOVE | IN_MOVE_SELF | IN_CREATE | IN_DELETE | IN_DELETE_SELF)
        guard let real = realpath(path, nil) else { return }
        defer { free(real) }
        inotify_add_watch(descriptor, real, mask)
        inotify_add_watch(descriptor, Self.folder(of: String(cString: real)), mask)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// Events are read and forgotten; what counts is that there were some.
private final class ChangeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let changed: @Sendable () -> Void

    init(_ changed: @escaping @Sendable () -> Void) {
        self.changed = changed
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        changed()
        context.fireChannelReadComplete()
    }
}
