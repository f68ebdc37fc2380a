import Crypto
import HTTPService

/// A document that is ready to be sent, and that clients keep until it changes.
package struct ServedDocument: Sendable {
    package let bytes: [UInt8]
    /// Changes when the bytes do.
    package let hash: String

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let digits = Array("0123456789ABCDEF")
        var text = ""
        for byte in SHA512.hash(data: bytes) {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        hash = text
    }

    /// The document, or 304 for a client that has it.
    func response(to request: HTTPRequest, contentType: String) -> HTTPResponse {
        let tag = "\"\(hash)\""
        var headers: HTTPHeaders = ["etag": tag, "vary": "Accept"]
        if request.headers["if-none-match"].contains(tag) {
            return HTTPResponse(status: .notModified, headers: headers)
        }
        headers.add(name: "content-type", value: contentType)
        return HTTPResponse(headers: headers, body: .bytes(bytes))
    }
}
