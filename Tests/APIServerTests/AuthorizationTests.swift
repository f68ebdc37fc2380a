import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

/// Roles, node agents and escalation, as requests meet them.
@Suite struct AuthorizationTests {
    static let rbac = "/apis/rbac.authorization.k8s.io/v1"
    static let roles = rbac + "/namespaces/default/roles"
    static let bindings = rbac + "/namespaces/default/rolebindings"

    func peer(_ user: String, _ groups: String...) -> Peer { .inProcess(user: user, groups: groups) }

    static func binding(_ name: String, role: String, kind: String = "Role", to subject: String) -> String {
        #"{"metadata":{"name":"\#(name)"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"\#(kind)","#
            + #""name":"\#(role)"},"subjects":[\#(subject)]}"#
    }

    static func user(_ name: String) -> String {
        #"{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"\#(name)"}"#
    }

    static let reader =
        #"{"metadata":{"name":"reader"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get","list"]}]}"#

    @Test func aRoleCountsAtOnceAndUntilItGoes() async throws {
        let api = try await Harness()
        let bob = peer("bob")
        #expect(try await api.send(.GET, Harness.pods, peer: bob).status == 403)
        let early = try await api.post(
            Self.bindings, Self.binding("b", role: "reader", to: Self.user("bob")))
        #expect(early.status == 201)
        let absent = try await api.send(.GET, Harness.pods, peer: bob)
        #expect(
            absent.message
                == #"pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "#
                + #""default": RBAC: role.rbac.authorization.k8s.io "reader" not found"#)
        #expect(try await api.post(Self.roles, Self.reader).status == 201)
        #expect(try await api.send(.GET, Harness.pods, peer: bob).status == 200)
        #expect(try await api.send(.GET, "/api/v1/namespaces/kube-system/pods", peer: bob).status == 403)
        #expect(try await api.send(.DELETE, Harness.pods + "/x", peer: bob).status == 403)
        #expect(try await api.delete(Self.bindings + "/b").status == 200)
        #expect(try await api.send(.GET, Harness.pods, peer: bob).status == 403)
    }

    @Test func groupsAndServiceAccounts() async throws {
        let api = try await Harness()
        _ = try await api.post(Self.roles, Self.reader)
        _ = try await api.post(
            Self.bindings,
            Self.binding(
                "b", role: "reader",
                to: #"{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"devs"},"#
                    + #"{"kind":"ServiceAccount","name":"bot","namespace":"other"}"#))
        #expect(try await api.send(.GET, Harness.pods, peer: peer("al", "devs")).status == 200)
        #expect(try await api.send(.GET, Harness.pods, peer: peer("al")).status == 403)
        let bot = peer("system:serviceaccount:other:bot")
        #expect(try await api.send(.GET, Harness.pods, peer: bot).status == 200)
        #expect(
            try await api.send(.GET, Harness.pods, peer: peer("system:serviceaccount:default:bot")).status
                == 403)
    }

    @Test func reasons() async throws {
        let api = try await Harness()
        _ = try await api.post(Self.roles, Self.reader)
        _ = try await api.post(Self.bindings, Self.binding("b", role: "reader", to: Self.user("bob")))
        func review(_ user: String, _ groups: String, _ verb: String) async throws -> JSONValue? {
            try await api.post(
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                #"{"spec":{"user":"\#(user)","groups":[\#(groups)],"resourceAttributes":"#
                    + #"{"namespace":"default","verb":"\#(verb)","resource":"pods"}}}"#
            ).json["status"]
        }
        let allowed = try await review("bob", "", "get")
        #expect(allowed?["allowed"] == true)
        #expect(
            allowed?["reason"]?.stringValue
                == #"RBAC: allowed by RoleBinding "b/default" of Role "reader" to User "bob""#)
        #expect(try await review("bob", "", "delete")?["allowed"] == false)
        let system = try await review("system:kube-scheduler", "", "list")
        #expect(
            system?["reason"]?.stringValue
                == #"RBAC: allowed by ClusterRoleBinding "system:kube-scheduler" of ClusterRole "#
                + #""system:kube-scheduler" to User "system:kube-scheduler""#)
    }

    @Test func rulesReview() async throws {
        let api = try await Harness()
        _ = try await api.post(Self.roles, Self.reader)
        _ = try await api.post(Self.bindings, Self.binding("b", role: "reader", to: Self.user("bob")))
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        let body = #"{"spec":{"namespace":"default"}}"#
        let status = try await api.send(
            .POST, path, body, headers: ["content-type": "application/json"], peer: peer("bob")
        ).json["status"]
        let rules = status?["resourceRules"]?.arrayValue ?? []
        #expect(rules.contains { $0["resources"] == ["pods"] && $0["verbs"] == ["get", "list"] })
        #expect(rules.contains { $0["resources"] == ["selfsubjectreviews"] })
        #expect(status?["nonResourceRules"]?.arrayValue?.isEmpty == false)
        #expect(status?["incomplete"] == false)
        let node = try await api.send(
            .POST, path, body, headers: ["content-type": "application/json"],
            peer: peer("system:node:n1", "system:nodes")
        ).json["status"]
        #expect(node?["incomplete"] == true)
        #expect(node?["evaluationError"] == "node authorizer does not support user rule resolution")
    }

    @Test func defaultRolesComeBack() async throws {
        let api = try await Harness()
        #expect(try await api.get(Self.rbac + "/clusterroles").json["items"]?.arrayValue?.count == 66)
        let edit = try await api.get(Self.rbac + "/clusterroles/edit")
        let view = try await api.get(Self.rbac + "/clusterroles/view").json["rules"]?.arrayValue ?? []
        #expect(!view.isEmpty)
        #expect(edit.json["rules"]?.arrayValue.map { rules in view.allSatisfy(rules.contains) } == true)
        _ = try await api.patch(Self.rbac + "/clusterroles/system:kube-dns", #"{"rules":[]}"#)
        _ = try await api.delete(Self.rbac + "/clusterrolebindings/system:discovery")
        _ = try await api.patch(
            Self.rbac + "/clusterroles/system:heapster",
            #"{"rules":[],"metadata":{"annotations":{"rbac.authorization.kubernetes.io/autoupdate":"false"}}}"#
        )
        try await api.server.prepare()
        let dns = try await api.get(Self.rbac + "/clusterroles/system:kube-dns")
        #expect(dns.json["rules"]?.arrayValue?.count == 4)
        #expect(try await api.get(Self.rbac + "/clusterrolebindings/system:discovery").status == 200)
        let heapster = try await api.get(Self.rbac + "/clusterroles/system:heapster")
        #expect(heapster.json["rules"]?.arrayValue?.isEmpty ?? true)
    }

    // MARK: Escalation

    func send(
        _ api: Harness, _ method: HTTPMethod, _ path: String, _ body: String, _ peer: Peer
    ) async throws -> Harness.Reply {
        let type = method == .PATCH ? "application/merge-patch+json" : "application/json"
        return try await api.send(method, path, body, headers: ["content-type": type], peer: peer)
    }

    @Test func nobodyGivesWhatTheyLack() async throws {
        let api = try await Harness()
        _ = try await api.post(
            Self.bindings, Self.binding("b", role: "admin", kind: "ClusterRole", to: Self.user("bob")))
        let bob = peer("bob")
        #expect(try await send(api, .POST, Self.roles, Self.reader, bob).status == 201)
        let more =
            #"{"metadata":{"name":"more"},"rules":[{"apiGroups":[""],"resources":["nodes"],"verbs":["get","list"]}]}"#
        let refused = try await send(api, .POST, Self.roles, more, bob)
        #expect(refused.status == 403)
        #expect(
            refused.message
                == #"roles.rbac.authorization.k8s.io "more" is forbidden: user "bob" (groups=["system:authenticated"]) "#
                + "is attempting to grant RBAC permissions not currently held:\n"
                + #"{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}"#)
        let widened = try await send(
            api, .PATCH, Self.roles + "/reader",
            #"{"rules":[{"apiGroups":[""],"resources":["nodes"],"verbs":["get"]}]}"#, bob)
        #expect(widened.status == 403)
        // What does not touch the rules is fine.
        #expect(
            try await send(
                api, .PATCH, Self.roles + "/reader", #"{"metadata":{"labels":{"a":"b"}}}"#, bob
            ).status == 200)
        let bound = try await send(
            api, .POST, Self.bindings,
            Self.binding("up", role: "cluster-admin", kind: "ClusterRole", to: Self.user("bob")), bob)
        #expect(bound.status == 403)
        #expect(
            bound.message.hasSuffix(
                "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"
            ))
        #expect(
            try await send(
                api, .POST, Self.bindings,
                Self.binding("view", role: "view", kind: "ClusterRole", to: Self.user("jim")), bob
            ).status == 201)
        let absent = try await send(
            api, .POST, Self.bindings, Self.binding("x", role: "nosuch", to: Self.user("jim")), bob)
        #expect(absent.status == 404)
        #expect(absent.message == #"roles.rbac.authorization.k8s.io "nosuch" not found"#)
    }

    @Test func waysAround() async throws {
        let api = try await Harness()
        _ = try await api.post(
            Self.roles,
            #"{"metadata":{"name":"keeper"},"rules":["#
                + #"{"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles"],"verbs":["create","update","patch","get","escalate"]},"#
                + #"{"apiGroups":["rbac.authorization.k8s.io"],"resources":["rolebindings"],"verbs":["create"]},"#
                + #"{"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"resourceNames":["edit"],"verbs":["bind"]}]}"#
        )
        _ = try await api.post(Self.bindings, Self.binding("b", role: "keeper", to: Self.user("kim")))
        let kim = peer("kim")
        #expect(try await send(api, .POST, Self.roles, Self.reader, kim).status == 201)
        func bind(_ role: String) async throws -> Int {
            try await send(
                api, .POST, Self.bindings,
                Self.binding("to-\(role)", role: role, kind: "ClusterRole", to: Self.user("kim")), kim
            ).status
        }
        #expect(try await bind("edit") == 201)
        #expect(try await bind("cluster-admin") == 403)
    }

    @Test func roleRefStays() async throws {
        let api = try await Harness()
        _ = try await api.post(Self.bindings, Self.binding("b", role: "reader", to: Self.user("bob")))
        let changed = try await api.patch(Self.bindings + "/b", #"{"roleRef":{"name":"other"}}"#)
        #expect(changed.status == 422)
        #expect(changed.message.hasSuffix("cannot change roleRef"))
    }

    // MARK: Nodes

    func pod(_ name: String, node: String, volumes: String = "[]") -> String {
        #"{"metadata":{"name":"\#(name)"},"spec":{"nodeName":"\#(node)","volumes":\#(volumes),"#
            + #""containers":[{"name":"main","image":"busybox"}]}}"#
    }

    @Test func agentsReadWhatTheirPodsReferTo() async throws {
        let api = try await Harness()
        let secrets = "/api/v1/namespaces/default/secrets"
        _ = try await api.post(secrets, #"{"metadata":{"name":"s1"}}"#)
        _ = try await api.post(secrets, #"{"metadata":{"name":"s2"}}"#)
        let volumes = #"[{"name":"v","secret":{"secretName":"s1"}}]"#
        #expect(try await api.post(Harness.pods, pod("p1", node: "n1", volumes: volumes)).status == 201)
        #expect(try await api.post(Harness.pods, pod("p2", node: "n2")).status == 201)
        let agent = peer("system:node:n1", "system:nodes")
        #expect(try await api.send(.GET, secrets + "/s1", peer: agent).status == 200)
        let foreign = try await api.send(.GET, secrets + "/s2", peer: agent)
        #expect(
            foreign.message
                == #"secrets "s2" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" "#
                + #"in the namespace "default": no relationship found between node 'n1' and this object"#)
        #expect(try await api.send(.GET, secrets, peer: agent).status == 403)
        #expect(
            try await api.send(.GET, secrets + "/s1", peer: peer("system:node:n2", "system:nodes")).status
                == 403)
        #expect(try await api.send(.GET, Harness.pods + "/p1", peer: agent).status == 200)
        #expect(try await api.send(.GET, Harness.pods + "/p2", peer: agent).status == 403)
        #expect(try await api.send(.GET, Harness.pods, peer: agent).status == 403)
        #expect(
            try await api.send(.GET, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", peer: agent).status
                == 200)
        #expect(
            try await api.send(.GET, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2", peer: agent).status
                == 403)
        _ = try await api.send(.DELETE, Harness.pods + "/p1?gracePeriodSeconds=0")
        #expect(try await api.send(.GET, secrets + "/s1", peer: agent).status == 403)
    }

    @Test func agentsReadTheVolumesOfTheirPodsClaims() async throws {
        let api = try await Harness()
        for (name, claim) in [("v1", "c1"), ("v2", "c2")] {
            let made = try await api.post(
                "/api/v1/persistentvolumes",
                #"{"metadata":{"name":"\#(name)"},"spec":{"capacity":{"storage":"1Gi"},"#
                    + #""accessModes":["ReadWriteOnce"],"hostPath":{"path":"/x"},"#
                    + #""claimRef":{"namespace":"default","name":"\#(claim)"}}}"#)
            #expect(made.status == 201)
        }
        let volumes = #"[{"name":"v","persistentVolumeClaim":{"claimName":"c1"}}]"#
        #expect(try await api.post(Harness.pods, pod("p1", node: "n1", volumes: volumes)).status == 201)
        let agent = peer("system:node:n1", "system:nodes")
        #expect(try await api.send(.GET, "/api/v1/persistentvolumes/v1", peer: agent).status == 200)
        #expect(try await api.send(.GET, "/api/v1/persistentvolumes/v2", peer: agent).status == 403)
        #expect(try await api.send(.GET, "/api/v1/persistentvolumes", peer: agent).status == 403)
        _ = try await api.delete("/api/v1/persistentvolumes/v1")
        #expect(try await api.send(.GET, "/api/v1/persistentvolumes/v1", peer: agent).status == 403)
    }

    @Test func agentsWriteAboutThemselves() async throws {
        let api = try await Harness()
        let agent = peer("system:node:n1", "system:nodes")
        let own = try await send(api, .POST, "/api/v1/nodes", #"{"metadata":{"name":"n1"}}"#, agent)
        #expect(own.status == 201)
        let other = try await send(api, .POST, "/api/v1/nodes", #"{"metadata":{"name":"n2"}}"#, agent)
        #expect(
            other.message == #"nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2""#)
        let label = try await send(
            api, .PATCH, "/api/v1/nodes/n1",
            #"{"metadata":{"labels":{"node-restriction.kubernetes.io/a":"b","own/x":"y"}}}"#, agent)
        #expect(
            label.message
                == #"nodes "n1" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/a"#
        )
        let taint = try await send(
            api, .PATCH, "/api/v1/nodes/n1", #"{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}"#,
            agent)
        #expect(taint.message == #"nodes "n1" is forbidden: node "n1" is not allowed to modify taints"#)
        let plain = try await send(api, .POST, Harness.pods, pod("p", node: "n1"), agent)
        #expect(plain.message.contains("can only create mirror pods"))
        _ = try await api.post(Harness.pods, pod("p2", node: "n2"))
        let status = try await send(
            api, .PATCH, Harness.pods + "/p2/status", #"{"status":{"phase":"Running"}}"#, agent)
        #expect(
            status.message
                == #"pods "p2" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself"#
        )
        let evicted = try await send(
            api, .POST, Harness.pods + "/p2/eviction", #"{"metadata":{"name":"p2"}}"#, agent)
        #expect(evicted.status == 403)
        #expect(evicted.message.contains("node n1 can only evict pods with spec.nodeName set to itself"))
        let gone = try await api.send(.DELETE, Harness.pods + "/p2", peer: agent)
        #expect(gone.message.contains("can only delete pods with spec.nodeName set to itself"))
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        #expect(try await send(api, .POST, lease, #"{"metadata":{"name":"n1"}}"#, agent).status == 201)
        let wrong = try await send(api, .POST, lease, #"{"metadata":{"name":"n2"}}"#, agent)
        #expect(
            wrong.message.contains("can only access node lease with the same name as the requesting node"))
        // How far the others are, everybody may watch.
        #expect(try await api.post(lease, #"{"metadata":{"name":"n2"}}"#).status == 201)
        #expect(try await api.send(.GET, lease, peer: agent).json["items"]?.arrayValue?.count == 2)
        let foreign = try await api.send(
            .PATCH, lease + "/n2", #"{"metadata":{"annotations":{"a":"b"}}}"#,
            headers: ["content-type": "application/merge-patch+json"], peer: agent)
        #expect(foreign.status == 403)
    }

    @Test func agentsGetTokensForTheirPods() async throws {
        let api = try await Harness()
        let created = try await api.post(Harness.pods, pod("p1", node: "n1"))
        let uid = try #require(created.json["metadata"]?["uid"]?.stringValue)
        let path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        let agent = peer("system:node:n1", "system:nodes")
        func ask(_ bound: String) async throws -> Harness.Reply {
            try await send(api, .POST, path, #"{"spec":{"audiences":[]\#(bound)}}"#, agent)
        }
        let ok = try await ask(
            #","boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p1","uid":"\#(uid)"}"#)
        #expect(ok.status == 201)
        #expect(try await ask("").message.hasSuffix("node requested token not bound to a pod"))
        #expect(
            try await ask(#","boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p1"}"#).message
                .hasSuffix("node requested token with a pod binding without a uid"))
        #expect(
            try await send(
                api, .POST, path, #"{"spec":{"audiences":[]}}"#, peer("system:node:n2", "system:nodes")
            ).status == 403)
    }

    @Test func administratorsNeedNoRole() async throws {
        let api = try await Harness(prepared: false)
        #expect(try await api.get(Self.rbac + "/clusterroles").status == 200)
        #expect(try await api.send(.GET, Harness.pods, peer: peer("system:kube-scheduler")).status == 403)
    }
}
