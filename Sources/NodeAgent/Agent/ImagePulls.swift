import ContainerRuntime
import KubernetesAPI
import KubernetesClient
import KubernetesJSON

/// What an image pull policy asks for; a function of values
/// (https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy).
package enum ImagePullPlan: Sendable, Hashable {
    case useLocal
    case pull
    /// The image is not there and must not be pulled.
    case never

    package init(policy: String, image: String, isPresent: Bool) {
        switch policy {
        case "Always": self = .pull
        case "Never": self = isPresent ? .useLocal : .never
        case "IfNotPresent": self = isPresent ? .useLocal : .pull
        // The default: Always for `latest`, which defaulting has normally filled in already.
        default: self = isPresent && !image.hasSuffix(":latest") ? .useLocal : .pull
        }
    }
}

extension GRPCError {
    /// As clients written in Go print it; people search for these words.
    package var goDescription: String {
        let names = [
            "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
            "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange",
            "Unimplemented",
            "Internal", "Unavailable", "DataLoss", "Unauthenticated",
        ]
        let name = names.indices.contains(code.rawValue) ? names[code.rawValue] : "Unknown"
        return "rpc error: code = \(name) desc = \(message)"
    }
}

/// Finds credentials for an image in Secrets of type `kubernetes.io/dockerconfigjson`.
package enum PullSecrets {
    /// The credentials in the text of a Docker configuration file, for a registry.
    package static func credentials(_ file: [UInt8], registry: String) -> RegistryCredentials? {
        guard let value = try? JSONValue(json: file), let entries = value["auths"]?.objectValue else {
            return nil
        }
        for (server, entry) in entries where host(server) == registry {
            if let user = entry["username"]?.stringValue, let password = entry["password"]?.stringValue {
                return RegistryCredentials(userName: user, password: password, server: registry)
            }
            if let encoded = entry["auth"]?.stringValue, let text = decode(encoded),
                let colon = text.firstIndex(of: ":")
            {
                return RegistryCredentials(
                    userName: String(text[..<colon]), password: String(text[text.index(after: colon)...]),
                    server: registry)
            }
        }
        return nil
    }

    private static func host(_ server: String) -> String {
        var text = Substring(server)
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
            text = text.dropFirst(scheme.count)
        }
        let host = String(text.prefix { $0 != "/" })
        return host == "index.docker.io" || host == "registry-1.docker.io" ? "docker.io" : host
    }

    private static func decode(_ base64: String) -> String? {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var bytes: [UInt8] = []
        var bits = 0
        var value = 0
        for byte in base64.utf8 where byte != UInt8(ascii: "=") {
            guard let index = alphabet.firstIndex(of: byte) else { return nil }
            value = (value << 6 | index) & 0xffff
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: value >> bits))
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
