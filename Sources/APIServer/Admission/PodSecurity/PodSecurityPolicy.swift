import KubernetesAPI

/// What a namespace's labels ask of its pods (Pod Security Standards, KEP-2579).
package struct PodSecurityPolicy: Sendable, Hashable {
    /// How much pods may do, from everything to little.
    package enum Level: String, Sendable, Hashable, Comparable, CaseIterable {
        case privileged, baseline, restricted

        package static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }
        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    /// A level as it was in one version of Kubernetes.
    package struct Standard: Sendable, Hashable, CustomStringConvertible {
        package var level = Level.privileged
        /// The minor version; nil for the latest.
        package var minor: Int?

        package init(_ level: Level = .privileged, minor: Int? = nil) {
            self.level = level
            self.minor = minor
        }

        package var description: String { "\(level.rawValue):\(minor.map { "v1.\($0)" } ?? "latest")" }

        /// Whether rules of a version hold.
        func includes(_ version: Int) -> Bool { minor.map { $0 >= version } ?? true }
    }

    package static let prefix = "pod-security.kubernetes.io/"

    /// What is refused.
    package var enforce = Standard()
    /// What is noted in the audit log.
    package var audit = Standard()
    /// What the client is warned of.
    package var warn = Standard()

    /// Reads the labels; a wrong one is a finding, and counts as the strictest where it would be enforced.
    package init(labels: [String: String], findings: inout [FieldError]) {
        var isWrong = false
        func read(_ label: String, _ standard: inout Standard, fallback: Level) {
            isWrong = false
            if let text = labels[Self.prefix + label] {
                if let level = Level(rawValue: text) {
                    standard.level = level
                } else {
                    isWrong = true
                    standard.level = fallback
                    let known = Level.allCases.map(\.rawValue).joined(separator: ", ")
                    findings.append(Self.finding(label, text, "must be one of \(known)"))
                }
            }
            let version = label + "-version"
            guard let text = labels[Self.prefix + version], text != "latest" else { return }
            standard.minor = Self.minor(text)
            if standard.minor == nil {
                findings.append(Self.finding(version, text, #"must be "latest" or "v1.x""#))
            }
        }
        read("enforce", &enforce, fallback: .restricted)
        let isEnforced = !isWrong && labels[Self.prefix + "enforce"] != nil
        read("audit", &audit, fallback: .privileged)
        read("warn", &warn, fallback: .privileged)
        // Who will be refused is warned where that is all that happens: on templates.
        if labels[Self.prefix + "warn"] == nil, isEnforced, enforce.level > warn.level {
            warn.level = enforce.level
            if labels[Self.prefix + "warn-version"] == nil { warn.minor = enforce.minor }
        }
    }

    private static func minor(_ text: String) -> Int? {
        guard text.hasPrefix("v1.") else { return nil }
        let digits = text.dropFirst(3)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }),
            digits == "0" || !digits.hasPrefix("0")
        else { return nil }
        return Int(digits)
    }

    private static func finding(_ label: String, _ value: String, _ detail: String) -> FieldError {
        .invalid("metadata.labels[\(prefix)\(label)]", .string(value), detail)
    }
}
