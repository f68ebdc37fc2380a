import KubernetesJSON

// MARK: - ConfigMap

/// The most bytes that the values of a ConfigMap or Secret may have together.
private let dataLimit = 1024 * 1024

extension ConfigMap: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        var size = 0
        for (key, value) in data.sorted(by: { $0.key < $1.key }) {
            let path = RulePath("data").key(key)
            errors.require(NameRules.configKey, path, key)
            if binaryData[key] != nil { errors.invalid(path, key, "duplicate of key present in binaryData") }
            size += value.utf8.count
        }
        for (key, value) in binaryData.sorted(by: { $0.key < $1.key }) {
            errors.require(NameRules.configKey, RulePath("binaryData").key(key), key)
            size += value.count
        }
        // The whole object is too long, which an empty path stands for.
        if size > dataLimit { errors.tooLong("", maximum: dataLimit) }
        return errors
    }

    public func validateUpdate(from old: ConfigMap) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if old.immutable == true {
            for (field, isChanged) in [
                ("immutable", immutable != true), ("data", data != old.data),
                ("binaryData", binaryData != old.binaryData),
            ] where isChanged {
                errors.forbidden(RulePath(field), "field is immutable when `immutable` is set")
            }
        }
        return errors + validate()
    }
}

// MARK: - Secret

extension Secret: Defaulting {
    public mutating func applyDefaults() {
        if type.isEmpty { type = "Opaque" }
        // stringData is for writing only: its texts end up in data.
        for (key, value) in stringData { data[key] = Array(value.utf8) }
        stringData = [:]
    }
}

extension Secret: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        var size = 0
        for (key, value) in data.sorted(by: { $0.key < $1.key }) {
            errors.require(NameRules.configKey, RulePath("data").key(key), key)
            size += value.count
        }
        if size > dataLimit { errors.tooLong("data", maximum: dataLimit) }
        return errors + validateType()
    }

    public func validateUpdate(from old: Secret) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        errors.requireUnchanged("type", type, old.type)
        if old.immutable == true {
            for (field, isChanged) in [("immutable", immutable != true), ("data", data != old.data)]
            where isChanged {
                errors.forbidden(RulePath(field), "field is immutable when `immutable` is set")
            }
        }
        return errors + validate()
    }

    /// What the type promises must be there.
    private func validateType() -> [FieldError] {
        var errors: [FieldError] = []
        switch type {
        case "kubernetes.io/service-account-token":
            let key = "kubernetes.io/service-account.name"
            if metadata.annotations[key, default: ""].isEmpty {
                errors.required(RulePath("metadata.annotations").key(key))
            }
        case "kubernetes.io/dockercfg": errors += validateJSON(".dockercfg")
        case "kubernetes.io/dockerconfigjson": errors += validateJSON(".dockerconfigjson")
        case "kubernetes.io/basic-auth":
            if data["username"] == nil, data["password"] == nil {
                errors.required("data[username]")
                errors.required("data[password]")
            }
        case "kubernetes.io/ssh-auth":
            if data["ssh-privatekey", default: []].isEmpty { errors.required("data[ssh-privatekey]") }
        case "kubernetes.io/tls":
            for key in ["tls.crt", "tls.key"] where data[key] == nil {
                errors.required(RulePath("data").key(key))
            }
        default: break
        }
        return errors
    }

    private func validateJSON(_ key: String) -> [FieldError] {
        let path = RulePath("data").key(key)
        guard let bytes = data[key] else { return [.required(path.text)] }
        let hidden = "<secret contents redacted>"
        do throws(JSONError) {
            if try JSONValue(json: bytes).objectValue != nil { return [] }
            return [.invalid(path.text, .string(hidden), "json: must be an object")]
        } catch {
            return [.invalid(path.text, .string(hidden), error.message)]
        }
    }
}

// MARK: - ServiceAccount

extension ServiceAccount: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain)
    }

    public func validateUpdate(from old: ServiceAccount) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validate()
    }
}
