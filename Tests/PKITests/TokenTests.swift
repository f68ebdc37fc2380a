import KubernetesJSON
import PKI
import Testing

@Suite("Service account tokens")
struct TokenTests {
    private let issuer = "https://kubernetes.default.svc.cluster.local"

    private func claims(_ now: Int = 1000) -> ServiceAccountClaims {
        ServiceAccountClaims(
            issuer: issuer, audiences: [issuer, "vault"], expiration: now + 3600, issuedAt: now,
            identifier: "11111111-2222-3333-4444-555555555555", namespace: "shop",
            serviceAccount: .init(name: "web", uid: "u1"), pod: .init(name: "web-0", uid: "u2"),
            node: .init(name: "n", uid: "u3"), warnAfter: now + 3000)
    }

    @Test("What is signed is what is verified")
    func roundTrip() throws {
        let tokens = ServiceAccountTokens(issuer: issuer)
        let token = try tokens.sign(claims())
        #expect(try tokens.verify(token, audiences: [issuer], at: 1000) == claims())
        #expect(try tokens.verify(token, audiences: ["x", "vault"], at: 4599) == claims())
        #expect(try tokens.verify(token, audiences: [], at: 1000).subject == "system:serviceaccount:shop:web")
    }

    @Test("The claims are upstream's")
    func shape() throws {
        let json = claims().jsonValue
        #expect(
            String(decoding: json.json(), as: UTF8.self)
                == #"{"aud":["https://kubernetes.default.svc.cluster.local","vault"],"exp":4600,"iat":1000,"#
                + #""iss":"https://kubernetes.default.svc.cluster.local","jti":"11111111-2222-3333-4444-555555555555","#
                + #""kubernetes.io":{"namespace":"shop","node":{"name":"n","uid":"u3"},"pod":{"name":"web-0","#
                + #""uid":"u2"},"serviceaccount":{"name":"web","uid":"u1"},"warnafter":4000},"nbf":1000,"#
                + #""sub":"system:serviceaccount:shop:web"}"#)
        #expect(try ServiceAccountClaims(json) == claims())
    }

    @Test("A secret's token says what upstream's does, and is no token of the other sort")
    func legacy() throws {
        let tokens = ServiceAccountTokens(issuer: issuer)
        let claims = LegacyServiceAccountClaims(
            namespace: "shop", serviceAccount: .init(name: "web", uid: "u1"), secret: "web-token")
        #expect(
            String(decoding: claims.jsonValue.json(), as: UTF8.self)
                == #"{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"shop","#
                + #""kubernetes.io/serviceaccount/secret.name":"web-token","#
                + #""kubernetes.io/serviceaccount/service-account.name":"web","#
                + #""kubernetes.io/serviceaccount/service-account.uid":"u1","#
                + #""sub":"system:serviceaccount:shop:web"}"#)
        let token = try tokens.sign(claims)
        #expect(try tokens.verifyLegacy(token) == claims)
        #expect(try tokens.verifyLegacy(try tokens.sign(self.claims())) == nil)
        #expect(throws: PKIError.self) { try tokens.verify(token, audiences: [], at: 1000) }
        #expect(throws: PKIError.self) { try ServiceAccountTokens(issuer: issuer).verifyLegacy(token) }
        #expect(throws: PKIError.self) {
            try LegacyServiceAccountClaims(["iss": "kubernetes/serviceaccount", "sub": "x"])
        }
    }

    @Test("Time, audience, issuer and key are checked")
    func refused() throws {
        let tokens = ServiceAccountTokens(issuer: issuer)
        let token = try tokens.sign(claims())
        func code(
            _ tokens: ServiceAccountTokens, _ token: String, _ audiences: [String], _ now: Int
        ) -> PKIError.Code? {
            do throws(PKIError) {
                _ = try tokens.verify(token, audiences: audiences, at: now)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code(tokens, token, [issuer], 4600) == .expired)
        #expect(code(tokens, token, [issuer], 999) == .expired)
        #expect(code(tokens, token, ["other"], 1000) == .wrongAudience)
        #expect(code(ServiceAccountTokens(issuer: issuer), token, [issuer], 1000) == .badSignature)
        var foreign = claims()
        foreign.issuer = "https://elsewhere"
        #expect(code(tokens, try tokens.sign(foreign), [issuer], 1000) == .wrongIssuer)
        for text in [
            "", ".", "..", "a.b.c", token + "x", token + ".x", String(repeating: "a", count: 1 << 20),
        ] {
            #expect(code(tokens, text, [issuer], 1000) != nil)
        }
    }

    @Test("A changed character anywhere is noticed")
    func tampered() throws {
        let tokens = ServiceAccountTokens(issuer: issuer)
        let token = Array(try tokens.sign(claims()).utf8)
        for index in token.indices {
            for replacement in [UInt8(ascii: "A"), UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "=")]
            where token[index] != replacement {
                var changed = token
                changed[index] = replacement
                #expect(throws: PKIError.self, "character \(index)") {
                    try tokens.verify(String(decoding: changed, as: UTF8.self), audiences: [], at: 1000)
                }
            }
        }
    }

    @Test("A token cannot choose how it is verified", arguments: ["none", "HS256", "ES512", ""])
    func algorithm(_ name: String) throws {
        let tokens = ServiceAccountTokens(issuer: issuer)
        let parts = try tokens.sign(claims()).split(separator: ".").map(String.init)
        let header: JSONValue = ["alg": .string(name), "kid": .string(tokens.keyID)]
        let encoded = String(decoding: Base64.encode(header.json()), as: UTF8.self).prefix { $0 != "=" }
        for signature in [parts[2], ""] {
            let error = #expect(throws: PKIError.self) {
                try tokens.verify("\(encoded).\(parts[1]).\(signature)", audiences: [], at: 1000)
            }
            #expect(error?.code == .badSignature)
        }
    }

    @Test("Tokens of a former key are still good")
    func rotation() throws {
        let former = ServiceAccountTokens(issuer: issuer)
        let token = try former.sign(claims())
        let pem = try CertificateAuthority().issueClient(commonName: "k", organizations: []).privateKeyPEM
        let present = try ServiceAccountTokens(
            issuer: issuer, privateKeyPEM: pem, formerPublicKeysPEM: [former.publicKeyPEM])
        #expect(try present.verify(token, audiences: [issuer], at: 1000) == claims())
        #expect(present.keySet["keys"]?.arrayValue?.count == 2)
        #expect(throws: PKIError.self) {
            try former.verify(present.sign(claims()), audiences: [issuer], at: 1000)
        }
    }

    @Test("The published keys are those of RFC 7517")
    func keySet() throws {
        let tokens = ServiceAccountTokens(issuer: issuer)
        let key = try #require(tokens.keySet["keys"]?[0])
        #expect(key["kty"]?.stringValue == "EC")
        #expect(key["crv"]?.stringValue == "P-256")
        #expect(key["alg"]?.stringValue == "ES256")
        #expect(key["use"]?.stringValue == "sig")
        #expect(key["kid"]?.stringValue == tokens.keyID)
        // 32 bytes in base64 without padding.
        #expect(key["x"]?.stringValue?.count == 43)
        #expect(key["y"]?.stringValue?.count == 43)
        let discovery = tokens.discovery(keySetURL: "https://x/openid/v1/jwks")
        #expect(discovery["issuer"]?.stringValue == issuer)
        #expect(discovery["jwks_uri"]?.stringValue == "https://x/openid/v1/jwks")
    }

    @Test("Claims that are missing are named")
    func missing() {
        for name in ["iss", "exp", "iat", "kubernetes.io", "sub"] {
            guard var json = claims().jsonValue.objectValue else { continue }
            json.removeValue(forKey: name)
            let error = #expect(throws: PKIError.self) { try ServiceAccountClaims(.object(json)) }
            #expect(error?.code == .malformed)
        }
    }
}
