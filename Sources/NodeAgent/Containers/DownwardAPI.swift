import KubernetesAPI

/// A pod's own facts, for environment variables and files
/// (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/).
package struct DownwardAPI: Sendable {
    package var pod: Pod
    package var podAddresses: [String]
    package var nodeAddresses: [String]
    /// What the node has to give, for limits that a container does not set.
    package var allocatable: [String: Quantity]

    package init(pod: Pod, podAddresses: [String], nodeAddresses: [String], allocatable: [String: Quantity]) {
        self.pod = pod
        self.podAddresses = podAddresses
        self.nodeAddresses = nodeAddresses
        self.allocatable = allocatable
    }

    /// The value of a `fieldRef`.
    package func field(_ path: String) throws(ContainerConfigurationError) -> String {
        if let key = Self.subscripted(path, "metadata.labels") { return pod.metadata.labels[key] ?? "" }
        if let key = Self.subscripted(path, "metadata.annotations") {
            return pod.metadata.annotations[key] ?? ""
        }
        switch path {
        case "metadata.name": return pod.metadata.name
        case "metadata.namespace": return pod.metadata.namespace
        case "metadata.uid": return pod.metadata.uid
        case "metadata.labels": return Self.lines(pod.metadata.labels)
        case "metadata.annotations": return Self.lines(pod.metadata.annotations)
        case "spec.nodeName": return pod.spec.nodeName
        case "spec.serviceAccountName": return pod.spec.serviceAccountName
        case "status.hostIP": return nodeAddresses.first ?? ""
        case "status.hostIPs": return nodeAddresses.joined(separator: ",")
        case "status.podIP": return podAddresses.first ?? ""
        case "status.podIPs": return podAddresses.joined(separator: ",")
        default: throw ContainerConfigurationError("unsupported fieldPath: \(path)")
        }
    }

    /// The value of a `resourceFieldRef`: a whole number of divisors, rounded up.
    package func resource(
        _ selector: ResourceFieldSelector, in container: Container
    ) throws(ContainerConfigurationError) -> String {
        let parts = selector.resource.split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2, let kind = parts.first, let name = parts.last else {
            throw ContainerConfigurationError("unsupported container resource : \(selector.resource)")
        }
        let own = kind == "limits" ? container.resources.limits : container.resources.requests
        let quantity = own[name] ?? (kind == "limits" ? allocatable[name] : nil) ?? Quantity(0)
        if name == "cpu" {
            let divisor = selector.divisor.isZero ? 1000 : max(1, selector.divisor.milliValue)
            return "\(Self.roundUp(quantity.milliValue, divisor))"
        }
        let divisor = selector.divisor.isZero ? 1 : max(1, selector.divisor.value)
        return "\(Self.roundUp(quantity.value, divisor))"
    }

    private static func roundUp(_ value: Int, _ divisor: Int) -> Int {
        value / divisor + (value % divisor > 0 ? 1 : 0)
    }

    /// `key="escaped value"`, a line each, sorted.
    private static func lines(_ map: [String: String]) -> String {
        map.sorted { $0.key < $1.key }.map { "\($0.key)=\(quoted($0.value))" }.joined(separator: "\n")
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private static func subscripted(_ path: String, _ base: String) -> String? {
        guard path.hasPrefix(base + "['"), path.hasSuffix("']") else { return nil }
        return String(path.dropFirst(base.count + 2).dropLast(2))
    }
}

/// A container that cannot be made as it is described; shown as CreateContainerConfigError.
package struct ContainerConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package var message: String
    package init(_ message: String) { self.message = message }
    package var description: String { message }
}
