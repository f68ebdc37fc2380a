import Glibc

/// Why the kernel could not be asked, or what it refused and with which words.
public struct NetlinkError: Error, Sendable, Hashable {
    /// What went wrong.
    public enum Code: Sendable, Hashable {
        /// The kernel refused the request with this errno value.
        case refused(errno: Int32)
        /// A socket call failed with this errno value.
        case socket(call: String, errno: Int32)
        /// The kernel's answer is not what the protocol says.
        case malformedAnswer
        /// The kernel did not answer at all.
        case unanswered
        /// The kernel's tables changed while they were read, again and again.
        case interrupted
        /// The request has an attribute that is longer than 65,535 bytes.
        case oversized
        /// A file of the kernel's could not be opened, read or written.
        case file(path: String, errno: Int32)
    }

    /// What went wrong.
    public let code: Code
    /// What was asked, in words: `add link swiftlet0 (bridge)`.
    public let request: String
    /// What the kernel said in its extended acknowledgement, if it said something.
    public let kernelMessage: String?

    public init(_ code: Code, request: String, kernelMessage: String? = nil) {
        self.code = code
        self.request = request
        self.kernelMessage = kernelMessage
    }

    /// The errno value with which the kernel refused, else nil.
    public var refusal: Int32? {
        if case .refused(let number) = code { return number }
        return nil
    }

    /// Whether the thing to be made is there already.
    public var isAlreadyThere: Bool { refusal == EEXIST }

    /// Whether the thing that was asked for, or its interface, does not exist.
    public var isNotThere: Bool {
        refusal == ENOENT || refusal == ESRCH || refusal == ENODEV || refusal == EADDRNOTAVAIL
    }
}

extension NetlinkError: CustomStringConvertible {
    public var description: String {
        var text = "\(request): "
        switch code {
        case .refused(let number): text += "the kernel refused: \(Self.words(for: number))"
        case .socket(let call, let number):
            text += "\(call) on the netlink socket failed: \(Self.words(for: number))"
        case .malformedAnswer: text += "the kernel's answer is malformed"
        case .unanswered: text += "the kernel gave no answer"
        case .interrupted: text += "the kernel's tables kept changing while they were read; try again"
        case .oversized: text += "the request has an attribute of more than 65,535 bytes"
        case .file(let path, let number): text += "\(path): \(Self.words(for: number))"
        }
        if let kernelMessage { text += " (kernel: \(kernelMessage))" }
        if let hint { text += "; \(hint)" }
        return text
    }

    /// What to do next, where that is known.
    private var hint: String? {
        let number: Int32
        switch code {
        case .refused(let value), .socket(_, let value), .file(_, let value): number = value
        default: return nil
        }
        switch number {
        case EPERM, EACCES: return "this needs root (CAP_NET_ADMIN in the network namespace)"
        case EOPNOTSUPP, EPROTONOSUPPORT, EAFNOSUPPORT:
            return "this kernel lacks the feature, or its module is not loaded"
        case ENOBUFS: return "the socket's buffer is too small for this request"
        default: return nil
        }
    }

    private static func words(for number: Int32) -> String {
        "\(String(cString: strerror(number))) (errno \(number))"
    }
}
