public import KubernetesJSON

/// How a kind that is served in several versions is put from the one that is stored into another, and back.
///
/// Both directions work on trees, and on parts of objects too (patches, the configuration of a server-side
/// apply): what is absent stays absent. Bytes of the stored version need no conversion and never see this.
public struct VersionConversion: Sendable {
    /// The kind as it is stored.
    public let stored: ResourceKind
    /// The kind as it is served.
    public let served: ResourceKind
    /// The field labels of the served version, with those of the stored one that they stand for.
    public let fieldLabels: [String: String]

    private let up: @Sendable (inout JSONValue) -> Void
    private let down: @Sendable (inout JSONValue) -> Void
    private let encode: @Sendable (JSONValue) throws(JSONError) -> [UInt8]

    init<Served: KubernetesObject>(
        of stored: ResourceKind, as type: Served.Type, fieldLabels: [String: String] = [:],
        toStored up: @escaping @Sendable (inout JSONValue) -> Void,
        toServed down: @escaping @Sendable (inout JSONValue) -> Void
    ) {
        self.stored = stored
        served = Served.resource
        self.fieldLabels = fieldLabels
        self.up = up
        self.down = down
        encode = { value throws(JSONError) in try Served(value).json() }
    }

    /// The stored version's tree of a served version's.
    public func toStored(_ value: JSONValue) -> JSONValue {
        var value = value
        up(&value)
        name(&value, stored)
        return value
    }

    /// The served version's tree of a stored version's.
    public func toServed(_ value: JSONValue) -> JSONValue {
        var value = value
        down(&value)
        name(&value, served)
        return value
    }

    /// The bytes in the served version of an object's bytes in the stored one.
    public func toServed(_ bytes: [UInt8]) throws(JSONError) -> [UInt8] {
        try encode(toServed(try JSONValue(json: bytes)))
    }

    private func name(_ value: inout JSONValue, _ kind: ResourceKind) {
        value["kind"] = .string(kind.kind)
        value["apiVersion"] = .string(kind.apiVersion)
    }
}

extension JSONValue {
    /// Gives members other names.
    mutating func rename(_ names: [(from: String, to: String)]) {
        for (from, to) in names {
            guard let member = self[from] else { continue }
            self[from] = nil
            self[to] = member
        }
    }
}
