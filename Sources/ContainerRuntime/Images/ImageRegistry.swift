import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// A read-only image registry on loopback over an `ImageFolder`: the part of the OCI distribution
/// specification (https://github.com/opencontainers/distribution-spec) that a pull needs.
///
/// containerd asks it before the real registry (`certs.d/_default/hosts.toml`), so `image: busybox`,
/// `imagePullPolicy: Always` and machines without an uplink all work the same way.
public struct ImageRegistry: Sendable {
    /// The port it listens on.
    public let port: Int
    private let channel: any Channel

    /// Opens the registry on 127.0.0.1; port 0 takes any free one.
    public static func start(
        folder: ImageFolder, port: Int = 0, group: any EventLoopGroup, logger: Logger
    ) async throws(ContainerRuntimeError) -> ImageRegistry {
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                        try channel.pipeline.syncOperations.addHandler(RegistryHandler(folder, logger))
                    }
                }
                .bind(host: "127.0.0.1", port: port).get()
            return ImageRegistry(port: channel.localAddress?.port ?? 0, channel: channel)
        } catch {
            throw ContainerRuntimeError(
                .registryFailed, "The image registry cannot listen on 127.0.0.1:\(port).", cause: error)
        }
    }

    /// Stops listening.
    public func stop() async {
        try? await channel.close()
    }
}

/// What a request path of a registry asks for.
package enum RegistryRequest: Sendable, Hashable {
    case ping
    case manifest(registry: String, repository: String, reference: String)
    case blob(digest: String)

    /// `/v2/`, `/v2/<repository>/manifests/<tag or digest>`, `/v2/<repository>/blobs/<digest>`; `ns` names the
    /// registry that is stood in for.
    package init?(uri: String) {
        let split = uri.split(separator: "?", maxSplits: 1)
        guard let path = split.first else { return nil }
        var registry = "docker.io"
        for item in split.dropFirst().first?.split(separator: "&") ?? [] where item.hasPrefix("ns=") {
            registry = Self.unescape(String(item.dropFirst(3)))
        }
        var parts = path.split(separator: "/").map(String.init)
        guard parts.first == "v2" else { return nil }
        parts.removeFirst()
        if parts.isEmpty {
            self = .ping
            return
        }
        guard parts.count >= 3, let reference = parts.popLast(), let kind = parts.popLast() else {
            return nil
        }
        switch kind {
        case "manifests":
            self = .manifest(
                registry: registry, repository: parts.joined(separator: "/"),
                reference: Self.unescape(reference))
        case "blobs": self = .blob(digest: Self.unescape(reference))
        default: return nil
        }
    }

    /// Registry names and digests only ever escape the colon.
    private static func unescape(_ text: String) -> String {
        guard text.contains("%") else { return text }
        return GRPCError.decodeMessage(text)
    }
}

private final class RegistryHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let folder: ImageFolder
    private let logger: Logger
    private var head: HTTPRequestHead?

    init(_ folder: ImageFolder, _ logger: Logger) {
        self.folder = folder
        self.logger = logger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            respond(to: head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func respond(to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard head.method == .GET || head.method == .HEAD else {
            return refuse(.methodNotAllowed, "UNSUPPORTED", head, context)
        }
        switch RegistryRequest(uri: head.uri) {
        case .ping:
            send(.memory(Array("{}".utf8)), path: "", "application/json", digest: nil, head, context)
        case .manifest(let registry, let repository, let reference):
            let digest = folder.digest(registry: registry, repository: repository, reference: reference)
            guard let digest, let blob = folder.blob(digest), let mediaType = blob.mediaType else {
                return refuse(.notFound, "MANIFEST_UNKNOWN", head, context)
            }
            logger.debug("Serving \(registry)/\(repository) \(reference) from \(blob.path)")
            send(blob.location, path: blob.path, mediaType, digest: digest, head, context)
        case .blob(let digest):
            guard let blob = folder.blob(digest) else {
                return refuse(.notFound, "BLOB_UNKNOWN", head, context)
            }
            send(blob.location, path: blob.path, "application/octet-stream", digest: digest, head, context)
        case nil:
            refuse(.notFound, "NAME_UNKNOWN", head, context)
        }
    }

    private func send(
        _ location: ImageArchive.Location, path: String, _ mediaType: String, digest: String?,
        _ head: HTTPRequestHead, _ context: ChannelHandlerContext
    ) {
        var body: IOData?
        if head.method == .GET {
            switch location {
            case .memory(let bytes): body = .byteBuffer(context.channel.allocator.buffer(bytes: bytes))
            case .file(let offset, let size):
                let descriptor = open(path, O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { return refuse(.notFound, "BLOB_UNKNOWN", head, context) }
                let file = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: descriptor)
                body = .fileRegion(FileRegion(fileHandle: file, readerIndex: offset, endIndex: offset + size))
            }
        }
        var headers: HTTPHeaders = ["Content-Type": mediaType, "Content-Length": "\(location.size)"]
        if let digest { headers.add(name: "Docker-Content-Digest", value: digest) }
        write(HTTPResponseHead(version: head.version, status: .ok, headers: headers), body, head, context)
    }

    private func refuse(
        _ status: HTTPResponseStatus, _ code: String, _ head: HTTPRequestHead,
        _ context: ChannelHandlerContext
    ) {
        let text = "{\"errors\":[{\"code\":\"\(code)\",\"message\":\"swiftlet has no such image\"}]}"
        let headers: HTTPHeaders = [
            "Content-Type": "application/json", "Content-Length": "\(text.utf8.count)",
        ]
        let body =
            head.method == .HEAD ? nil : IOData.byteBuffer(context.channel.allocator.buffer(string: text))
        write(HTTPResponseHead(version: head.version, status: status, headers: headers), body, head, context)
    }

    private func write(
        _ response: HTTPResponseHead, _ body: IOData?, _ request: HTTPRequestHead,
        _ context: ChannelHandlerContext
    ) {
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        if let body {
            let file: NIOFileHandle? =
                if case .fileRegion(let region) = body { region.fileHandle } else { nil }
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.whenComplete { _ in try? file?.close() }
            context.write(wrapOutboundOut(.body(body)), promise: written)
        }
        let isLast = !request.isKeepAlive
        let done = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if isLast {
            let channel = context.channel
            done.whenComplete { _ in channel.close(promise: nil) }
        }
    }
}
