// Defines why a request is refused: the status and a sentence for the client.
// Separate because the parser, the body reader and the server all refuse, and a table of the sentences helps who debugs
// a client.

/// A refusal of a request; the connection closes after it, for the stream can't be trusted to be in step any more.
struct Rejection: Equatable, Sendable {
    let status: Int
    let reason: StaticString

    static func == (a: Rejection, b: Rejection) -> Bool {
        a.status == b.status && a.reason.utf8CodeUnitCount == b.reason.utf8CodeUnitCount
            && a.reason.withUTF8Buffer { x in b.reason.withUTF8Buffer { y in x.elementsEqual(y) } }
    }

    private init(_ status: Int, _ reason: StaticString) {
        self.status = status
        self.reason = reason
    }

    static var lineEnd: Rejection { Rejection(400, "a line must end with CR LF") }
    static var requestLine: Rejection {
        Rejection(400, "the request line is not: method, space, target, space, version")
    }
    static var method: Rejection { Rejection(400, "the method is not a token") }
    static var target: Rejection { Rejection(400, "the request target is not valid") }
    static var hostMismatch: Rejection { Rejection(400, "Host differs from the host of the request target") }
    static var version: Rejection { Rejection(505, "only HTTP/1.0 and HTTP/1.1 are spoken here") }
    static var connect: Rejection { Rejection(501, "CONNECT is for proxies; this is none") }
    static var requestLineTooLong: Rejection { Rejection(414, "the request line is too long") }
    static var headerTooLong: Rejection { Rejection(431, "a header line is too long") }
    static var headTooLong: Rejection { Rejection(431, "the header lines together are too long") }
    static var tooManyHeaders: Rejection { Rejection(431, "there are too many header lines") }
    static var foldedLine: Rejection { Rejection(400, "a header line starts with white space") }
    static var fieldName: Rejection { Rejection(400, "a header name is not a token followed by a colon") }
    static var fieldValue: Rejection { Rejection(400, "a header value holds a control character") }
    static var missingHost: Rejection { Rejection(400, "HTTP/1.1 needs a Host header") }
    static var duplicateHost: Rejection { Rejection(400, "there is more than one Host header") }
    static var host: Rejection { Rejection(400, "the Host header is not a host with an optional port") }
    static var contentLength: Rejection { Rejection(400, "Content-Length is not a plain decimal number") }
    static var duplicateContentLength: Rejection { Rejection(400, "there is more than one Content-Length header") }
    static var lengthAndEncoding: Rejection {
        Rejection(400, "Content-Length and Transfer-Encoding exclude each other")
    }
    static var duplicateEncoding: Rejection { Rejection(400, "there is more than one Transfer-Encoding header") }
    static var encodingInOldVersion: Rejection { Rejection(400, "HTTP/1.0 has no Transfer-Encoding") }
    static var emptyEncoding: Rejection { Rejection(400, "Transfer-Encoding is empty") }
    static var encoding: Rejection { Rejection(501, "the only Transfer-Encoding spoken here is chunked") }
    static var expectation: Rejection { Rejection(417, "the only expectation known here is 100-continue") }
    static var bodyTooLarge: Rejection { Rejection(413, "the body is too large") }
    static var chunkSize: Rejection { Rejection(400, "a chunk's size is not valid") }
    static var trailer: Rejection { Rejection(400, "a trailer holds a field of framing or routing") }
    static var chunkEnd: Rejection { Rejection(400, "a chunk does not end where its size says") }
    static var incomplete: Rejection { Rejection(400, "the client ended the request before it was complete") }
    static var headTimeout: Rejection { Rejection(408, "the header did not arrive in time") }
    static var bodyTimeout: Rejection { Rejection(408, "the body did not arrive in time") }
    static var storage: Rejection { Rejection(503, "there is no room to store the body") }
}
