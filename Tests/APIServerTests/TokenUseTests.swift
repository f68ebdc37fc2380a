import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

/// Tokens that secrets hold, and what is noted of their use.
@Suite struct TokenUseTests {
    private static let secret = "/api/v1/namespaces/default/secrets/held"
    private static let lastUsed = "kubernetes.io/legacy-token-last-used"

    /// A secret with a token, and the token.
    private func makeToken(_ api: Harness) async throws -> String {
        let account = try await api.get("/api/v1/namespaces/default/serviceaccounts/default")
        let uid = try #require(account.json["metadata"]?["uid"]?.stringValue)
        let token = "held|default|default|\(uid)|held"
        let made = try await api.post(
            "/api/v1/namespaces/default/secrets",
            #"{"metadata":{"name":"held","annotations":{"kubernetes.io/service-account.name":"default"}},"#
                + #""type":"kubernetes.io/service-account-token","stringData":{"token":"\#(token)"}}"#)
        #expect(made.status == 201, "\(made.text)")
        return token
    }

    private func use(_ api: Harness, _ token: String) async throws -> Int {
        try await api.send(
            .GET, "/apis", headers: ["authorization": "Bearer \(token)"], peer: .anonymous
        ).status
    }

    private func metadata(_ api: Harness) async throws -> JSONValue? {
        try await api.get(Self.secret).json["metadata"]
    }

    @Test func theDayOfUseIsNotedOnce() async throws {
        let api = try await Harness()
        let token = try await makeToken(api)
        #expect(try await metadata(api)?["labels"] == nil)
        #expect(try await use(api, token) == 200)
        let noted = try await metadata(api)
        #expect(noted?["labels"]?[Self.lastUsed] == "2027-01-15")
        #expect(try await use(api, token) == 200)
        #expect(try await metadata(api)?["resourceVersion"] == noted?["resourceVersion"])
        // An older day is overwritten, a later one by another clock is not.
        for (known, expected) in [("2027-01-14", "2027-01-15"), ("2027-01-16", "2027-01-16")] {
            _ = try await api.patch(
                Self.secret, #"{"metadata":{"labels":{"\#(Self.lastUsed)":"\#(known)"}}}"#)
            #expect(try await use(api, token) == 200)
            #expect(try await metadata(api)?["labels"]?[Self.lastUsed]?.stringValue == expected)
        }
    }

    @Test func tokensThatAreMarkedInvalidAreNotTaken() async throws {
        let api = try await Harness()
        let token = try await makeToken(api)
        let mark = #"{"metadata":{"labels":{"kubernetes.io/legacy-token-invalid-since":"2027-01-01"}}}"#
        _ = try await api.patch(Self.secret, mark)
        #expect(try await use(api, token) == 401)
        let review = try await api.post(
            "/apis/authentication.k8s.io/v1/tokenreviews", #"{"spec":{"token":"\#(token)"}}"#)
        #expect(
            review.json["status"]?["error"]?.stringValue?.contains(
                "the token in secret default/held for service account default/default has been marked invalid"
            )
                == true)
        _ = try await api.patch(
            Self.secret, mark.replacing(#""2027-01-01""#, with: "null"))
        #expect(try await use(api, token) == 200)
    }
}
