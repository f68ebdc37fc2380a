/// The name of an image: registry, repository, and a tag or digest.
///
/// Short names mean what they mean to Docker and Kubernetes: `busybox` is `docker.io/library/busybox:latest`.
public struct ImageReference: Sendable, Hashable, CustomStringConvertible {
    public var registry: String
    public var repository: String
    public var tag: String?
    /// `sha256:…`.
    public var digest: String?

    /// Reads a reference as a user writes it and fills in what is missing.
    public init(parsing text: String) throws(ContainerRuntimeError) {
        var name = Substring(text)
        if let at = name.firstIndex(of: "@") {
            let digest = String(name[name.index(after: at)...])
            guard Self.isDigest(digest) else {
                throw Self.malformed(text, "its digest is not sha256:<64 hex digits>")
            }
            self.digest = digest
            name = name[..<at]
        }
        let lastPart = name.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        if let colon = lastPart.lastIndex(of: ":") {
            let tag = String(lastPart[lastPart.index(after: colon)...])
            guard Self.isTag(tag) else {
                throw Self.malformed(text, "its tag is not 1 to 128 of A-Z a-z 0-9 _ . -")
            }
            self.tag = tag
            name = name[..<colon]
        }
        var parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.count > 1, let first = parts.first,
            first == "localhost" || first.contains(".") || first.contains(":") || first.lowercased() != first
        {
            registry = first == "index.docker.io" ? "docker.io" : first
            parts.removeFirst()
        } else {
            registry = "docker.io"
        }
        if registry == "docker.io", parts.count == 1 { parts.insert("library", at: 0) }
        guard !parts.isEmpty, parts.allSatisfy(Self.isPathPart) else {
            throw Self.malformed(
                text, "its repository is not made of lower-case letters, digits, '.', '_' and '-'")
        }
        repository = parts.joined(separator: "/")
        if tag == nil, digest == nil { tag = "latest" }
    }

    public var description: String {
        "\(registry)/\(repository)" + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }

    package static func isDigest(_ text: String) -> Bool {
        let hex = text.utf8.dropFirst(7)
        return text.hasPrefix("sha256:") && hex.count == 64
            && hex.allSatisfy { 48...57 ~= $0 || 97...102 ~= $0 }
    }

    private static func isTag(_ text: String) -> Bool {
        let word: (UInt8) -> Bool = { 48...57 ~= $0 || 65...90 ~= $0 || 97...122 ~= $0 || $0 == 95 }
        guard 1...128 ~= text.utf8.count, let first = text.utf8.first, word(first) else { return false }
        return text.utf8.allSatisfy { word($0) || $0 == 46 || $0 == 45 }
    }

    private static func isPathPart(_ text: String) -> Bool {
        let letter: (UInt8) -> Bool = { 48...57 ~= $0 || 97...122 ~= $0 }
        guard let first = text.utf8.first, let last = text.utf8.last, letter(first), letter(last) else {
            return false
        }
        return text.utf8.allSatisfy { letter($0) || $0 == 46 || $0 == 95 || $0 == 45 }
    }

    private static func malformed(_ text: String, _ why: String) -> ContainerRuntimeError {
        ContainerRuntimeError(.badReference, "\"\(text)\" is not an image reference: \(why).")
    }
}
