/// One media range of an `Accept` or `Content-Type` header (RFC 9110, section 8.3 and 12.5.1).
package struct MediaType: Sendable, Hashable {
    package var type: String
    package var subtype: String
    /// Parameters by lower case name, without `q`.
    package var parameters: [String: String]
    /// The weight, 0 to 1000 thousandths.
    package var weight: Int

    package var essence: String { "\(type)/\(subtype)" }

    /// Parses one media range; nil when it has no slash.
    package init?(_ text: Substring) {
        var parts = text.split(separator: ";", omittingEmptySubsequences: true)[...]
        guard let essence = parts.popFirst()?.trimmed() else { return nil }
        guard let slash = essence.firstIndex(of: "/") else { return nil }
        type = String(essence[..<slash]).asciiLowercased()
        subtype = String(essence[essence.index(after: slash)...]).asciiLowercased()
        guard !type.isEmpty, !subtype.isEmpty else { return nil }
        parameters = [:]
        weight = 1000
        for part in parts {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            let name = String(pair[0].trimmed()).asciiLowercased()
            var value = String(pair[1].trimmed())
            if value.count >= 2, value.first == "\"", value.last == "\"" {
                value = String(value.dropFirst().dropLast())
            }
            if name == "q" {
                weight = MediaType.thousandths(value)
            } else {
                parameters[name] = value
            }
        }
    }

    /// The media ranges of an `Accept` header, best first; ranges of equal weight keep their order.
    package static func ranges(accept: String) -> [MediaType] {
        let ranges = accept.split(separator: ",").compactMap { MediaType($0) }.filter { $0.weight > 0 }
        return ranges.enumerated()
            .sorted { ($1.element.weight, $0.offset) < ($0.element.weight, $1.offset) }
            .map(\.element)
    }

    private static func thousandths(_ text: String) -> Int {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ Int($0) }), whole == 0 || whole == 1 else { return 1000 }
        guard whole == 0 else { return 1000 }
        guard parts.count == 2 else { return 0 }
        let digits = parts[1].prefix(3)
        guard let value = Int(digits), value >= 0 else { return digits.isEmpty ? 0 : 1000 }
        return value * [1000, 100, 10, 1][digits.count]
    }
}

extension Substring {
    /// Without leading and trailing blanks and tabs.
    func trimmed() -> Substring {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}

/// The form in which an answer is written.
package struct ResponseForm: Sendable, Hashable {
    /// The encoding of the bytes.
    package enum Encoding: Sendable, Hashable { case json, yaml, protobuf }
    /// What becomes of the object before it is encoded.
    package enum Shape: Sendable, Hashable {
        /// The object or list itself.
        case object
        /// `meta.k8s.io/VERSION` Table, the columns `kubectl get` prints.
        case table(version: String)
        /// PartialObjectMetadata of an object.
        case partialObject(version: String)
        /// PartialObjectMetadataList of a list.
        case partialObjectList(version: String)
    }
    package var encoding: Encoding
    package var shape: Shape
    /// Indented JSON, for people (`?pretty=true`, or a browser or curl by its User-Agent).
    package var isPretty: Bool

    package init(encoding: Encoding = .json, shape: Shape = .object, isPretty: Bool = false) {
        self.encoding = encoding
        self.shape = shape
        self.isPretty = isPretty
    }

    package var contentType: String {
        switch encoding {
        case .json: "application/json"
        case .yaml: "application/yaml"
        case .protobuf: "application/vnd.kubernetes.protobuf"
        }
    }

    /// The media types an object can be answered in, in the order upstream names them.
    package static let acceptedTypes = [
        "application/json", "application/yaml", "application/vnd.kubernetes.protobuf",
    ]

    /// What a stream of objects can be written as.
    package static let streamTypes = [
        "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch",
    ]

    /// Chooses the form for an `Accept` header, or nil when nothing in it can be produced (406).
    ///
    /// JSON is preferred to protobuf whenever the client takes both: stored bytes are JSON and are
    /// moved as they are.
    ///
    /// - Parameters:
    ///   - accept: the header's value, nil when absent.
    ///   - allowsTransforms: whether Table and PartialObjectMetadata make sense for the request.
    package static func negotiate(
        accept: String?, allowsTransforms: Bool, isPretty: Bool = false
    ) -> ResponseForm? {
        guard let accept, !accept.isEmpty else { return ResponseForm(isPretty: isPretty) }
        var fallback: ResponseForm?
        for range in MediaType.ranges(accept: accept) {
            guard let encoding = encoding(of: range) else { continue }
            var form = ResponseForm(encoding: encoding, isPretty: isPretty)
            if let name = range.parameters["as"] {
                guard
                    allowsTransforms, encoding != .protobuf,
                    let shape = shape(as: name, range.parameters)
                else { continue }
                form.shape = shape
                return form
            }
            if encoding != .protobuf { return form }
            fallback = fallback ?? form
        }
        return fallback
    }

    private static func encoding(of range: MediaType) -> Encoding? {
        switch (range.type, range.subtype) {
        case ("*", "*"), ("application", "*"), ("application", "json"): .json
        case ("application", "yaml"): .yaml
        case ("application", "vnd.kubernetes.protobuf"): .protobuf
        default: nil
        }
    }

    private static func shape(as name: String, _ parameters: [String: String]) -> Shape? {
        guard parameters["g"] == "meta.k8s.io", let version = parameters["v"] else { return nil }
        guard version == "v1" || version == "v1beta1" else { return nil }
        switch name {
        case "Table": return .table(version: version)
        case "PartialObjectMetadata": return .partialObject(version: version)
        case "PartialObjectMetadataList": return .partialObjectList(version: version)
        default: return nil
        }
    }
}
