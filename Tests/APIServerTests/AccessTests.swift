import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct AccessTests {
    func certificate(_ text: String) -> Peer { .certificates([Array(text.utf8)]) }

    @Test func certificates() async throws {
        let api = try await Harness()
        let admin = try await api.send(
            .GET, Harness.pods, peer: certificate("CN/kubernetes-admin/system:masters"))
        #expect(admin.status == 200)
        let nobody = try await api.send(.GET, Harness.pods, peer: certificate("CN/nobody"))
        #expect(nobody.status == 403)
        #expect(
            nobody.message
                == #"pods is forbidden: User "nobody" cannot list resource "pods" in API group "" "#
                + #"in the namespace "default""#)
        #expect(nobody.json["details"]?["kind"] == "pods")
        let bad = try await api.send(.GET, Harness.pods, peer: certificate("forged"))
        #expect(bad.status == 401)
        #expect(bad.message == "Unauthorized")
        let everywhere = try await api.send(
            .GET, "/apis/apps/v1/deployments", peer: certificate("CN/nobody"))
        #expect(
            everywhere.message
                == #"deployments.apps is forbidden: User "nobody" cannot list resource "deployments" "#
                + #"in API group "apps" at the cluster scope"#)
    }

    @Test func anonymous() async throws {
        let api = try await Harness()
        #expect(try await api.send(.GET, "/healthz", peer: .anonymous).text == "ok")
        #expect(try await api.send(.GET, "/version", peer: .anonymous).status == 200)
        let api1 = try await api.send(.GET, "/api", peer: .anonymous)
        #expect(api1.status == 403)
        #expect(api1.message == #"forbidden: User "system:anonymous" cannot get path "/api""#)
    }

    @Test func tokens() async throws {
        let api = try await Harness()
        let issued = try await api.post(
            "/api/v1/namespaces/default/serviceaccounts/default/token", #"{"spec":{"expirationSeconds":600}}"#
        )
        #expect(issued.status == 201)
        #expect(issued.json["status"]?["expirationTimestamp"] == "2027-01-15T08:10:00Z")
        let token = try #require(issued.json["status"]?["token"]?.stringValue)
        let headers: HTTPHeaders = ["authorization": "Bearer \(token)"]
        let who = try await api.send(
            .POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}", headers: headers,
            peer: .anonymous)
        #expect(who.status == 201)
        #expect(who.json["status"]?["userInfo"]?["username"] == "system:serviceaccount:default:default")
        // What another scheme says is nobody's.
        let basic = try await api.send(
            .GET, Harness.pods, headers: ["authorization": "Basic YTpi"], peer: .anonymous)
        #expect(basic.status == 403 && basic.message.contains(#"User "system:anonymous""#))
        let denied = try await api.send(.GET, Harness.pods, headers: headers, peer: .anonymous)
        #expect(denied.status == 403)
        // A token ends with its account.
        _ = try await api.delete("/api/v1/namespaces/default/serviceaccounts/default")
        #expect(try await api.send(.GET, "/api", headers: headers, peer: .anonymous).status == 401)
        let short = try await api.post(
            "/api/v1/namespaces/kube-system/serviceaccounts", #"{"metadata":{"name":"x"}}"#)
        #expect(short.status == 201)
        let refused = try await api.post(
            "/api/v1/namespaces/kube-system/serviceaccounts/x/token", #"{"spec":{"expirationSeconds":60}}"#)
        #expect(refused.status == 422)
        #expect(refused.message.contains("may not specify a duration less than 10 minutes"))
    }

    /// The only way for browsers, which let a page set no other header of a WebSocket.
    @Test func aTokenMayComeAsAProtocol() throws {
        func moved(_ protocols: [String]) throws -> HTTPHeaders {
            var headers: HTTPHeaders = ["upgrade": "websocket"]
            for text in protocols { headers.add(name: "sec-websocket-protocol", value: text) }
            try WebSocketCredential.move(in: &headers)
            return headers
        }
        let token = "base64url.bearer.authorization.k8s.io." + Base64URL.encode(Array("a.b-c".utf8))
        let headers = try moved([token + ", v4.channel.k8s.io", "channel.k8s.io"])
        #expect(headers["authorization"] == ["Bearer a.b-c"])
        #expect(headers["sec-websocket-protocol"] == ["v4.channel.k8s.io, channel.k8s.io"])
        #expect(try !moved(["v4.channel.k8s.io"]).contains(name: "authorization"))
        for wrong in [[token], [token + "," + token, "x"], [token + "!, x"]] {
            let error = #expect(throws: APIError.self) { try moved(wrong) }
            #expect(error?.status.code == 401)
        }
    }

    @Test func requestsHaveNames() async throws {
        let api = try await Harness()
        let named = try await api.send(.GET, Harness.pods, headers: ["audit-id": "mine"])
        #expect(named.headers["audit-id"] == ["mine"])
        let other = try await api.get(Harness.pods)
        #expect(other.headers["audit-id"].first?.count == 36)
    }

    @Test func accessReviews() async throws {
        let api = try await Harness()
        let body =
            #"{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","#
            + #""spec":{"resourceAttributes":{"namespace":"default","verb":"create","resource":"pods"}}}"#
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        let yes = try await api.post(path, body)
        #expect(yes.status == 201)
        #expect(yes.json["status"]?["allowed"] == true)
        let no = try await api.send(.POST, path, body, peer: certificate("CN/nobody"))
        #expect(no.status == 201)
        #expect(no.json["status"]?["allowed"] == false)
    }

    @Test func reviewsHaveRules() async throws {
        let api = try await Harness()
        let group = "/apis/authorization.k8s.io/v1"
        let path = "\(group)/subjectaccessreviews"
        let pods = #""resourceAttributes":{"namespace":"default","verb":"get","resource":"pods"}"#
        let nobody = try await api.post(path, "{\"spec\":{\(pods)}}")
        #expect(nobody.status == 422)
        #expect(
            nobody.message
                == #".authorization.k8s.io "" is invalid: spec.user: Invalid value: "": "#
                + "at least one of user or group must be specified")
        let named = try await api.post(
            path, "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"user\":\"u\",\(pods)}}")
        #expect(named.message.contains("must be empty"))
        let both = try await api.post(
            path, "{\"spec\":{\"user\":\"u\",\"nonResourceAttributes\":{\"path\":\"/\"},\(pods)}}")
        #expect(both.status == 422)
        #expect(both.message.contains("cannot be specified in combination with resourceAttributes"))
        let good = try await api.post(path, "{\"spec\":{\"groups\":[\"system:masters\"],\(pods)}}")
        #expect(good.status == 201 && good.json["status"]?["allowed"] == true)

        let local = "\(group)/namespaces/kube-system/localsubjectaccessreviews"
        let elsewhere = try await api.post(local, "{\"spec\":{\"user\":\"u\",\(pods)}}")
        #expect(elsewhere.status == 422)
        #expect(
            elsewhere.message.contains(
                #"spec.resourceAttributes.namespace: Invalid value: "default": must match metadata.namespace"#
            ))
        let paths = try await api.post(
            local, #"{"spec":{"user":"u","nonResourceAttributes":{"path":"/","verb":"get"}}}"#)
        #expect(paths.message.contains("disallowed on this kind of request"))
        let foreign = try await api.post(local, #"{"metadata":{"namespace":"default"},"spec":{"user":"u"}}"#)
        #expect(foreign.status == 400)
        let home = "\(group)/namespaces/default/localsubjectaccessreviews"
        #expect(try await api.post(home, "{\"spec\":{\"user\":\"u\",\(pods)}}").status == 201)
    }

    @Test func tokenReviewsSayWhy() async throws {
        let api = try await Harness()
        func review(_ token: String) async throws -> JSONValue? {
            try await api.post(
                "/apis/authentication.k8s.io/v1/tokenreviews", "{\"spec\":{\"token\":\"\(token)\"}}"
            ).json["status"]
        }
        #expect(try await review("nonsense")?["error"] == "invalid bearer token")
        #expect(
            try await review("late")?["error"] == "[invalid bearer token, service account token has expired]")
        #expect(
            try await review("token|default|nobody|u")?["error"]
                == #"[invalid bearer token, serviceaccounts "nobody" not found]"#)
        let account = try await api.get("/api/v1/namespaces/default/serviceaccounts/default").json
        let uid = account["metadata"]?["uid"]?.stringValue ?? ""
        #expect(try await review("token|default|default|\(uid)")?["authenticated"] == true)
        #expect(
            try await review("token|default|default|other")?["error"]
                == .string(
                    "[invalid bearer token, service account UID (\(uid)) does not match claim (other)]"))
    }

    @Test func rolesCanBeMadeWithPut() async throws {
        let api = try await Harness()
        let group = "/apis/rbac.authorization.k8s.io/v1"
        let role = try await api.put("\(group)/clusterroles/r", #"{"metadata":{"name":"r"}}"#)
        #expect(role.status == 201)
        let binding = try await api.put(
            "\(group)/namespaces/default/rolebindings/b",
            #"{"metadata":{"name":"b"},"roleRef":{"kind":"ClusterRole","name":"r"}}"#)
        #expect(binding.status == 201, "\(binding.text)")
        // Who may not give a role may not make it this way either.
        let refused = try await api.send(
            .PUT, "\(group)/clusterroles/s", #"{"metadata":{"name":"s"}}"#,
            headers: ["content-type": "application/json"], peer: certificate("CN/nobody"))
        #expect(refused.status == 403)
    }

    @Test func impersonation() async throws {
        let api = try await Harness()
        let asNobody = try await api.send(.GET, Harness.pods, headers: ["impersonate-user": "nobody"])
        #expect(asNobody.status == 403)
        #expect(asNobody.message.hasPrefix(#"pods is forbidden: User "nobody" cannot list"#))
        let asAdmin = try await api.send(
            .GET, Harness.pods,
            headers: ["impersonate-user": "nobody", "impersonate-group": "system:masters"])
        #expect(asAdmin.status == 200)
        let denied = try await api.send(
            .GET, Harness.pods, headers: ["impersonate-user": "kubernetes-admin"],
            peer: certificate("CN/nobody"))
        #expect(
            denied.message
                == #"users "kubernetes-admin" is forbidden: User "nobody" cannot impersonate resource "#
                + #""users" in API group "" at the cluster scope"#)
        let nameless = try await api.send(
            .GET, Harness.pods, headers: ["impersonate-group": "system:masters"],
            peer: certificate("CN/nobody"))
        #expect(nameless.status == 400)
        let who = try await api.send(
            .POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}",
            headers: ["impersonate-user": "system:serviceaccount:default:bot"])
        #expect(
            who.json["status"]?["userInfo"]?["groups"] == [
                "system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated",
            ])
    }

    @Test func components() async throws {
        let api = try await Harness()
        let scheduler = Peer.inProcess(user: "system:kube-scheduler", groups: [])
        #expect(try await api.send(.GET, Harness.pods, peer: scheduler).status == 200)
    }
}
