import Crypto
public import FoundationEssentials
import Glibc
import SwiftASN1
import X509

/// A certificate and the key that belongs to it, as PEM texts.
public struct KeyPair: Sendable, Hashable {
    /// The certificate.
    public var certificatePEM: String
    /// The key (PKCS #8).
    public var privateKeyPEM: String

    /// A certificate and the key that belongs to it.
    public init(certificatePEM: String, privateKeyPEM: String) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }
}

/// The authority that signs a cluster's certificates. Keys are ECDSA on P-256.
public struct CertificateAuthority: Sendable {
    /// The authority's own certificate as PEM text: what clients are told to trust.
    public let certificatePEM: String
    let certificate: Certificate
    private let key: P256.Signing.PrivateKey

    /// How long the authority is good for.
    static let authorityLifetime: TimeInterval = 10 * 365 * 86400
    /// How long the certificates that it issues are good for.
    static let leafLifetime: TimeInterval = 365 * 86400
    /// Certificates kept in files are issued anew when they are good for less than this.
    static let renewalMargin: TimeInterval = leafLifetime / 4
    /// Clocks of machines differ; certificates are good from a little before they were made.
    private static let clockSkew: TimeInterval = 300

    // MARK: Load or create

    /// The authority kept in `ca.crt` and `ca.key` of a folder, created there if there is none. Files have mode 0600.
    /// - Throws: `PKIError` with `file`, `malformed`, `mismatch`, or `expired` if its time is over.
    public static func load(
        orCreateIn directory: String, commonName: String = "swiftlet-ca", at now: Date = Date()
    ) throws(PKIError) -> CertificateAuthority {
        let certificatePath = directory + "/ca.crt"
        let keyPath = directory + "/ca.key"
        switch (try PrivateFiles.read(certificatePath), try PrivateFiles.read(keyPath)) {
        case (let certificate?, let key?):
            let pair = KeyPair(certificatePEM: certificate, privateKeyPEM: key)
            let authority = try CertificateAuthority(pair, from: directory)
            guard authority.certificate.notValidAfter > now else {
                throw PKIError(
                    .expired,
                    "the certificate authority in \(directory) was valid until "
                        + "\(authority.certificate.notValidAfter): move its files away to have a new one created, "
                        + "and hand out new credentials")
            }
            return authority
        case (nil, nil):
            let pair = try create(commonName: commonName, at: now)
            try PrivateFiles.makeDirectory(directory)
            try PrivateFiles.write(pair.privateKeyPEM, to: keyPath)
            try PrivateFiles.write(pair.certificatePEM, to: certificatePath)
            return try CertificateAuthority(pair, from: directory)
        case (nil, _):
            throw PKIError(
                .file, "there is \(keyPath) but no \(certificatePath): restore it, or remove the key as well")
        case (_, nil):
            throw PKIError(
                .file,
                "there is \(certificatePath) but no \(keyPath): restore it, or remove the certificate as well"
            )
        }
    }

    /// The authority with this certificate and key.
    /// - Throws: `PKIError` with `malformed` or `mismatch`.
    public init(_ pair: KeyPair) throws(PKIError) {
        try self.init(pair, from: "memory")
    }

    /// A new authority in memory.
    /// - Throws: `PKIError` with `creation`.
    public init(commonName: String = "swiftlet-ca", at now: Date = Date()) throws(PKIError) {
        try self.init(Self.create(commonName: commonName, at: now))
    }

    private init(_ pair: KeyPair, from place: String) throws(PKIError) {
        do {
            certificate = try Certificate(pemEncoded: pair.certificatePEM)
            key = try P256.Signing.PrivateKey(pemRepresentation: pair.privateKeyPEM)
        } catch {
            throw PKIError(.malformed, "the certificate authority in \(place) cannot be read", cause: error)
        }
        guard certificate.publicKey == Certificate.PublicKey(key.publicKey) else {
            throw PKIError(
                .mismatch, "certificate and key of the authority in \(place) do not belong together")
        }
        certificatePEM = pair.certificatePEM
    }

    private static func create(commonName: String, at now: Date) throws(PKIError) -> KeyPair {
        let key = P256.Signing.PrivateKey()
        return try wrapping("the certificate authority") {
            let subject = try DistinguishedName { CommonName(commonName) }
            let publicKey = Certificate.PublicKey(key.publicKey)
            let identifier = SubjectKeyIdentifier(hash: publicKey)
            let certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
                notValidBefore: now - clockSkew, notValidAfter: now + authorityLifetime,
                issuer: subject, subject: subject,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                    Critical(KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true))
                    identifier
                    AuthorityKeyIdentifier(keyIdentifier: identifier.keyIdentifier)
                },
                issuerPrivateKey: Certificate.PrivateKey(key))
            return KeyPair(
                certificatePEM: try certificate.serializeAsPEM().pemString + "\n",
                privateKeyPEM: key.pemRepresentation + "\n")
        }
    }

    // MARK: Issue

    /// A certificate for a server that is reached by these DNS names and IP addresses.
    /// - Throws: `PKIError` with `malformed` when something in `addresses` is no IP address.
    public func issueServer(
        names: [String], addresses: [String], commonName: String = "swiftlet", at now: Date = Date()
    ) throws(PKIError) -> KeyPair {
        let alternatives = try Self.alternativeNames(names: names, addresses: addresses)
        return try issue(
            commonName: commonName, organizations: [], usages: [.serverAuth], alternatives: alternatives,
            at: now)
    }

    /// A certificate for a client: `commonName` is the user's name, `organizations` the groups, as the Kubernetes
    /// API takes them.
    /// - Throws: `PKIError` with `creation`.
    public func issueClient(
        commonName: String, organizations: [String], at now: Date = Date()
    ) throws(PKIError) -> KeyPair {
        try issue(
            commonName: commonName, organizations: organizations, usages: [.clientAuth], alternatives: nil,
            at: now)
    }

    /// A server certificate kept in `<file>.crt` and `<file>.key` of a folder: issued anew when it is missing, was
    /// issued by another authority or for other names, or ends soon.
    /// - Throws: `PKIError`.
    public func server(
        in directory: String, file: String, names: [String], addresses: [String], at now: Date = Date()
    ) throws(PKIError) -> KeyPair {
        let wanted = Set(try Self.alternativeNames(names: names, addresses: addresses))
        return try kept(in: directory, file: file, at: now) { certificate in
            guard let names = try? certificate.extensions.subjectAlternativeNames else { return false }
            return Set(names) == wanted
        } issue: { () throws(PKIError) in
            try issueServer(names: names, addresses: addresses, at: now)
        }
    }

    /// A client certificate kept in `<file>.crt` and `<file>.key` of a folder: issued anew when it is missing, was
    /// issued by another authority or for another name, or ends soon.
    /// - Throws: `PKIError`.
    public func client(
        in directory: String, file: String, commonName: String, organizations: [String], at now: Date = Date()
    ) throws(PKIError) -> KeyPair {
        let wanted = ClientIdentity(commonName: commonName, organizations: organizations)
        return try kept(in: directory, file: file, at: now) { certificate in
            ClientIdentity(certificate) == wanted
        } issue: { () throws(PKIError) in
            try issueClient(commonName: commonName, organizations: organizations, at: now)
        }
    }

    private func kept(
        in directory: String, file: String, at now: Date, fits: (Certificate) -> Bool,
        issue: () throws(PKIError) -> KeyPair
    ) throws(PKIError) -> KeyPair {
        let certificatePath = "\(directory)/\(file).crt"
        let keyPath = "\(directory)/\(file).key"
        if let certificatePEM = try PrivateFiles.read(certificatePath),
            let keyPEM = try PrivateFiles.read(keyPath),
            let old = try? Certificate(pemEncoded: certificatePEM),
            let oldKey = try? P256.Signing.PrivateKey(pemRepresentation: keyPEM),
            old.publicKey == Certificate.PublicKey(oldKey.publicKey),
            certificate.publicKey.isValidSignature(old.signature, for: old),
            old.notValidBefore <= now, old.notValidAfter > now + Self.renewalMargin, fits(old)
        {
            return KeyPair(certificatePEM: certificatePEM, privateKeyPEM: keyPEM)
        }
        let pair = try issue()
        try PrivateFiles.makeDirectory(directory)
        try PrivateFiles.write(pair.privateKeyPEM, to: keyPath)
        try PrivateFiles.write(pair.certificatePEM, to: certificatePath)
        return pair
    }

    private func issue(
        commonName: String, organizations: [String], usages: [ExtendedKeyUsage.Usage],
        alternatives: [GeneralName]?, at now: Date
    ) throws(PKIError) -> KeyPair {
        let leafKey = P256.Signing.PrivateKey()
        return try Self.wrapping("a certificate for \(commonName)") {
            let publicKey = Certificate.PublicKey(leafKey.publicKey)
            let subject = try DistinguishedName {
                for organization in organizations { OrganizationName(organization) }
                CommonName(commonName)
            }
            let leaf = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
                notValidBefore: now - Self.clockSkew,
                // Nothing outlives the one that vouches for it.
                notValidAfter: min(now + Self.leafLifetime, certificate.notValidAfter),
                issuer: certificate.subject, subject: subject,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage(usages)
                    SubjectKeyIdentifier(hash: publicKey)
                    AuthorityKeyIdentifier(
                        keyIdentifier: try certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
                    if let alternatives { SubjectAlternativeNames(alternatives) }
                },
                issuerPrivateKey: Certificate.PrivateKey(key))
            return KeyPair(
                certificatePEM: try leaf.serializeAsPEM().pemString + "\n",
                privateKeyPEM: leafKey.pemRepresentation + "\n")
        }
    }

    private static func alternativeNames(
        names: [String], addresses: [String]
    ) throws(PKIError) -> [GeneralName] {
        var all = names.map { GeneralName.dnsName($0) }
        for address in addresses {
            guard let bytes = bytes(ofAddress: address) else {
                throw PKIError(.malformed, "expected an IP address for a certificate, found \"\(address)\"")
            }
            all.append(.ipAddress(ASN1OctetString(contentBytes: bytes[...])))
        }
        return all
    }

    /// The 4 or 16 bytes of an address in text form.
    private static func bytes(ofAddress text: String) -> [UInt8]? {
        var four = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &four) == 1 { return four }
        var sixteen = [UInt8](repeating: 0, count: 16)
        return inet_pton(AF_INET6, text, &sixteen) == 1 ? sixteen : nil
    }

    private static func wrapping<Value>(
        _ what: String, _ make: () throws -> Value
    ) throws(PKIError) -> Value {
        do {
            return try make()
        } catch {
            throw PKIError(.creation, "\(what) could not be created", cause: error)
        }
    }
}
