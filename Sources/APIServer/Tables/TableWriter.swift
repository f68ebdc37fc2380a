import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// Which part of the object a table's rows carry (`includeObject`).
package enum IncludedObject: String, Sendable, Hashable {
    case none = "None"
    case metadata = "Metadata"
    case object = "Object"
}

/// Writes stored objects as `meta.k8s.io` Tables and PartialObjectMetadata. The metadata in them are the
/// stored bytes.
package struct TableWriter<Object: KubernetesObject>: Sendable {
    let printer: TablePrinter<Object>
    let version: String
    let included: IncludedObject
    let now: Time
    /// Puts the objects of the rows into the version that is asked for, where that is not the stored one.
    let convert: VersionConversion?

    package init(
        _ printer: TablePrinter<Object>, version: String, included: IncludedObject, now: Time,
        convert: VersionConversion? = nil
    ) {
        self.printer = printer
        self.version = version
        self.included = included
        self.now = now
        self.convert = convert
    }

    /// A whole table.
    ///
    /// - Parameter hasColumns: false in the events of a watch that follow the first.
    package func table(
        _ objects: [[UInt8]], _ metadata: ListMeta, hasColumns: Bool = true
    ) throws(APIError) -> [UInt8] {
        var writer = JSONWriter(capacity: 512 + objects.count * 768)
        writer.beginObject()
        writer.key("kind")
        writer.string("Table")
        writer.key("apiVersion")
        writer.string("meta.k8s.io/\(version)")
        writer.key("metadata")
        metadata.write(to: &writer)
        writer.key("columnDefinitions")
        if hasColumns {
            writer.beginArray()
            for column in printer.columns { write(column, to: &writer) }
            writer.endArray()
        } else {
            writer.null()
        }
        writer.key("rows")
        writer.beginArray()
        for bytes in objects { try row(bytes, to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    private func write(_ column: TableColumn, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(column.name)
        writer.key("type")
        writer.string(column.type)
        writer.key("format")
        writer.string(column.format)
        writer.key("description")
        writer.string(column.description)
        writer.key("priority")
        writer.int(column.priority)
        writer.endObject()
    }

    private func row(_ bytes: [UInt8], to writer: inout JSONWriter) throws(APIError) {
        let object: Object
        do {
            object = try Object(json: bytes)
        } catch {
            throw .internalError("a stored \(Object.resource.kind) cannot be read: \(error)")
        }
        writer.beginObject()
        writer.key("cells")
        writer.beginArray()
        for cell in printer.cells(object, now) { cell.write(to: &writer) }
        writer.endArray()
        switch included {
        case .none: break
        case .metadata:
            writer.key("object")
            writer.raw(PartialMetadata.object(bytes, version: version))
        case .object:
            writer.key("object")
            writer.raw((try? convert?.toServed(bytes)) ?? bytes)
        }
        writer.endObject()
    }
}

/// Objects reduced to their metadata.
package enum PartialMetadata {
    /// PartialObjectMetadata of an object's bytes.
    package static func object(_ bytes: [UInt8], version: String) -> [UInt8] {
        let metadata = StoredForm.layout(of: bytes)?.metadata
        var out: [UInt8] = []
        out.reserveCapacity(96 + (metadata?.count ?? 2))
        out.append(contentsOf: "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/".utf8)
        out.append(contentsOf: version.utf8)
        out.append(contentsOf: "\",\"metadata\":".utf8)
        if let metadata {
            out.append(contentsOf: bytes[metadata])
        } else {
            out.append(contentsOf: "{}".utf8)
        }
        out.append(UInt8(ascii: "}"))
        return out
    }
}
