extension HTTPRequest {
    /// Whether the client takes answers compressed with gzip (RFC 9110 section 12.5.3): upstream looks for the
    /// plain word and takes no weights.
    package var acceptsGzip: Bool {
        headers[canonicalForm: "accept-encoding"].contains { $0 == "gzip" }
    }
}

extension HTTPResponse {
    /// The response with its body compressed, if that is at hand, larger than `threshold` and not encoded yet.
    package func compressed(above threshold: Int) async -> HTTPResponse {
        guard case .bytes(let bytes) = body, bytes.count > threshold,
            !headers.contains(name: "content-encoding")
        else { return self }
        // Not on the connection's thread: megabytes take a while, and others are let in between.
        let compressed = await withTaskExecutorPreference(globalConcurrentExecutor) { () -> [UInt8]? in
            let encoder = GzipEncoder()
            var start = 0
            while start < bytes.count {
                let end = min(start + 512 * 1024, bytes.count)
                encoder.append(bytes[start..<end])
                start = end
                if start < bytes.count { await Task.yield() }
            }
            return encoder.finish()
        }
        guard let compressed else { return self }
        var response = self
        response.body = .bytes(compressed)
        response.headers.remove(name: "content-length")
        response.headers.add(name: "content-encoding", value: "gzip")
        response.headers.add(name: "vary", value: "Accept-Encoding")
        return response
    }
}
