import HTTPService
import KubernetesAPI
import KubernetesJSON
import Logging
import ObjectStore

/// Gives a verb's answer the form the client asked for.
struct AnswerWriter<Object: KubernetesObject>: Sendable {
    let core: ServerCore
    let resource: Resource<Object>
    let context: RequestContext

    private var form: ResponseForm { context.form }

    func response(_ answer: Answer) throws(APIError) -> HTTPResponse {
        var response: HTTPResponse
        switch answer.content {
        case .raw(let ready):
            response = ready
        case .object(let bytes):
            response = Responding.encoded(
                try object(bytes), form, status: answer.status, logger: core.logger)
        case .list(let list):
            response = Responding.encoded(
                try self.list(list), form, status: answer.status, logger: core.logger)
        case .watch(let watch):
            response = try self.watch(watch)
        }
        Responding.add(answer.warnings, to: &response.headers)
        return response
    }

    // MARK: Shapes

    private func included() throws(APIError) -> IncludedObject {
        guard let text = context.query.first("includeObject"), !text.isEmpty else { return .metadata }
        guard let value = IncludedObject(rawValue: text) else {
            throw .badRequest(
                "Unable to convert to Table as requested: includeObject: Invalid value: \"\(text)\": "
                    + "must be 'Metadata', 'Object', 'None', or empty")
        }
        return value
    }

    private func tableWriter(_ version: String) throws(APIError) -> TableWriter<Object> {
        TableWriter(
            resource.table, version: version, included: try included(), now: core.now(),
            convert: resource.version?.conversion)
    }

    /// A table of one object.
    private func table<Row: KubernetesObject>(
        _ writer: TableWriter<Row>, _ bytes: [UInt8]
    ) throws(APIError) -> [UInt8] {
        let revision = StoredForm.layout(of: bytes)?.revision.map { bytes[$0] } ?? []
        return try writer.table(
            [bytes], ListMeta(resourceVersion: String(decoding: revision, as: UTF8.self)))
    }

    /// An object in the version that is asked for.
    private func served(_ bytes: [UInt8]) throws(APIError) -> [UInt8] {
        guard let conversion = resource.version?.conversion, isOwnKind(bytes) else { return bytes }
        do {
            return try conversion.toServed(bytes)
        } catch {
            throw .internalError("a stored \(Object.resource.kind) cannot be read: \(error)")
        }
    }

    private func object(_ bytes: [UInt8]) throws(APIError) -> [UInt8] {
        switch form.shape {
        case .object: return try served(bytes)
        case .table(let version):
            if isScale(bytes) {
                let writer = TableWriter(
                    AutoscalingTables.scale, version: version, included: try included(), now: core.now())
                return try table(writer, bytes)
            }
            return isOwnKind(bytes) ? try table(try tableWriter(version), bytes) : bytes
        case .partialObject(let version):
            guard isOwnKind(bytes) || isScale(bytes) else { return bytes }
            return PartialMetadata.object(bytes, version: version)
        case .partialObjectList:
            guard isOwnKind(bytes) || isScale(bytes) else { return bytes }
            throw .notAcceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list "
                    + "(\(typeName(resource.kind.kind)))")
        }
    }

    /// Whether the bytes are an object of the resource's kind (and not a Status or Scale).
    private func isOwnKind(_ bytes: [UInt8]) -> Bool { isKind(Object.resource.kind, bytes) }

    private func isScale(_ bytes: [UInt8]) -> Bool { isKind(Scale.resource.kind, bytes) }

    private func isKind(_ kind: String, _ bytes: [UInt8]) -> Bool {
        bytes.starts(with: "{\"kind\":\"\(kind)\"".utf8)
    }

    /// A type as upstream's messages name it: `*core.PodList`.
    private func typeName(_ kind: String) -> String {
        let group = resource.kind.group
        return "*\(group.isEmpty ? "core" : String(group.prefix { $0 != "." })).\(kind)"
    }

    private func list(_ list: ListAnswer) throws(APIError) -> [UInt8] {
        let metadata = ListMeta(
            resourceVersion: "\(list.revision)", continue: list.continuation,
            remainingItemCount: list.remaining)
        switch form.shape {
        case .table(let version):
            return try tableWriter(version).table(list.objects.map(\.bytes), metadata)
        case .partialObject:
            throw .notAcceptable(
                "you requested PartialObjectMetadata, but the requested object is a list "
                    + "(\(typeName(resource.kind.listKind)))")
        case .partialObjectList(let version):
            return ListWriter.list(
                kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/\(version)", metadata,
                list.objects.map { PartialMetadata.object($0.bytes, version: version) })
        case .object:
            var items = list.objects.map(\.bytes)
            if resource.version != nil {
                for index in items.indices { items[index] = try served(items[index]) }
            }
            return ListWriter.list(
                kind: resource.kind.listKind, apiVersion: resource.kind.apiVersion, metadata, items)
        }
    }

    /// Puts the objects of a watch into another version; bookmarks name it already.
    private static func converting(
        _ conversion: VersionConversion?
    ) -> (@Sendable (WatchLine, Bool) -> [UInt8])? {
        guard let conversion else { return nil }
        return { line, _ in
            if line.kind == .bookmark { return line.object }
            return (try? conversion.toServed(line.object)) ?? line.object
        }
    }

    private func watch(_ watch: WatchAnswer) throws(APIError) -> HTTPResponse {
        guard form.encoding != .yaml else { throw .notAcceptable(ResponseForm.streamTypes) }
        let transform: (@Sendable (WatchLine, Bool) -> [UInt8])?
        switch form.shape {
        case .object, .partialObjectList:
            transform = Self.converting(resource.version?.conversion)
        case .partialObject(let version):
            transform = { line, _ in PartialMetadata.object(line.object, version: version) }
        case .table(let version):
            let resource = resource
            let included = try included()
            let now = core.now
            transform = { line, isFirst in
                let writer = TableWriter(
                    resource.table, version: version, included: included, now: now(),
                    convert: resource.version?.conversion)
                let revision = StoredForm.layout(of: line.object)?.revision.map { line.object[$0] } ?? []
                let metadata = ListMeta(resourceVersion: String(decoding: revision, as: UTF8.self))
                return (try? writer.table([line.object], metadata, hasColumns: isFirst)) ?? line.object
            }
        }
        let lines = WatchWriter(
            answer: watch, transform: transform, isProtobuf: form.encoding == .protobuf, clock: core.clock,
            metrics: core.metrics.watched(resource.kind))
        return HTTPResponse(
            headers: [
                "content-type": form.encoding == .protobuf
                    ? "application/vnd.kubernetes.protobuf;stream=watch" : "application/json"
            ],
            body: .stream { writer in try await lines.run(writer) })
    }
}

/// Lists as concatenated items.
package enum ListWriter {
    package static func list(
        kind: String, apiVersion: String, _ metadata: ListMeta, _ items: [[UInt8]]
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.key("kind")
        writer.string(kind)
        writer.key("apiVersion")
        writer.string(apiVersion)
        writer.key("metadata")
        metadata.write(to: &writer)
        writer.key("items")
        writer.beginArray()
        var bytes = writer.bytes
        bytes.reserveCapacity(bytes.count + items.reduce(3) { $0 + $1.count + 1 })
        var isFirst = true
        for item in items {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            bytes.append(contentsOf: item)
        }
        bytes.append(contentsOf: "]}".utf8)
        return bytes
    }
}

/// Responses of bytes and of failures.
enum Responding {
    static func encoded(
        _ json: [UInt8], _ form: ResponseForm, status: HTTPResponseStatus, logger: Logger
    ) -> HTTPResponse {
        switch form.encoding {
        case .json:
            // The end of a line, as upstream's encoder writes it: people see it in `kubectl get --raw`.
            var bytes = form.isPretty ? PrettyJSON.indent(json) : json
            bytes.append(UInt8(ascii: "\n"))
            return HTTPResponse(status: status, contentType: "application/json", bytes)
        case .yaml:
            guard let value = try? JSONValue(json: json) else { break }
            return HTTPResponse(status: status, contentType: "application/yaml", YAML.encode(value))
        case .protobuf:
            guard let bytes = ProtobufForm.encode(json) else { break }
            return HTTPResponse(
                status: status, contentType: "application/vnd.kubernetes.protobuf", bytes)
        }
        logger.error("an answer could not be written as \(form.encoding)")
        return HTTPResponse(status: status, contentType: "application/json", json)
    }

    static func failure(_ error: APIError, _ form: ResponseForm, logger: Logger) -> HTTPResponse {
        var response = encoded(
            error.status.json(), form, status: HTTPResponseStatus(statusCode: error.status.code),
            logger: logger)
        if let seconds = error.status.details?.retryAfterSeconds, seconds > 0 {
            response.headers.replaceOrAdd(name: "retry-after", value: "\(seconds)")
        }
        if error.status.code == 401 {
            response.headers.replaceOrAdd(name: "www-authenticate", value: "Bearer realm=\"kubernetes\"")
        }
        return response
    }

    /// Warnings for people (RFC 9111, section 5.5 of its predecessor: code 299).
    static func add(_ warnings: [String], to headers: inout HTTPHeaders) {
        var seen: Set<String> = []
        for warning in warnings where seen.insert(warning).inserted {
            var quoted = ""
            for scalar in warning.unicodeScalars {
                switch scalar {
                case "\"", "\\":
                    quoted.unicodeScalars.append("\\")
                    quoted.unicodeScalars.append(scalar)
                case "\r", "\n": quoted.append(" ")
                default:
                    if scalar.value >= 0x20, scalar.value != 0x7F { quoted.unicodeScalars.append(scalar) }
                }
            }
            headers.add(name: "warning", value: "299 - \"\(quoted)\"")
        }
    }
}
