import KubernetesJSON

/// A list of objects of one kind, as the API server answers.
public struct ObjectList<Item: KubernetesObject>: JSONCodable {
    /// The version of the store that the list shows, and where it continues.
    public var metadata = ListMeta()
    /// The objects.
    public var items: [Item] = []

    /// Makes an empty list.
    public init() {}

    /// Makes a list of objects.
    public init(metadata: ListMeta = ListMeta(), items: [Item]) {
        self.metadata = metadata
        self.items = items
    }

    public init(reading reader: inout JSONReader) throws(JSONError) {
        guard try reader.beginObject() else { return }
        while try reader.nextKey() {
            if reader.isKey("metadata") {
                metadata = try ListMeta(reading: &reader)
            } else if reader.isKey("items") {
                items = []
                guard try reader.beginArray() else { continue }
                while try reader.nextElement() { items.append(try Item(reading: &reader)) }
            } else {
                try reader.skipValue()
            }
        }
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("kind")
        writer.string(Item.resource.listKind)
        writer.key("apiVersion")
        writer.string(Item.resource.apiVersion)
        writer.key("metadata")
        metadata.write(to: &writer)
        writer.key("items")
        writer.beginArray()
        for item in items { item.write(to: &writer) }
        writer.endArray()
        writer.endObject()
    }
}
