import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// One line of a watch.
package struct WatchLine: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
        case error = "ERROR"
    }
    package var kind: Kind
    /// The JSON of the object.
    package var object: [UInt8]

    package init(_ kind: Kind, _ object: [UInt8]) {
        self.kind = kind
        self.object = object
    }

    /// `{"type":…,"object":…}` and a line end.
    package func append(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "{\"type\":\"".utf8)
        bytes.append(contentsOf: kind.rawValue.utf8)
        bytes.append(contentsOf: "\",\"object\":".utf8)
        bytes.append(contentsOf: object)
        bytes.append(contentsOf: "}\n".utf8)
    }

    /// A `meta.k8s.io/v1` WatchEvent in protobuf, after its length in four bytes. The object in it says its kind.
    package func appendFrame(to bytes: inout [UInt8]) {
        var (kind, object) = (kind, ProtobufForm.encode(object))
        if object == nil {
            kind = .error
            object = ProtobufForm.encode(
                APIError.internalError("an object cannot be written as protobuf").status.json())
        }
        var raw = ProtobufWriter()
        raw.data(1, object ?? [])
        var event = ProtobufWriter()
        event.string(1, kind.rawValue)
        event.message(2, raw)
        let length = UInt32(truncatingIfNeeded: event.bytes.count)
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: length >> UInt32(shift))) }
        bytes.append(contentsOf: event.bytes)
    }
}

/// Turns what happens in the store into what one watcher sees. Pure.
package struct WatchView: Sendable {
    package var filter: ObjectFilter
    package var kind: ResourceKind
    package var sendsBookmarks: Bool
    /// How far the watcher has been told, by events and bookmarks.
    package private(set) var told: Revision

    package init(filter: ObjectFilter, kind: ResourceKind, sendsBookmarks: Bool, told: Revision) {
        self.filter = filter
        self.kind = kind
        self.sendsBookmarks = sendsBookmarks
        self.told = told
    }

    /// An event as a selector's watcher sees it: objects come and go as they begin and cease to match.
    package mutating func line(_ event: StoreEvent) -> WatchLine? {
        let matches = event.kind != .deleted && filter.matches(event.object)
        let matched = event.previous.map(filter.matches) ?? false
        told = event.revision
        switch (matched, matches) {
        case (false, true): return WatchLine(.added, event.object.bytes)
        case (true, true): return WatchLine(.modified, event.object.bytes)
        case (true, false):
            if event.kind == .deleted { return WatchLine(.deleted, event.object.bytes) }
            // The last state that matched, at the revision of the one that does not.
            let last = event.previous.map { StoredForm.restamped($0, event.revision) }
            return last.map { WatchLine(.deleted, $0) }
        case (false, false): return nil
        }
    }

    /// A mark of progress, for watchers that asked for them.
    package mutating func bookmark(_ revision: Revision, endsInitialEvents: Bool = false) -> WatchLine? {
        guard sendsBookmarks, endsInitialEvents || revision >= told else { return nil }
        told = max(told, revision)
        var writer = JSONWriter(capacity: 192)
        writer.beginObject()
        writer.key("kind")
        writer.string(kind.kind)
        writer.key("apiVersion")
        writer.string(kind.apiVersion)
        writer.key("metadata")
        writer.beginObject()
        writer.key("resourceVersion")
        writer.string("\(revision)")
        if endsInitialEvents {
            writer.key("annotations")
            writer.beginObject()
            writer.key("k8s.io/initial-events-end")
            writer.string("true")
            writer.endObject()
        }
        writer.endObject()
        writer.endObject()
        return WatchLine(.bookmark, writer.bytes)
    }
}

/// A watch that is about to run.
package struct WatchAnswer: Sendable {
    /// Objects to be shown as ADDED first.
    package var initial: [StoredObject]
    /// Whether a bookmark says that these were all.
    package var marksInitialEnd: Bool
    package var initialRevision: Revision
    /// Nil when the watch begins with a failure.
    package var stream: WatchStream?
    package var failure: APIError?
    package var view: WatchView
    package var timeout: Duration
}
