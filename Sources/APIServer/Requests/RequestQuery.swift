import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// How strictly unknown and duplicate fields in a body are taken (`fieldValidation`, KEP-2885).
package enum FieldValidation: String, Sendable, Hashable {
    case strict = "Strict"
    case warn = "Warn"
    case ignore = "Ignore"
}

/// The query options of create, update and patch.
package struct WriteQuery: Sendable, Hashable {
    /// `dryRun=All`: everything but storing.
    package var isDryRun = false
    /// Upstream's default when the client does not ask is `Warn`.
    package var fieldValidation: FieldValidation = .warn
    package var fieldManager = ""
    /// `force=true`: a patch of type apply takes over fields of other managers.
    package var force = false

    package init() {}

    /// Reads the options of a request.
    ///
    /// - Parameters:
    ///   - kind: `CreateOptions`, `UpdateOptions` or `PatchOptions`: named in the failure.
    ///   - patch: the language of a patch; server-side apply has options of its own.
    package init(_ query: QueryItems, kind: String, patch: PatchType? = nil) throws(APIError) {
        var errors: [FieldError] = []
        fieldManager = query.first("fieldManager") ?? ""
        let force = query.boolean("force")
        self.force = force ?? false
        if patch == .apply, fieldManager.isEmpty {
            errors.append(.required("fieldManager", "is required for apply patch"))
        }
        if let patch, patch != .apply, force != nil {
            errors.append(.forbidden("force", "may not be specified for non-apply patch"))
        }
        errors += FieldManagerName.errors(fieldManager)
        isDryRun = DryRun.read(query.all("dryRun"), &errors)
        if let text = query.first("fieldValidation"), !text.isEmpty {
            if let value = FieldValidation(rawValue: text) {
                fieldValidation = value
            } else {
                errors.append(
                    .notSupported("fieldValidation", .string(text), ["", "Ignore", "Strict", "Warn"]))
            }
        }
        if !errors.isEmpty { throw .invalid(options: kind, errors) }
    }
}

/// What a field manager may be called.
enum FieldManagerName {
    static func errors(_ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        if name.utf8.count > ManagedFields.maximumManagerLength {
            errors.append(.tooLong("fieldManager", maximum: ManagedFields.maximumManagerLength))
        }
        var position = 0
        for scalar in name.unicodeScalars {
            if !isPrintable(scalar) {
                let digits = String(scalar.value, radix: 16, uppercase: true)
                let code = String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
                errors.append(
                    .invalid(
                        "fieldManager", .string(name), "invalid character U+\(code) (at position \(position))"
                    ))
            }
            position += UTF8.width(scalar)
        }
        return errors
    }

    /// As Go's `unicode.IsPrint` has it: the only space is that of ASCII.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
            false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }
}

enum DryRun {
    /// `All` is the only value there is.
    static func read(_ values: [String], _ errors: inout [FieldError]) -> Bool {
        if values.contains(where: { $0 != "All" }) {
            let shown = values.map { JSONValue.string($0).description }.joined(separator: ", ")
            errors.append(
                FieldError(
                    type: .notSupported, field: "dryRun", shownValue: "[]string{\(shown)}",
                    detail: #"supported values: "All""#))
        }
        return values.contains("All")
    }
}

/// The query options of list and watch.
package struct ListQuery: Sendable {
    /// Which state a list shows (`resourceVersion` with `resourceVersionMatch`).
    package enum Moment: Sendable, Hashable {
        /// The most recent state.
        case latest
        /// Any state will do (`resourceVersion=0`).
        case any
        /// A state at least as new.
        case notOlderThan(Revision)
        /// Exactly this one.
        case exact(Revision)
    }

    package var labels = Selector.everything
    package var fields = FieldSelector.everything
    package var moment = Moment.latest
    /// 0: no limit.
    package var limit = 0
    package var continuation = ""
    package var isWatch = false
    package var allowsBookmarks = false
    package var sendsInitialEvents: Bool?
    package var timeoutSeconds: Int?

    package init() {}

    /// Reads and checks the options.
    ///
    /// - Parameters:
    ///   - isWatch: whether the request is a watch by its path or query.
    ///   - selectable: the field labels that the resource can be selected by.
    package init(_ query: QueryItems, isWatch: Bool, selectable: [String]) throws(APIError) {
        self.isWatch = isWatch
        if let text = query.first("labelSelector"), !text.isEmpty {
            labels = try Selectors.labels(text)
        }
        if let text = query.first("fieldSelector"), !text.isEmpty {
            fields = try Selectors.fields(text, selectable: selectable)
        }
        limit = try query.integer("limit") ?? 0
        continuation = query.first("continue") ?? ""
        allowsBookmarks = query.boolean("allowWatchBookmarks") ?? false
        sendsInitialEvents = query.boolean("sendInitialEvents")
        timeoutSeconds = try query.integer("timeoutSeconds")
        let version = query.first("resourceVersion") ?? ""
        let match = query.first("resourceVersionMatch") ?? ""
        let errors = ListQuery.check(
            version: version, match: match, isWatch: isWatch,
            sendsInitialEvents: sendsInitialEvents, hasContinuation: !continuation.isEmpty)
        if !errors.isEmpty { throw .invalid(options: "ListOptions", errors) }
        if limit < 0 { limit = 0 }
        guard !version.isEmpty else { return }
        let revision = try Revisions.parse(version)
        if !continuation.isEmpty {
            guard revision == 0 else {
                throw .badRequest("specifying resource version is not allowed when using continue")
            }
            return
        }
        // A page of a certain size at a certain revision is that revision's own, unless told otherwise.
        if match == "Exact" || (match.isEmpty && limit > 0 && revision > 0 && !isWatch) {
            moment = .exact(revision)
        } else {
            moment = revision == 0 ? .any : .notOlderThan(revision)
        }
    }

    private static func check(
        version: String, match: String, isWatch: Bool, sendsInitialEvents: Bool?, hasContinuation: Bool
    ) -> [FieldError] {
        var errors: [FieldError] = []
        func forbid(_ field: String, _ detail: String) {
            errors.append(FieldError(.forbidden, field, detail: detail))
        }
        if isWatch {
            if sendsInitialEvents != nil, match != "NotOlderThan" {
                forbid(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
            }
            guard !match.isEmpty else { return errors }
            if sendsInitialEvents == nil {
                forbid(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
            }
            if match != "NotOlderThan" {
                errors.append(.notSupported("resourceVersionMatch", .string(match), ["NotOlderThan"]))
            }
            if hasContinuation {
                forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            }
            return errors
        }
        if !match.isEmpty {
            if version.isEmpty {
                forbid(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden unless resourceVersion is provided")
            }
            if hasContinuation {
                forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            }
            if match != "Exact", match != "NotOlderThan" {
                errors.append(
                    .notSupported("resourceVersionMatch", .string(match), ["Exact", "NotOlderThan", ""]))
            }
            if match == "Exact", version == "0" {
                forbid(
                    "resourceVersionMatch",
                    #"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#)
            }
        }
        if sendsInitialEvents != nil {
            forbid("sendInitialEvents", "sendInitialEvents is forbidden for list")
        }
        return errors
    }
}

/// Reading of resource versions.
package enum Revisions {
    /// The number behind a `resourceVersion` parameter; the failure is worded as upstream's.
    package static func parse(_ text: String) throws(APIError) -> Revision {
        if text.isEmpty { return 0 }
        if let value = Revision(text), text.first != "+" { return value }
        let isNumber = text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
        let why = isNumber ? "value out of range" : "invalid syntax"
        throw .badRequest(
            #"invalid resource version: resourceVersion: Invalid value: "\#(text)": "#
                + #"strconv.ParseUint: parsing "\#(text)": \#(why)"#)
    }
}

extension QueryItems {
    /// A truth value: upstream takes any text but `false` and `0` for true, an empty one too.
    func boolean(_ name: String) -> Bool? {
        guard let text = first(name) else { return nil }
        return !(text == "0" || text.asciiLowercased() == "false")
    }

    /// A whole number.
    func integer(_ name: String) throws(APIError) -> Int? {
        guard let text = first(name) else { return nil }
        if let value = Int(text) { return value }
        let digits = text.utf8.first == 0x2D ? text.utf8.dropFirst() : text.utf8[...]
        let isNumber = !digits.isEmpty && digits.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
        throw .badRequest(
            #"strconv.ParseInt: parsing "\#(text)": \#(isNumber ? "value out of range" : "invalid syntax")"#)
    }
}
