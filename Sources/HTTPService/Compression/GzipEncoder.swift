internal import CZlib

/// Compresses bytes as a gzip file (RFC 1952), piece by piece.
package final class GzipEncoder {
    // zlib keeps the address of its stream, so it needs a place that does not move.
    private let stream: UnsafeMutablePointer<z_stream>
    private var output: [UInt8] = []
    private var buffer: [UInt8]
    private var hasFailed: Bool

    /// - Parameter level: 1 (fast) to 9 (small).
    package init(level: Int = 1) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        buffer = [UInt8](repeating: 0, count: 64 * 1024)
        hasFailed = swiftlet_gzip_deflate_init(stream, Int32(level)) != Z_OK
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Compresses the next piece.
    package func append(_ bytes: ArraySlice<UInt8>) {
        run(bytes, Z_NO_FLUSH)
    }

    /// The whole file; nil when memory ran out.
    package func finish() -> [UInt8]? {
        run([], Z_FINISH)
        return hasFailed ? nil : output
    }

    private func run(_ bytes: ArraySlice<UInt8>, _ flush: Int32) {
        guard !hasFailed else { return }
        bytes.withUnsafeBufferPointer { input in
            // zlib does not write to its input; its interface is older than const.
            stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.pointee.avail_in = UInt32(input.count)
            repeat {
                let result = buffer.withUnsafeMutableBufferPointer { free in
                    stream.pointee.next_out = free.baseAddress
                    stream.pointee.avail_out = UInt32(free.count)
                    return deflate(stream, flush)
                }
                guard result != Z_STREAM_ERROR else {
                    hasFailed = true
                    return
                }
                output += buffer.prefix(buffer.count - Int(stream.pointee.avail_out))
            } while stream.pointee.avail_out == 0
        }
    }
}
