/// Which Swiftlet this is, and which Kubernetes it speaks.
public enum Version {
    /// Swiftlet's own version (semver.org).
    public static let swiftlet = "0.1.0"
    /// The upstream version whose API is served, as `kubectl version` shows it.
    public static let kubernetes = "v1.35.0"
}
