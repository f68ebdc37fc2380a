import KubernetesAPI

/// One request as admission sees it, beside the objects.
package struct AdmissionRequest: Sendable {
    /// What is done.
    package enum Operation: String, Sendable, Hashable {
        case create = "CREATE"
        case update = "UPDATE"
        case delete = "DELETE"
        case connect = "CONNECT"
    }

    package var operation: Operation
    /// The kind of the resource in the path, also when the request is for a subresource.
    package var kind: ResourceKind
    package var subresource = ""
    package var namespace: String
    /// Empty when a new object's name is still to be made up.
    package var name: String
    package var user: User
    package var isDryRun = false
    package var now: Time

    package init(
        _ operation: Operation, _ kind: ResourceKind, subresource: String = "", namespace: String,
        name: String, user: User, isDryRun: Bool = false, now: Time
    ) {
        self.operation = operation
        self.kind = kind
        self.subresource = subresource
        self.namespace = namespace
        self.name = name
        self.user = user
        self.isDryRun = isDryRun
        self.now = now
    }
}

/// What admission may look up.
package protocol AdmissionLookup: Sendable {
    /// An object as it is stored, or nil.
    func object<Object: KubernetesObject>(
        _ type: Object.Type, _ name: String, namespace: String
    ) -> Object?
    /// All objects of a kind, in one namespace unless that is nil.
    func objects<Object: KubernetesObject>(_ type: Object.Type, namespace: String?) -> [Object]
    /// How many objects of a resource (`deployments.apps`) a namespace has.
    func count(resource: String, namespace: String) -> Int
}

extension AdmissionLookup {
    package func namespace(_ name: String) -> Namespace? { object(Namespace.self, name, namespace: "") }

    package func serviceAccount(_ name: String, namespace: String) -> ServiceAccount? {
        object(ServiceAccount.self, name, namespace: namespace)
    }
}

/// Part of what stands between a request that is allowed and its being carried out.
///
/// All plugins first change the object, each seeing what those before it made of it; when the object has
/// passed its kind's own validation, all judge it. A plugin looks at the kinds that concern it and lets the
/// others pass.
package protocol AdmissionPlugin: Sendable {
    /// Fills in what the cluster decides about an object that is created or updated.
    ///
    /// - Throws: a refusal.
    func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError)

    /// Judges what is about to be written, or deleted (then there is no new object).
    ///
    /// - Returns: warnings for the client.
    /// - Throws: a refusal.
    func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String]
}

extension AdmissionPlugin {
    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {}

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] { [] }

    /// Changes an object of whatever type when it is of this one.
    package func change<Object: KubernetesObject, Wanted: KubernetesObject>(
        _ object: inout Object, as type: Wanted.Type,
        _ body: (inout Wanted) throws(APIError) -> Void
    ) throws(APIError) {
        guard var wanted = object as? Wanted else { return }
        try body(&wanted)
        if let result = wanted as? Object { object = result }
    }
}

/// The plugins of a server in their order, which is upstream's.
package struct AdmissionChain: Sendable {
    package var plugins: [any AdmissionPlugin]

    package init(_ plugins: [any AdmissionPlugin]) { self.plugins = plugins }

    /// What upstream switches on by default, as far as its kinds are served.
    package static let standard = AdmissionChain([
        NamespaceAdmission(), LimitRangeAdmission(), ServiceAccountAdmission(), NodeTaintAdmission(),
        PodSecurityAdmission(), PriorityAdmission(), TolerationAdmission(), StorageAdmission(),
        RuntimeClassAdmission(), IngressClassAdmission(), QuotaAdmission(),
    ])

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        for plugin in plugins { try plugin.mutate(&object, old: old, request, lookup) }
    }

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        var warnings: [String] = []
        for plugin in plugins { warnings += try plugin.validate(object, old: old, request, lookup) }
        return warnings
    }
}
