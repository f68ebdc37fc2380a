import APIServer
import KubernetesAPI
import Testing

/// The Pod Security Standards as values.
@Suite struct PodSecurityTests {
    private static let careful = SecurityContext(
        capabilities: Capabilities(drop: ["ALL"]), runAsNonRoot: true, allowPrivilegeEscalation: false,
        seccompProfile: SeccompProfile(type: "RuntimeDefault"))

    private func violations(
        _ level: PodSecurityPolicy.Level, minor: Int? = nil, metadata: ObjectMeta = ObjectMeta(),
        _ change: (inout PodSpec) -> Void
    ) -> [String] {
        var spec = PodSpec(containers: [Container(name: "c", securityContext: Self.careful)])
        change(&spec)
        return PodSecurityPolicy.Standard(level, minor: minor).violations(metadata, spec).map(\.description)
    }

    @Test func aCarefulPodIsRestricted() {
        #expect(violations(.restricted) { _ in } == [])
    }

    @Test func nothingIsTooMuchForThePrivileged() {
        #expect(violations(.privileged) { $0.hostNetwork = true } == [])
    }

    @Test func theBaselineKeepsPodsOffTheHost() {
        let found = violations(.baseline) { spec in
            spec.hostNetwork = true
            spec.hostPID = true
            spec.volumes = [
                Volume(name: "a", hostPath: HostPathVolumeSource(path: "/")),
                Volume(name: "b", hostPath: HostPathVolumeSource(path: "/")),
            ]
            spec.containers[0].ports = [
                ContainerPort(hostPort: 80, containerPort: 80),
                ContainerPort(hostPort: 443, containerPort: 443),
            ]
            spec.initContainers = [
                Container(
                    name: "i",
                    securityContext: SecurityContext(
                        capabilities: Capabilities(add: ["SYS_ADMIN", "CHOWN"]), procMount: "Unmasked"))
            ]
        }
        #expect(
            found == [
                #"non-default capabilities (container "i" must not include "SYS_ADMIN" in securityContext.capabilities.add)"#,
                "host namespaces (hostNetwork=true, hostPID=true)", #"hostPath volumes (volumes "a", "b")"#,
                #"hostPort (container "c" uses hostPorts 443, 80)"#,
                #"procMount (container "i" must not set securityContext.procMount to "Unmasked")"#,
            ])
    }

    @Test func profilesMustConfine() {
        let found = violations(
            .baseline,
            metadata: ObjectMeta(annotations: [
                "container.apparmor.security.beta.kubernetes.io/c": "unconfined"
            ])
        ) { spec in
            spec.securityContext = PodSecurityContext(
                seLinuxOptions: SELinuxOptions(user: "u", type: "spc_t"),
                sysctls: [Sysctl(name: "kernel.msgmax", value: "1")],
                seccompProfile: SeccompProfile(type: "Unconfined"),
                appArmorProfile: AppArmorProfile(type: "Unconfined"))
        }
        #expect(
            found == [
                #"forbidden AppArmor profiles (pod and annotation must not set AppArmor profile type to "Unconfined", "container.apparmor.security.beta.kubernetes.io/c="unconfined"")"#,
                #"seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)"#,
                #"seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")"#,
                "forbidden sysctls (kernel.msgmax)",
            ])
    }

    @Test func therestrictedLevelAsksForMore() {
        let found = violations(.restricted) { spec in
            spec.containers[0].securityContext = SecurityContext(
                capabilities: Capabilities(add: ["CHOWN"]), runAsUser: 0, runAsNonRoot: false)
            spec.volumes = [Volume(name: "n", nfs: NFSVolumeSource(server: "s", path: "/"))]
        }
        #expect(
            found == [
                #"allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)"#,
                #"unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "CHOWN" in securityContext.capabilities.add)"#,
                #"restricted volume types (volume "n" uses restricted volume type "nfs")"#,
                #"runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)"#,
                #"runAsUser=0 (container "c" must not set runAsUser=0)"#,
                #"seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#,
            ])
    }

    @Test func olderVersionsAskForLess() {
        let found = violations(.restricted, minor: 18) { spec in
            spec.containers[0].securityContext = SecurityContext(
                runAsUser: 0, runAsNonRoot: true, allowPrivilegeEscalation: false)
        }
        #expect(found == [])
        #expect(
            violations(.baseline, minor: 26) { spec in
                spec.securityContext = PodSecurityContext(
                    sysctls: [Sysctl(name: "net.ipv4.ip_local_reserved_ports", value: "1")])
            } == ["forbidden sysctls (net.ipv4.ip_local_reserved_ports)"])
    }

    @Test func windowsPodsNeedNotSayWhatMeansNothingThere() {
        let found = violations(.restricted) { spec in
            spec.os = PodOS(name: "windows")
            spec.containers[0].securityContext = SecurityContext(runAsNonRoot: true)
        }
        #expect(found == [])
    }

    // MARK: Labels

    @Test func labelsAreRead() {
        var findings: [FieldError] = []
        let policy = PodSecurityPolicy(
            labels: [
                "pod-security.kubernetes.io/enforce": "baseline",
                "pod-security.kubernetes.io/enforce-version": "v1.28",
                "pod-security.kubernetes.io/audit": "restricted",
            ], findings: &findings)
        #expect(findings == [])
        #expect("\(policy.enforce)" == "baseline:v1.28")
        #expect("\(policy.audit)" == "restricted:latest")
        // Nobody says what to warn of: of what would be refused.
        #expect("\(policy.warn)" == "baseline:v1.28")
    }

    @Test func wrongLabelsAreSaidAndCountAsStrict() {
        var findings: [FieldError] = []
        let policy = PodSecurityPolicy(
            labels: [
                "pod-security.kubernetes.io/enforce": "none",
                "pod-security.kubernetes.io/warn-version": "1.28",
            ], findings: &findings)
        #expect(
            findings.map(\.description) == [
                #"metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "none": must be one of privileged, baseline, restricted"#,
                #"metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.28": must be "latest" or "v1.x""#,
            ])
        #expect(policy.enforce.level == .restricted)
        #expect(policy.warn.level == .privileged)
    }

    @Test func existingPodsAreSummedUp() {
        func pod(_ name: String, owner: String? = nil) -> Pod {
            var pod = Pod(metadata: ObjectMeta(name: name))
            if let owner {
                pod.metadata.ownerReferences = [OwnerReference(name: "o", uid: owner, controller: true)]
            }
            pod.spec = PodSpec(containers: [Container(name: "c")], hostNetwork: true)
            return pod
        }
        let warnings = PodSecurityAdmission.warnings(
            namespace: "shop", PodSecurityPolicy.Standard(.baseline),
            pods: [pod("b", owner: "1"), pod("a", owner: "1"), pod("c")], maximum: 2)
        #expect(
            warnings == [
                "new PodSecurity enforce level only checked against the first 2 of 3 existing pods",
                #"existing pods in namespace "shop" violate the new PodSecurity enforce level "baseline:latest""#,
                "b (and 1 other pod): host namespaces",
            ])
    }
}
