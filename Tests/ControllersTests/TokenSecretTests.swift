import Controllers
import KubernetesAPI
import Testing

@Suite struct TokenSecretTests {
    let contents = TokenSecret(certificateAuthority: "CA") { account, secret in
        "token of \(account.metadata.name) in \(secret)"
    }
    let account = ServiceAccount(metadata: ObjectMeta(name: "bot", namespace: "shop", uid: "u1"))

    func secret(_ annotations: [String: String], type: String = TokenSecret.type) -> Secret {
        Secret(metadata: ObjectMeta(name: "s", namespace: "shop", annotations: annotations), type: type)
    }

    @Test func whatIsFilledIn() throws {
        let secret = secret(["kubernetes.io/service-account.name": "bot"])
        let filled = try #require(try contents.filled(secret, for: account))
        #expect(filled.data["ca.crt"] == Array("CA".utf8))
        #expect(filled.data["namespace"] == Array("shop".utf8))
        #expect(filled.data["token"] == Array("token of bot in s".utf8))
        #expect(filled.metadata.annotations["kubernetes.io/service-account.uid"] == "u1")
        #expect(try contents.filled(filled, for: account) == nil)
        var own = filled
        own.data["token"] = [1]
        #expect(try contents.filled(own, for: account) == nil)
    }

    @Test func whoseItIs() {
        #expect(TokenSecret.account(of: secret(["kubernetes.io/service-account.name": "bot"])) == "bot")
        #expect(TokenSecret.account(of: secret([:])) == nil)
        #expect(
            TokenSecret.account(of: secret(["kubernetes.io/service-account.name": "bot"], type: "Opaque"))
                == nil)
        #expect(TokenSecret.belongs(secret([:]), to: account))
        #expect(TokenSecret.belongs(secret(["kubernetes.io/service-account.uid": "u1"]), to: account))
        #expect(!TokenSecret.belongs(secret(["kubernetes.io/service-account.uid": "u0"]), to: account))
    }

    @Test func aggregation() {
        func role(_ name: String, _ labels: [String: String], _ verbs: String...) -> ClusterRole {
            ClusterRole(
                metadata: ObjectMeta(name: name, labels: labels),
                rules: verbs.map { PolicyRule(verbs: [$0], apiGroups: [""], resources: ["pods"]) })
        }
        var sum = role("sum", ["part": "a"])
        let parts = [
            role("b", ["part": "b"], "list"), role("a", ["part": "a"], "get", "list"),
            role("c", [:], "watch"),
        ]
        #expect(sum.aggregatedRules(from: parts) == nil)
        sum.aggregationRule = AggregationRule(clusterRoleSelectors: [
            LabelSelector(matchLabels: ["part": "a"]), LabelSelector(matchLabels: ["part": "b"]),
        ])
        #expect(sum.aggregatedRules(from: parts + [sum])?.map(\.verbs) == [["get"], ["list"]])
    }
}
