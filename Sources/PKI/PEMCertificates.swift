import SwiftASN1
import X509

/// PEM texts with any number of certificates.
enum PEMCertificates {
    static func parse(_ pem: String) throws -> [Certificate] {
        try PEMDocument.parseMultiple(pemString: pem)
            .filter { $0.discriminator == "CERTIFICATE" }
            .map { try Certificate(pemDocument: $0) }
    }
}

extension KeyPair {
    /// The certificates in DER, leaf first.
    /// - Throws: `PKIError` with `malformed`.
    public func derEncodedChain() throws(PKIError) -> [[UInt8]] {
        do {
            return try PEMDocument.parseMultiple(pemString: certificatePEM).map(\.derBytes)
        } catch {
            throw PKIError(.malformed, "the certificate is not PEM", cause: error)
        }
    }
}
