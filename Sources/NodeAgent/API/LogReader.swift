import ContainerRuntime
import Glibc
import HTTPService
import KubernetesAPI

/// What `kubectl logs` asks for.
package struct LogOptions: Sendable, Hashable {
    package var follow = false
    package var previous = false
    package var timestamps = false
    /// The last so many lines.
    package var tailLines: Int?
    package var limitBytes: Int?
    /// Nothing older than this: RFC 3339 text, comparable with the timestamps of the log.
    package var since: String?
    /// `All`, `Stdout` or `Stderr`.
    package var stream = "All"

    package init() {}

    /// Reads the query of a request for logs (core/v1 PodLogOptions).
    package init(_ query: QueryItems, now: Time) throws(LogOptionsError) {
        follow = Self.flag(query, "follow")
        previous = Self.flag(query, "previous")
        timestamps = Self.flag(query, "timestamps")
        tailLines = try Self.number(query, "tailLines")
        limitBytes = try Self.number(query, "limitBytes")
        stream = query.first("stream") ?? "All"
        if let seconds = try Self.number(query, "sinceSeconds") {
            since = Time(seconds: now.seconds - min(seconds, 1 << 40)).description
        }
        if let text = query.first("sinceTime") {
            guard let time = Time(text) else {
                throw LogOptionsError("invalid value for sinceTime: \"\(text)\"")
            }
            since = time.description
        }
    }

    private static func flag(_ query: QueryItems, _ name: String) -> Bool {
        ["true", "1"].contains(query.first(name) ?? "")
    }

    private static func number(_ query: QueryItems, _ name: String) throws(LogOptionsError) -> Int? {
        guard let text = query.first(name), !text.isEmpty else { return nil }
        guard let number = Int(text), number >= 0 else {
            throw LogOptionsError("invalid value for \(name): \"\(text)\"")
        }
        return number
    }
}

package struct LogOptionsError: Error, Sendable {
    package var message: String
    package init(_ message: String) { self.message = message }
}

/// Turns the lines of a container's log file into what a client gets; a value without IO.
package struct LogFilter: Sendable {
    private let options: LogOptions
    private var sent = 0
    private var isInsideLine = false
    /// True once `limitBytes` is reached.
    package private(set) var isFull = false

    package init(_ options: LogOptions) { self.options = options }

    /// The bytes that a line of the file contributes.
    package mutating func take(_ line: some Collection<UInt8>) -> [UInt8] {
        guard !isFull, let parsed = CRILogLine(line) else { return [] }
        if let since = options.since, parsed.timestamp.prefix(19) < since.prefix(19) { return [] }
        if options.stream == "Stdout", parsed.isError { return [] }
        if options.stream == "Stderr", !parsed.isError { return [] }
        var bytes: [UInt8] = []
        if options.timestamps, !isInsideLine { bytes += Array("\(parsed.timestamp) ".utf8) }
        bytes += parsed.content
        isInsideLine = !parsed.isComplete
        if parsed.isComplete { bytes.append(UInt8(ascii: "\n")) }
        if let limit = options.limitBytes, sent + bytes.count >= limit {
            bytes = Array(bytes.prefix(max(0, limit - sent)))
            isFull = true
        }
        sent += bytes.count
        return bytes
    }
}

/// Reads a container's log file and, when asked, goes on as it grows.
package struct LogReader: Sendable {
    package var path: String
    package var options: LogOptions

    package init(path: String, options: LogOptions) {
        self.path = path
        self.options = options
    }

    /// Writes the log.
    ///
    /// - Parameters:
    ///   - hasEnded: whether the container has ended and written all its output; with `follow`, the end of its
    ///     file is then the end of the log.
    ///   - occasions: yields whenever `hasEnded` may have changed.
    package func run(
        to writer: any ResponseWriter, occasions: AsyncStream<Void>,
        hasEnded: @escaping @Sendable () async -> Bool
    ) async throws {
        guard options.follow else { return try await copy(to: writer, watch: nil, hasEnded: hasEnded) }
        // Watched before the first read, so that nothing is missed in between.
        let watch = try FileWatch(path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in occasions { watch.poke() }
            }
            try await copy(to: writer, watch: watch, hasEnded: hasEnded)
            group.cancelAll()
        }
    }

    private func copy(
        to writer: any ResponseWriter, watch: FileWatch?, hasEnded: @Sendable () async -> Bool
    ) async throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        if let lines = options.tailLines {
            lseek(descriptor, off_t(Self.tailOffset(descriptor, lines: lines)), SEEK_SET)
        }
        var filter = LogFilter(options)
        var rest: [UInt8] = []
        while true {
            // Asked before reading: what was written before the end is then read for certain.
            let isOver = watch == nil ? true : await hasEnded()
            while let chunk = Self.read(descriptor) {
                rest += chunk
                var output: [UInt8] = []
                var start = rest.startIndex
                while let newline = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                    output += filter.take(rest[start..<newline])
                    start = newline + 1
                }
                rest.removeSubrange(..<start)
                if !output.isEmpty { try await writer.write(output) }
                if filter.isFull { return }
            }
            guard !isOver, let watch else { return }
            try await watch.wait()
        }
    }

    private static func read(_ descriptor: Int32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        buffer.removeLast(buffer.count - count)
        return buffer
    }

    /// Where the last `lines` lines begin: the file is read backwards in blocks.
    package static func tailOffset(_ descriptor: Int32, lines: Int) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return 0 }
        var end = Int(status.st_size)
        if lines == 0 { return end }
        var seen = 0
        var isFirst = true
        while end > 0 {
            let start = max(0, end - 64 << 10)
            var block = [UInt8](repeating: 0, count: end - start)
            let count = pread(descriptor, &block, block.count, off_t(start))
            guard count > 0 else { return 0 }
            for index in stride(from: count - 1, through: 0, by: -1) where block[index] == UInt8(ascii: "\n")
            {
                // The newline at the very end closes the last line; it does not begin another.
                if isFirst, start + index == Int(status.st_size) - 1 {
                    isFirst = false
                    continue
                }
                seen += 1
                if seen == lines { return start + index + 1 }
            }
            isFirst = false
            end = start
        }
        return 0
    }
}
