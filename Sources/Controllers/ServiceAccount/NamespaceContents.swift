import KubernetesAPI
import KubernetesClient

/// Gives every namespace what pods in it rely on: the service account `default`, and the cluster's certificate
/// authority in the config map `kube-root-ca.crt`.
final class NamespaceContents: QueueingController {
    let name = "serviceaccount"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "serviceaccount")

    private let namespaces: Informer<Namespace>
    private let accounts: Informer<ServiceAccount>
    private let configMaps: Informer<ConfigMap>
    private let publisher: KubernetesClient
    /// PEM.
    private let certificateAuthority: String

    static let rootCertificates = "kube-root-ca.crt"
    private static let dataKey = "ca.crt"
    /// Upstream's text, word for word: people search for it.
    private static let description =
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as "
        + "the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
        + "Kubernetes clusters."

    /// - Parameter publisher: writes the config maps, as somebody else than who makes the accounts.
    init(_ context: ControllerContext, publisher: KubernetesClient, certificateAuthority: String) {
        self.context = context
        self.publisher = publisher
        self.certificateAuthority = certificateAuthority
        namespaces = context.informers.informer(Namespace.self)
        accounts = context.informers.informer(ServiceAccount.self)
        configMaps = context.informers.informer(ConfigMap.self)
    }

    func subscribe() {
        namespaces.subscribe { [queue] event in
            if let namespace = event.object { queue.add(namespace.key) }
        }
        accounts.subscribe { [queue] event in
            guard case .deleted(let account) = event, account.metadata.name == "default" else { return }
            queue.add(NamespacedName(namespace: "", name: account.metadata.namespace))
        }
        configMaps.subscribe { [queue] event in
            guard let map = event.object, map.metadata.name == Self.rootCertificates else { return }
            queue.add(NamespacedName(namespace: "", name: map.metadata.namespace))
        }
    }

    func waitForCaches() async {
        await namespaces.waitForSync()
        await accounts.waitForSync()
        await configMaps.waitForSync()
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let namespace = namespaces.get(namespace: "", name: key.name),
            namespace.metadata.deletionTimestamp == nil
        else { return }
        do {
            if accounts.get(namespace: key.name, name: "default") == nil {
                var account = ServiceAccount()
                account.metadata.name = "default"
                account.metadata.namespace = key.name
                _ = try await context.client.create(account)
            }
        } catch let error as APIError where error.isAlreadyExists {
            // Made a moment ago; the cache has yet to see it.
        }
        try await publishRootCertificates(namespace: key.name)
    }

    private func publishRootCertificates(namespace: String) async throws {
        var map = configMaps.get(namespace: namespace, name: Self.rootCertificates) ?? ConfigMap()
        let isNew = map.metadata.name.isEmpty
        guard isNew || map.data != [Self.dataKey: certificateAuthority] else { return }
        map.metadata.name = Self.rootCertificates
        map.metadata.namespace = namespace
        map.metadata.annotations["kubernetes.io/description"] = Self.description
        map.data = [Self.dataKey: certificateAuthority]
        do {
            _ = isNew ? try await publisher.create(map) : try await publisher.update(map)
        } catch let error as APIError where error.isAlreadyExists {
            return
        }
    }
}
