public import KubernetesAPI
import KubernetesJSON

/// What a watch reports (metav1.WatchEvent).
public enum ObjectEvent<Object: KubernetesObject>: Sendable, Hashable {
    case added(Object)
    case modified(Object)
    /// The object as it was last.
    case deleted(Object)
    /// Nothing happened up to this revision. `isInitialEventsEnd`: the objects that existed when the watch
    /// began (`sendInitialEvents`) have all been sent.
    case bookmark(resourceVersion: String, isInitialEventsEnd: Bool)
    /// The watch failed and is over; 410 means that its revision is not available any more.
    case error(Status)

    /// The revision that the event brings one to.
    public var resourceVersion: String? {
        switch self {
        case .added(let object), .modified(let object), .deleted(let object): object.metadata.resourceVersion
        case .bookmark(let resourceVersion, _): resourceVersion
        case .error: nil
        }
    }
}

extension ObjectEvent {
    /// The annotation that marks the bookmark after the initial events.
    static var initialEventsEnd: String { "k8s.io/initial-events-end" }

    /// Reads one line of a watch's body: `{"type":"ADDED","object":{…}}`. Nil for types unknown here.
    package static func decode(_ line: [UInt8]) throws(JSONError) -> ObjectEvent? {
        var reader = JSONReader(line)
        var type: String?
        var object: Range<Int>?
        var event: ObjectEvent?
        guard try reader.beginObject() else { return nil }
        while try reader.nextKey() {
            if reader.isKey("type") {
                type = try reader.string()
            } else if reader.isKey("object"), let type {
                event = try decode(type, &reader)
            } else if reader.isKey("object") {
                object = try reader.rawValue()
            } else {
                try reader.skipValue()
            }
        }
        try reader.finish()
        if event == nil, let type, let object {
            var reader = JSONReader(Array(line[object]))
            event = try decode(type, &reader)
        }
        return event
    }

    private static func decode(_ type: String, _ reader: inout JSONReader) throws(JSONError) -> ObjectEvent? {
        switch type {
        case "ADDED": return .added(try Object(reading: &reader))
        case "MODIFIED": return .modified(try Object(reading: &reader))
        case "DELETED": return .deleted(try Object(reading: &reader))
        case "BOOKMARK":
            let metadata = try Object(reading: &reader).metadata
            return .bookmark(
                resourceVersion: metadata.resourceVersion,
                isInitialEventsEnd: metadata.annotations[initialEventsEnd] == "true")
        case "ERROR": return .error(try Status(reading: &reader))
        default:
            try reader.skipValue()
            return nil
        }
    }
}
