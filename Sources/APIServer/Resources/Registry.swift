import KubernetesAPI

/// All kinds the server serves, by group and version.
package struct Registry: Sendable {
    /// A group with its versions, the preferred one first.
    package struct Group: Sendable {
        package var name: String
        package var versions: [Version]
    }
    package struct Version: Sendable {
        package var name: String
        package var resources: [any AnyResource]
        /// Resources that only take POST and answer at once.
        package var reviews: [Review]
    }

    package var groups: [Group]
    private let byPath: [Path: any AnyResource]
    private let reviewsByPath: [Path: Review]

    private struct Path: Hashable {
        var group: String
        var version: String
        var plural: String
    }

    package init(groups: [Group]) {
        self.groups = groups
        var byPath: [Path: any AnyResource] = [:]
        var reviewsByPath: [Path: Review] = [:]
        for group in groups {
            for version in group.versions {
                for resource in version.resources {
                    let path = Path(group: group.name, version: version.name, plural: resource.kind.plural)
                    byPath[path] = resource
                }
                for review in version.reviews {
                    let path = Path(group: group.name, version: version.name, plural: review.kind.plural)
                    reviewsByPath[path] = review
                }
            }
        }
        self.byPath = byPath
        self.reviewsByPath = reviewsByPath
    }

    /// The resource at a path, or nil.
    package func resource(group: String, version: String, plural: String) -> (any AnyResource)? {
        byPath[Path(group: group, version: version, plural: plural)]
    }

    /// The review at a path, or nil.
    package func review(group: String, version: String, plural: String) -> Review? {
        reviewsByPath[Path(group: group, version: version, plural: plural)]
    }

    /// A group and version, or nil when it is not served.
    package func version(group: String, version: String) -> Version? {
        groups.first { $0.name == group }?.versions.first { $0.name == version }
    }

    /// Every kind that Swiftlet serves now.
    package static func standard(
        addresses: ServiceAddresses, now: @escaping @Sendable () -> Time
    ) -> Registry {
        Registry(groups: [
            Group(
                name: "",
                versions: [
                    Version(
                        name: "v1", resources: CoreResources.all(addresses, now: now), reviews: [.binding])
                ]),
            Group(
                name: "apps", versions: [Version(name: "v1", resources: AppsResources.all, reviews: [])]),
            Group(
                name: "authentication.k8s.io",
                versions: [
                    Version(name: "v1", resources: [], reviews: [.selfSubject, .token])
                ]),
            Group(
                name: "authorization.k8s.io",
                versions: [
                    Version(
                        name: "v1", resources: [],
                        reviews: [.localAccess, .selfAccess, .selfRules, .access])
                ]),
            Group(
                name: "autoscaling",
                versions: [
                    Version(name: "v2", resources: AutoscalingResources.v2, reviews: []),
                    Version(name: "v1", resources: AutoscalingResources.v1, reviews: []),
                ]),
            Group(
                name: "batch", versions: [Version(name: "v1", resources: BatchResources.all, reviews: [])]),
            Group(
                name: "coordination.k8s.io",
                versions: [Version(name: "v1", resources: CoordinationResources.all, reviews: [])]),
            Group(
                name: "discovery.k8s.io",
                versions: [Version(name: "v1", resources: DiscoveryResources.all, reviews: [])]),
            Group(
                name: "events.k8s.io",
                versions: [Version(name: "v1", resources: EventResources.all, reviews: [])]),
            Group(
                name: "networking.k8s.io",
                versions: [Version(name: "v1", resources: NetworkingResources.all, reviews: [])]),
            Group(
                name: "node.k8s.io",
                versions: [Version(name: "v1", resources: NodeResources.all, reviews: [])]),
            Group(
                name: "policy", versions: [Version(name: "v1", resources: PolicyResources.all, reviews: [])]),
            Group(
                name: "rbac.authorization.k8s.io",
                versions: [Version(name: "v1", resources: AccessResources.all, reviews: [])]),
            Group(
                name: "scheduling.k8s.io",
                versions: [Version(name: "v1", resources: SchedulingResources.all, reviews: [])]),
            Group(
                name: "storage.k8s.io",
                versions: [Version(name: "v1", resources: StorageResources.all, reviews: [])]),
        ])
    }
}

/// A resource that is not stored: a question posted and answered at once.
package struct Review: Sendable {
    package enum Question: Sendable, Hashable {
        case binding, selfSubject, token, localAccess, selfAccess, selfRules, access
    }
    package var kind: ResourceKind
    package var question: Question

    static let binding = Review(kind: Binding.resource, question: .binding)
    static let selfSubject = Review(kind: SelfSubjectReview.resource, question: .selfSubject)
    static let token = Review(kind: TokenReview.resource, question: .token)
    static let localAccess = Review(kind: LocalSubjectAccessReview.resource, question: .localAccess)
    static let selfAccess = Review(kind: SelfSubjectAccessReview.resource, question: .selfAccess)
    static let selfRules = Review(kind: SelfSubjectRulesReview.resource, question: .selfRules)
    static let access = Review(kind: SubjectAccessReview.resource, question: .access)
}
