import KubernetesAPI
import KubernetesJSON

extension AuditPolicy {
    /// Reads a policy file, YAML or JSON.
    ///
    /// - Throws: `configuration`, naming the field that is wrong and what was expected.
    package init(_ bytes: [UInt8]) throws(APIServerError) {
        let value: JSONValue
        do {
            value = try YAML.decode(bytes)
        } catch {
            throw Self.wrong("", error.status.message)
        }
        let reader = try AuditFields(value, "")
        try reader.only(["apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"])
        guard value["apiVersion"]?.stringValue == "audit.k8s.io/v1", value["kind"]?.stringValue == "Policy"
        else {
            throw Self.wrong(
                "",
                "expected apiVersion audit.k8s.io/v1 and kind Policy, found apiVersion "
                    + "\(value["apiVersion"]?.description ?? "nothing") and kind "
                    + "\(value["kind"]?.description ?? "nothing")")
        }
        omitStages = try reader.stages()
        omitManagedFields = try reader.flag("omitManagedFields") ?? false
        for (index, rule) in try reader.list("rules").enumerated() {
            rules.append(try Rule(AuditFields(rule, "rules[\(index)]")))
        }
        guard !rules.isEmpty else { throw Self.wrong("rules", "expected at least one rule, found none") }
    }

    fileprivate static func wrong(_ path: String, _ message: String) -> APIServerError {
        APIServerError(.configuration, "audit policy: " + (path.isEmpty ? message : "\(path): \(message)"))
    }
}

extension AuditPolicy.Rule {
    fileprivate init(_ fields: AuditFields) throws(APIServerError) {
        self.init()
        try fields.only([
            "level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs",
            "omitStages",
            "omitManagedFields",
        ])
        let text = fields.value["level"]?.stringValue ?? ""
        guard let level = AuditLevel(rawValue: text) else {
            throw fields.wrong(
                "level",
                "expected one of \(AuditLevel.allCases.map(\.rawValue).joined(separator: ", ")), found \"\(text)\""
            )
        }
        self.level = level
        users = try fields.texts("users")
        userGroups = try fields.texts("userGroups")
        verbs = try fields.texts("verbs")
        namespaces = try fields.texts("namespaces")
        nonResourceURLs = try fields.texts("nonResourceURLs")
        omitStages = try fields.stages()
        omitManagedFields = try fields.flag("omitManagedFields")
        for (index, value) in try fields.list("resources").enumerated() {
            let part = try AuditFields(value, "\(fields.path).resources[\(index)]")
            try part.only(["group", "resources", "resourceNames"])
            resources.append(
                AuditPolicy.Resources(
                    group: part.value["group"]?.stringValue ?? "", resources: try part.texts("resources"),
                    resourceNames: try part.texts("resourceNames")))
            if let last = resources.last, last.resources.isEmpty, !last.resourceNames.isEmpty {
                throw part.wrong("resourceNames", "using resourceNames requires at least one resource")
            }
        }
        if !nonResourceURLs.isEmpty, !resources.isEmpty || !namespaces.isEmpty {
            throw fields.wrong(
                "nonResourceURLs", "rules cannot apply to both regular resources and non-resource URLs")
        }
        for url in nonResourceURLs where url != "*" {
            guard url.hasPrefix("/") else {
                throw fields.wrong("nonResourceURLs", "expected paths that begin with /, found \"\(url)\"")
            }
            guard !url.dropLast().contains("*") else {
                throw fields.wrong(
                    "nonResourceURLs", "expected * at the end of a path only, found \"\(url)\"")
            }
        }
    }
}

/// The fields of one mapping of the policy.
private struct AuditFields {
    let value: JSONValue
    let path: String

    init(_ value: JSONValue, _ path: String) throws(APIServerError) {
        self.value = value
        self.path = path
        guard value.objectValue != nil else {
            throw AuditPolicy.wrong(path, "expected a mapping, found \(value)")
        }
    }

    func wrong(_ field: String, _ message: String) -> APIServerError {
        AuditPolicy.wrong(path.isEmpty ? field : "\(path).\(field)", message)
    }

    func only(_ known: Set<String>) throws(APIServerError) {
        for key in value.objectValue?.keys ?? [] where !known.contains(key) {
            throw wrong(key, "unknown field")
        }
    }

    func list(_ field: String) throws(APIServerError) -> [JSONValue] {
        guard let found = value[field], found != .null else { return [] }
        guard let list = found.arrayValue else { throw wrong(field, "expected a list, found \(found)") }
        return list
    }

    func texts(_ field: String) throws(APIServerError) -> [String] {
        var texts: [String] = []
        for element in try list(field) {
            guard let text = element.stringValue else {
                throw wrong(field, "expected a list of texts, found \(element) in it")
            }
            texts.append(text)
        }
        return texts
    }

    func flag(_ field: String) throws(APIServerError) -> Bool? {
        guard let found = value[field], found != .null else { return nil }
        guard case .bool(let flag) = found else {
            throw wrong(field, "expected true or false, found \(found)")
        }
        return flag
    }

    func stages() throws(APIServerError) -> Set<AuditStage> {
        var stages: Set<AuditStage> = []
        for text in try texts("omitStages") {
            guard let stage = AuditStage(rawValue: text) else {
                throw wrong(
                    "omitStages",
                    "expected some of \(AuditStage.allCases.map(\.rawValue).joined(separator: ", ")), found \"\(text)\""
                )
            }
            stages.insert(stage)
        }
        return stages
    }
}
