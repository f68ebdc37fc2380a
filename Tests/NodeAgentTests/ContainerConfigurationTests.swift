import ContainerRuntime
import KubernetesAPI
import NodeAgent
import Testing

@Suite struct ContainerConfigurationTests {
    @Test(arguments: [
        ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$(NOPE)", "$(NOPE)"), ("$$(A)", "$(A)"), ("$A", "$A"),
        ("$(A", "$(A"),
        ("$", "$"), ("$$", "$"), ("a$$$(A)", "a$1"), ("$()", "$()"),
    ])
    func variablesAreExpanded(text: String, expected: String) {
        #expect(Expansion.expand(text) { ["A": "1", "B": "2"][$0] } == expected)
    }

    private static func facts(_ container: Container) -> DownwardAPI {
        var pod = Pod(
            metadata: ObjectMeta(
                name: "p", namespace: "ns", uid: "u", labels: ["app": "web"], annotations: ["a": "b\"c"]))
        pod.spec.containers = [container]
        pod.spec.serviceAccountName = "default"
        return DownwardAPI(
            pod: pod, podAddresses: ["10.244.0.9"], nodeAddresses: ["192.0.2.1"], allocatable: ["cpu": "4"])
    }

    @Test func theEnvironmentComesInUpstreamsOrder() throws {
        var container = Container(name: "c")
        container.envFrom = [EnvFromSource(prefix: "P_", configMapRef: ConfigMapEnvSource(name: "map"))]
        container.env = [
            EnvVar(name: "HOST", value: "$(WEB_SERVICE_HOST):$(P_KEY)"),
            EnvVar(
                name: "IP", valueFrom: EnvVarSource(fieldRef: ObjectFieldSelector(fieldPath: "status.podIP"))),
            EnvVar(
                name: "CPU",
                valueFrom: EnvVarSource(resourceFieldRef: ResourceFieldSelector(resource: "limits.cpu"))),
            EnvVar(
                name: "SECRET", valueFrom: EnvVarSource(secretKeyRef: SecretKeySelector(name: "s", key: "k"))),
            EnvVar(name: "LATER", value: "$(IP)"),
        ]
        var service = Service(metadata: ObjectMeta(name: "web", namespace: "ns"))
        service.spec.clusterIP = "10.96.1.2"
        service.spec.ports = [ServicePort(protocol: "TCP", port: 80)]
        let environment = Environment(
            configMaps: ["map": ConfigMap(data: ["KEY": "v"])],
            secrets: ["s": Secret(data: ["k": Array("hidden".utf8)])], services: [service],
            facts: Self.facts(container))
        let variables = try environment.variables(container)
        #expect(
            variables.prefix(6).map { "\($0.name)=\($0.value)" } == [
                "P_KEY=v", "HOST=10.96.1.2:v", "IP=10.244.0.9", "CPU=4", "SECRET=hidden", "LATER=10.244.0.9",
            ])
        #expect(variables.contains { $0.name == "WEB_PORT_80_TCP" && $0.value == "tcp://10.96.1.2:80" })
    }

    @Test func whatIsMissingIsNamed() {
        var container = Container(name: "c")
        container.env = [
            EnvVar(
                name: "X", valueFrom: EnvVarSource(configMapKeyRef: ConfigMapKeySelector(name: "m", key: "k"))
            )
        ]
        let environment = Environment(facts: Self.facts(container))
        #expect(throws: ContainerConfigurationError("configmap \"m\" not found")) {
            try environment.variables(container)
        }
        container.env[0].valueFrom?.configMapKeyRef?.optional = true
        #expect((try? environment.variables(container))?.isEmpty == true)
    }

    @Test func dnsPoliciesAreKept() {
        let host = ResolverConfiguration(
            parsing: "# x\nnameserver 192.0.2.53\nsearch example.org\noptions timeout:1\n")
        func make(_ policy: String, hostNetwork: Bool = false, _ config: PodDNSConfig? = nil)
            -> ResolverConfiguration
        {
            var pod = Pod(metadata: ObjectMeta(name: "p", namespace: "ns"))
            pod.spec.dnsPolicy = policy
            pod.spec.hostNetwork = hostNetwork
            pod.spec.dnsConfig = config
            return ResolverConfiguration(
                pod, clusterServer: "10.96.0.10", domain: "cluster.local", host: host)
        }
        let cluster = ResolverConfiguration(
            servers: ["10.96.0.10"],
            searches: ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.org"],
            options: ["ndots:5"])
        #expect(make("ClusterFirst") == cluster)
        #expect(make("ClusterFirst", hostNetwork: true) == host)
        #expect(make("ClusterFirstWithHostNet", hostNetwork: true) == cluster)
        #expect(make("Default") == host)
        let own = PodDNSConfig(
            nameservers: ["192.0.2.1"], searches: ["a.b"],
            options: [PodDNSConfigOption(name: "ndots", value: "2")])
        #expect(
            make("None", own)
                == ResolverConfiguration(servers: ["192.0.2.1"], searches: ["a.b"], options: ["ndots:2"]))
        #expect(make("ClusterFirst", own).options == ["ndots:2"])
    }

    /// systemd writes "search ." on machines without a domain; musl's and busybox's resolvers fail with that.
    @Test func theRootIsNoSearchDomain() {
        func searches(_ text: String) -> [String] { ResolverConfiguration(parsing: text).searches }
        #expect(searches("search .\n") == [])
        #expect(searches("search corp.example. . b.example\n") == ["corp.example", "b.example"])
        #expect(searches("search a.example\nsearch .\n") == [])
        let text = "options ndots:1 edns0\noptions timeout:2 ndots:3\n"
        #expect(ResolverConfiguration(parsing: text).options == ["edns0", "timeout:2", "ndots:3"])
    }

    @Test func whatResolversWouldNotTakeIsLeftOutAndSaid() {
        var fine = ResolverConfiguration(
            servers: ["192.0.2.1", "192.0.2.2", "192.0.2.3"], searches: (0..<32).map { "d\($0).example" })
        let before = fine
        #expect(fine.enforceLimits().isEmpty)
        #expect(fine == before)
        var many = ResolverConfiguration(
            servers: ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"],
            searches: (0..<33).map { "d\($0).example" })
        let messages = many.enforceLimits()
        #expect(many == before)
        #expect(messages.count == 2)
        #expect(messages.first?.hasSuffix("nameserver line is: 192.0.2.1 192.0.2.2 192.0.2.3") == true)
        let long = String(repeating: "a", count: 63)
        var line = ResolverConfiguration(searches: (0..<20).map { "\(long).\(long).d\($0)" })
        #expect(line.enforceLimits().count == 1)
        #expect(line.searches.joined(separator: " ").utf8.count <= 2048)
        #expect(line.searches.count == 15)
    }

    @Test func podsAskWhatIsBehindALoopbackResolver() {
        let files = [
            "/etc/resolv.conf": "nameserver 127.0.0.53\nsearch example.org\noptions edns0\n",
            "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53\nsearch example.org\n",
            "/plain": "nameserver 192.0.2.1\nnameserver 127.0.0.1\n",
        ]
        func host(_ path: String) -> ResolverConfiguration {
            ResolverConfiguration.host(path) { files[$0] }
        }
        #expect(
            host("/etc/resolv.conf")
                == ResolverConfiguration(servers: ["192.0.2.53"], searches: ["example.org"]))
        #expect(host("/plain").servers == ["192.0.2.1", "127.0.0.1"])
        #expect(host("/nowhere") == ResolverConfiguration())
        #expect(ResolverConfiguration.host("/l") { $0 == "/l" ? "nameserver ::1" : nil }.servers == ["::1"])
    }

    @Test func aHostNameIsALabel() {
        var pod = Pod(metadata: ObjectMeta(name: String(repeating: "a", count: 62) + "-b", namespace: "ns"))
        #expect(PodName.hostname(pod) == String(repeating: "a", count: 62))
        pod.spec.hostname = "h"
        pod.spec.subdomain = "sub"
        let text = HostsFile.text(pod, addresses: ["10.244.0.3"], nodeFile: "", domain: "cluster.local")
        #expect(text.hasSuffix("10.244.0.3\th.sub.ns.svc.cluster.local\th\n"))
        // One that is given whole has nothing behind it.
        pod.spec.hostnameOverride = "whole.example"
        let whole = HostsFile.text(pod, addresses: ["10.244.0.3"], nodeFile: "", domain: "cluster.local")
        #expect(whole.hasSuffix("10.244.0.3\twhole.example\n"))
    }

    @Test func theKernelIsToldTheQualifiedNameOnDemand() throws {
        var pod = Pod(metadata: ObjectMeta(name: "p", namespace: "ns", uid: "u"))
        pod.spec.setHostnameAsFQDN = true
        #expect(try PodName.kernelHostname(pod, domain: "cluster.local") == "p")
        pod.spec.subdomain = "sub"
        #expect(try PodName.kernelHostname(pod, domain: "cluster.local") == "p.sub.ns.svc.cluster.local")
        pod.spec.setHostnameAsFQDN = nil
        #expect(try PodName.kernelHostname(pod, domain: "cluster.local") == "p")
        pod.spec.setHostnameAsFQDN = true
        pod.spec.hostname = String(repeating: "h", count: 40)
        let error = #expect(throws: ContainerConfigurationError.self) {
            try PodName.kernelHostname(pod, domain: "cluster.local")
        }
        #expect(
            error?.message.hasSuffix("is too long (64 characters is the max, 65 characters requested)")
                == true)
    }

    @Test func aPodSharingTheNodesNetworkHasNoHostname() throws {
        var pod = Pod(metadata: ObjectMeta(name: "p", namespace: "ns", uid: "u"))
        pod.spec.hostNetwork = true
        pod.spec.containers = [Container(name: "c", ports: [ContainerPort(hostPort: 80, containerPort: 80)])]
        let builder = SandboxBuilder(
            logDirectory: "/l", controlGroup: "/g", resolver: ResolverConfiguration(), domain: "cluster.local"
        )
        let configuration = try builder.configuration(pod, attempt: 2)
        #expect(configuration.hostname.isEmpty)
        #expect(configuration.portMappings.isEmpty)
        #expect(configuration.linux.cgroupParent == "/g/podu")
        #expect(configuration.metadata.attempt == 2)
    }

    @Test func rootIsRefusedWhereItMustNotBe() throws {
        var container = Container(name: "c", image: "x")
        container.securityContext = SecurityContext(runAsNonRoot: true)
        let pod = Self.facts(container).pod
        #expect(throws: ContainerConfigurationError.self) {
            try SecurityContexts.container(container, pod, image: ImageObservation(id: "i"))
        }
        let image = ImageObservation(id: "i", userID: 1000)
        #expect(try SecurityContexts.container(container, pod, image: image).runAsUser.value == 1000)
    }

    @Test func qualityOfServiceFollowsRequestsAndLimits() {
        func quality(_ limits: [String: Quantity], _ requests: [String: Quantity]) -> QualityOfService {
            var pod = Pod()
            pod.spec.containers = [
                Container(name: "c", resources: ResourceRequirements(limits: limits, requests: requests))
            ]
            return QualityOfService(pod)
        }
        #expect(quality([:], [:]) == .bestEffort)
        #expect(quality(["cpu": "1", "memory": "1Gi"], ["cpu": "1", "memory": "1Gi"]) == .guaranteed)
        #expect(quality(["cpu": "1", "memory": "1Gi"], [:]) == .guaranteed)
        #expect(quality(["cpu": "1"], ["cpu": "500m"]) == .burstable)
        let container = Container(
            name: "c", resources: ResourceRequirements(limits: ["cpu": "500m", "memory": "64Mi"]))
        let limits = ControlGroupLimits(container)
        #expect(limits.cpuQuota == 50_000 && limits.cpuShares == 512 && limits.memory == 64 << 20)
    }

    /// By upstream's rules: requests add up, limits only if everybody has one.
    @Test func aPodsContainersAreWeighedTogether() {
        func container(
            _ limits: [String: Quantity], _ requests: [String: Quantity] = [:], restartPolicy: String = ""
        ) -> Container {
            var container = Container(
                name: "c", resources: ResourceRequirements(limits: limits, requests: requests))
            container.restartPolicy = restartPolicy
            return container
        }
        var pod = Pod()
        pod.spec.containers = [container([:])]
        #expect(ControlGroupLimits(pod).cpuShares == 2)
        #expect(ControlGroupLimits(pod).cpuQuota == 0 && ControlGroupLimits(pod).memory == 0)
        pod.spec.containers = [
            container(["memory": "64Mi"], ["cpu": "50m"]), container(["cpu": "1", "memory": "64Mi"]),
        ]
        #expect(ControlGroupLimits(pod).cpuShares == 1050 * 1024 / 1000)
        #expect(ControlGroupLimits(pod).cpuQuota == 0)
        #expect(ControlGroupLimits(pod).memory == 128 << 20)
        // Sidecars add, what runs before counts if it is more.
        let sidecar = container(
            ["cpu": "500m", "memory": "16Mi"], ["cpu": "100m"], restartPolicy: "Always")
        pod.spec.initContainers = [container(["memory": "1Gi"], ["cpu": "1200m"]), sidecar]
        #expect(ControlGroupLimits(pod).cpuShares == 1200 * 1024 / 1000)
        #expect(ControlGroupLimits(pod).memory == 1 << 30)
        pod.spec.initContainers.swapAt(0, 1)
        #expect(ControlGroupLimits(pod).cpuShares == 1300 * 1024 / 1000)
        #expect(ControlGroupLimits(pod).memory == 1040 << 20)
        pod.spec.initContainers = [sidecar]
        pod.spec.containers[0].resources.limits["cpu"] = "250m"
        #expect(ControlGroupLimits(pod).cpuQuota == 175_000)
        pod.spec.overhead = ["cpu": "250m", "memory": "1Mi"]
        #expect(ControlGroupLimits(pod).cpuQuota == 200_000)
        #expect(ControlGroupLimits(pod).memory == 145 << 20)
        #expect(ControlGroupLimits(pod).cpuShares == 1400 * 1024 / 1000)
        pod.spec.overhead = [:]
        pod.spec.resources = ResourceRequirements(limits: ["memory": "32Mi"], requests: ["cpu": "2"])
        #expect(ControlGroupLimits(pod).cpuShares == 2048)
        #expect(ControlGroupLimits(pod).memory == 32 << 20)
        // Nothing that somebody asks for is too much to be added up.
        pod.spec.resources = nil
        pod.spec.containers = [
            container(["cpu": "9E", "memory": "9E"]), container(["cpu": "9E", "memory": "9E"]),
        ]
        #expect(ControlGroupLimits(pod).cpuShares == 262_144)
        #expect(ControlGroupLimits(pod).memory > 1 << 50)
    }

    @Test func pullPoliciesDecide() {
        #expect(ImagePullPlan(policy: "Always", image: "x", isPresent: true) == .pull)
        #expect(ImagePullPlan(policy: "IfNotPresent", image: "x", isPresent: true) == .useLocal)
        #expect(ImagePullPlan(policy: "IfNotPresent", image: "x", isPresent: false) == .pull)
        #expect(ImagePullPlan(policy: "Never", image: "x", isPresent: false) == .never)
    }

    @Test func pullSecretsAreFoundByRegistry() {
        let file = Array(#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYXNz"}}}"#.utf8)
        #expect(
            PullSecrets.credentials(file, registry: "docker.io")
                == RegistryCredentials(userName: "user", password: "pass", server: "docker.io"))
        #expect(PullSecrets.credentials(file, registry: "ghcr.io") == nil)
        #expect(PullSecrets.credentials([1, 2], registry: "docker.io") == nil)
    }
}
