/// The outcome of a gRPC call that did not succeed.
///
/// Codes and their numbers are gRPC's own (https://grpc.io/docs/guides/status-codes/).
public struct GRPCError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A gRPC status code.
    public enum Code: Int, Sendable, Hashable {
        case ok = 0
        case cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied
        case resourceExhausted, failedPrecondition, aborted, outOfRange, unimplemented, `internal`
        case unavailable, dataLoss, unauthenticated
    }

    public var code: Code
    /// What the peer (or, for transport failures, this client) says about it.
    public var message: String
    /// The method called, such as `/runtime.v1.RuntimeService/Version`; empty when it does not matter.
    public var method: String

    public init(_ code: Code, _ message: String, method: String = "") {
        self.code = code
        self.message = message
        self.method = method
    }

    public var description: String {
        method.isEmpty ? "\(code): \(message)" : "\(method): \(code): \(message)"
    }
}

extension GRPCError {
    /// Maps an HTTP status to a gRPC code where a peer answered without `grpc-status`
    /// (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
    package static func code(httpStatus: Int) -> Code {
        switch httpStatus {
        case 200: .unknown
        case 400: .internal
        case 401: .unauthenticated
        case 403: .permissionDenied
        case 404: .unimplemented
        case 429, 502, 503, 504: .unavailable
        default: .unknown
        }
    }

    /// Undoes the percent-encoding of `grpc-message`; what is no valid escape stays as it is.
    package static func decodeMessage(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Substring(text).utf8
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = rest.first.flatMap(hexValue),
                let low = rest.dropFirst().first.flatMap(hexValue)
            {
                bytes.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
