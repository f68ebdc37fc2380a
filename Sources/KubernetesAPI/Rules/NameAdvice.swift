/// What is allowed and yet questionable about names; the messages are upstream's.
public enum NameAdvice {
    /// Advice on a name that its pods' names begin with.
    public static func ofPods(_ name: String) -> [String] {
        let messages = NameRules.label(name)
        if name.isEmpty || messages.isEmpty { return [] }
        return [
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a "
                + "DNS label is recommended: [\(messages.joined(separator: " "))]"
        ]
    }
}

extension NameAdvice {
    /// Advice on a pod's own name.
    static func ofPod(_ name: String) -> [String] {
        let messages = NameRules.label(name)
        if name.isEmpty || messages.isEmpty { return [] }
        return [
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS "
                + "label is recommended: [\(messages.joined(separator: " "))]"
        ]
    }
}

extension Job {
    /// What is questionable about a Job.
    public var warnings: [String] {
        guard spec.isIndexed, spec.completions ?? 0 > 100_000, spec.parallelism ?? 0 > 10_000 else {
            return []
        }
        return [
            "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
                + "10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ]
    }
}
