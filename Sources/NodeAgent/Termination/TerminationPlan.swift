import KubernetesAPI

/// How a grace period is spent; a function of values.
package struct TerminationPlan: Sendable, Hashable {
    /// The annotation with the longest time that a pod's containers go on undisturbed for the sake of its
    /// Services' traffic, in seconds: 0 for no time at all. It is part of the grace period and no longer than it.
    package static let annotation = "swiftlet.local/traffic-grace-seconds"

    /// The limit of pods that say nothing, and of those that say nothing intelligible.
    package static let usualGateLimit: Duration = .seconds(5)

    package var grace: Duration
    /// The longest that the gates may take: nothing can hang a deletion.
    package private(set) var gateLimit: Duration
    /// What is wrong with the annotation, for the pod's owner to read.
    package private(set) var mistake: String?

    /// - Parameter annotations: the pod's.
    package init(grace: Duration, annotations: [String: String] = [:]) {
        self.grace = grace
        gateLimit = min(grace / 2, Self.usualGateLimit)
        guard let text = annotations[Self.annotation] else { return }
        // A number of seconds with at most three places; anything longer than a day is a mistake, too.
        if let seconds = Double(text), seconds >= 0, seconds <= 86_400 {
            gateLimit = min(grace, .milliseconds(Int64((seconds * 1000).rounded())))
        } else {
            mistake =
                "Expected annotation \(Self.annotation) to be a number of seconds from 0 to 86400, found "
                + "\"\(text.prefix(64))\"; \(Self.text(gateLimit)) is taken instead."
        }
    }

    /// What is left for SIGTERM to have its effect when gates and preStop have taken their time; upstream's
    /// least is two seconds, unless there was no grace at all.
    package func remaining(after spent: Duration) -> Duration {
        grace == .zero ? .zero : max(grace - spent, .seconds(2))
    }

    /// A duration as people read it: `14 ms`, `2.5 s`.
    package static func text(_ duration: Duration) -> String {
        let milliseconds = Int64((duration / .milliseconds(1)).rounded())
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        let tenths = (milliseconds + 50) / 100
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
}
