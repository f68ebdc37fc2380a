import APIServer
import KubernetesAPI
import Testing

@Suite struct RuleTests {
    func request(
        _ verb: String, _ resource: String, group: String = "", sub: String = "", name: String = ""
    ) -> AccessAttributes {
        AccessAttributes(
            ResourceAttributes(
                namespace: "default", verb: verb, group: group, resource: resource, subresource: sub,
                name: name))
    }

    @Test func resources() {
        let rule = PolicyRule(
            verbs: ["get", "list"], apiGroups: ["", "apps"], resources: ["pods", "*/scale"])
        #expect(rule.allows(request("get", "pods")))
        #expect(rule.allows(request("list", "pods", group: "apps")))
        #expect(!rule.allows(request("delete", "pods")))
        #expect(!rule.allows(request("get", "pods", group: "batch")))
        #expect(!rule.allows(request("get", "pods", sub: "log")))
        #expect(rule.allows(request("get", "deployments", group: "apps", sub: "scale")))
        #expect(!rule.allows(request("get", "deployments", group: "apps", sub: "rescale")))
        #expect(!rule.allows(request("get", "scale")))
    }

    @Test func subresources() {
        let rule = PolicyRule(verbs: ["*"], apiGroups: [""], resources: ["pods/log"])
        #expect(rule.allows(request("get", "pods", sub: "log")))
        #expect(!rule.allows(request("get", "pods")))
        #expect(!rule.allows(request("get", "xpods", sub: "log")))
        let all = PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"])
        #expect(all.allows(request("escalate", "pods", group: "x", sub: "log")))
    }

    @Test func names() {
        let rule = PolicyRule(
            verbs: ["get"], apiGroups: [""], resources: ["configmaps"], resourceNames: ["a", "b"])
        #expect(rule.allows(request("get", "configmaps", name: "b")))
        #expect(!rule.allows(request("get", "configmaps", name: "c")))
        #expect(!rule.allows(request("get", "configmaps")))
    }

    @Test func paths() {
        let rule = PolicyRule(verbs: ["get"], nonResourceURLs: ["/healthz", "/openapi/*"])
        func path(_ path: String) -> AccessAttributes {
            AccessAttributes(NonResourceAttributes(path: path, verb: "get"))
        }
        #expect(rule.allows(path("/healthz")))
        #expect(!rule.allows(path("/healthz/ping")))
        #expect(rule.allows(path("/openapi/v3")))
        #expect(!rule.allows(path("/openapi")))
        #expect(!rule.allows(request("get", "pods")))
    }

    @Test func covering() {
        let held = [
            PolicyRule(verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "*/scale"]),
            PolicyRule(verbs: ["delete"], apiGroups: [""], resources: ["secrets"], resourceNames: ["own"]),
            PolicyRule(verbs: ["get"], nonResourceURLs: ["/healthz/*"]),
        ]
        func missing(_ rule: PolicyRule) -> [String] {
            PolicyRule.compacted(PolicyRule.missing(from: held, of: [rule])).map(\.summary)
        }
        #expect(missing(PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"])).isEmpty)
        #expect(missing(PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["x/scale"])).isEmpty)
        #expect(
            missing(PolicyRule(verbs: ["get", "watch", "create"], apiGroups: [""], resources: ["pods"]))
                == [#"{APIGroups:[""], Resources:["pods"], Verbs:["watch" "create"]}"#])
        #expect(
            missing(PolicyRule(verbs: ["*"], apiGroups: [""], resources: ["pods"]))
                == [#"{APIGroups:[""], Resources:["pods"], Verbs:["*"]}"#])
        #expect(
            missing(PolicyRule(verbs: ["delete"], apiGroups: [""], resources: ["secrets"]))
                == [#"{APIGroups:[""], Resources:["secrets"], Verbs:["delete"]}"#])
        #expect(
            missing(
                PolicyRule(
                    verbs: ["delete"], apiGroups: [""], resources: ["secrets"], resourceNames: ["own", "his"])
            )
                == [#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["his"], Verbs:["delete"]}"#])
        #expect(missing(PolicyRule(verbs: ["get"], nonResourceURLs: ["/healthz/a/*"])).isEmpty)
        #expect(
            missing(PolicyRule(verbs: ["get"], nonResourceURLs: ["/healthz", "/version"]))
                == [
                    #"{NonResourceURLs:["/healthz"], Verbs:["get"]}"#,
                    #"{NonResourceURLs:["/version"], Verbs:["get"]}"#,
                ])
    }

    @Test func defaults() {
        let policy = DefaultPolicy.standard
        #expect(policy.unread == [])
        #expect(policy.clusterRoles.count == 66)
        #expect(policy.clusterRoleBindings.count == 47)
        #expect(policy.roles.count == 8)
        #expect(policy.roleBindings.count == 8)
        let names = policy.clusterRoles.map(\.metadata.name)
        #expect(Set(names).count == names.count)
        for binding in policy.clusterRoleBindings {
            #expect(names.contains(binding.roleRef.name), "\(binding.metadata.name)")
            #expect(binding.validate() == [], "\(binding.metadata.name)")
        }
        for role in policy.clusterRoles {
            #expect(role.validate() == [], "\(role.metadata.name)")
            #expect(role.rules.isEmpty == (role.aggregationRule != nil), "\(role.metadata.name)")
        }
        for role in policy.roles { #expect(role.validate() == [], "\(role.metadata.name)") }
        for binding in policy.roleBindings {
            #expect(binding.validate() == [], "\(binding.metadata.name)")
            #expect(policy.roles.contains { $0.metadata.name == binding.roleRef.name })
        }
        let scheduler = policy.clusterRoles.first { $0.metadata.name == "system:kube-scheduler" }
        #expect(
            scheduler?.rules.first
                == PolicyRule(
                    verbs: ["create", "patch", "update"], apiGroups: ["", "events.k8s.io"],
                    resources: ["events"]))
        #expect(scheduler?.rules[2].resourceNames == ["kube-scheduler"])
    }

    @Test func nonsense() {
        let policy = DefaultPolicy("role", "  get core", "role a of", "bind b Nobody", "perhaps c")
        #expect(policy.unread.count == 5)
        #expect(policy.clusterRoles.isEmpty && policy.clusterRoleBindings.isEmpty)
    }

    @Test func reconciliation() throws {
        let wanted = try #require(
            DefaultPolicy.standard.clusterRoles.first { $0.metadata.name == "system:kube-dns" })
        var present = wanted
        #expect(RoleReconciliation.corrected(present, wanted) == nil)
        present.rules = [PolicyRule(verbs: ["list"], apiGroups: [""], resources: ["endpoints", "nodes"])]
        present.metadata.labels["own"] = "yes"
        let corrected = try #require(RoleReconciliation.corrected(present, wanted))
        #expect(corrected.rules.count == 4)
        #expect(PolicyRule.missing(from: corrected.rules, of: wanted.rules + present.rules).isEmpty)
        #expect(corrected.metadata.labels["own"] == "yes")
        present.metadata.annotations["rbac.authorization.kubernetes.io/autoupdate"] = "false"
        #expect(RoleReconciliation.corrected(present, wanted) == nil)
    }

    @Test func reconciledBindings() throws {
        let wanted = try #require(
            DefaultPolicy.standard.clusterRoleBindings.first { $0.metadata.name == "system:discovery" })
        var present = wanted
        present.subjects = [Subject(kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "me")]
        let corrected = try #require(RoleReconciliation.corrected(present, wanted))
        #expect(corrected.subjects.map(\.name) == ["me", "system:authenticated"])
    }
}
