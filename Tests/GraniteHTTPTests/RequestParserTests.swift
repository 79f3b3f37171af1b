// What is a valid request and what is not, each case whole and cut at every byte.

import Testing

@testable import GraniteHTTP

private let line = "GET / HTTP/1.1\r\n"
private let host = "Host: a\r\n"

/// Streams that must be refused, and the status that says why.
private let invalid: [(stream: String, status: Int)] = [
    // Request line (RFC 9112 section 3)
    ("GET  / HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET /  HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET / HTTP/1.1 \r\n" + host + "\r\n", 400),
    (" GET / HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET\t/ HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET / HTTP/1.1\n" + host + "\r\n", 400),
    ("GET / HTTP/1.1\r\r\n" + host + "\r\n", 400),
    ("GET /\r\n\r\n", 400),
    ("GET\r\n\r\n", 400),
    ("\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", 400),
    ("G(T / HTTP/1.1\r\n" + host + "\r\n", 400),
    ("G\u{e9}T / HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET /\u{0} HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET /a\u{7f} HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET /a\u{b} HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET / http/1.1\r\n" + host + "\r\n", 400),
    ("GET / HTTP/1.10\r\n" + host + "\r\n", 400),
    ("GET / HTTP/1\r\n" + host + "\r\n", 400),
    ("GET / HTTP/11\r\n" + host + "\r\n", 400),
    ("GET / HTTP/1,1\r\n" + host + "\r\n", 400),
    ("GET / HTTP/x.1\r\n" + host + "\r\n", 400),
    ("GET / ICY/1.1\r\n" + host + "\r\n", 400),
    ("GET / HTTP/1.2\r\n" + host + "\r\n", 505),
    ("GET / HTTP/2.0\r\n" + host + "\r\n", 505),
    ("GET / HTTP/0.9\r\n" + host + "\r\n", 505),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    // Targets
    ("CONNECT a:443 HTTP/1.1\r\n" + host + "\r\n", 501),
    ("GET a:443 HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET a/b HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET * HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET ?a HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET ftp://a/ HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET http:// HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET http:///b HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET http://u@a/ HTTP/1.1\r\n" + host + "\r\n", 400),
    ("GET http://b/ HTTP/1.1\r\n" + host + "\r\n", 400),
    ("OPTIONS ** HTTP/1.1\r\n" + host + "\r\n", 400),
    // Host (RFC 9112 section 3.2)
    (line + "\r\n", 400),
    (line + host + host + "\r\n", 400),
    (line + host + "host: b\r\n\r\n", 400),
    (line + "Host: a b\r\n\r\n", 400),
    (line + "Host: a, b\r\n\r\n", 400),
    (line + "Host: a/b\r\n\r\n", 400),
    (line + "Host: u@a\r\n\r\n", 400),
    (line + "Host: a:b\r\n\r\n", 400),
    (line + "Host: a:1:2\r\n\r\n", 400),
    (line + "Host: :80\r\n\r\n", 400),
    (line + "Host: [::1\r\n\r\n", 400),
    (line + "Host: [::1]x\r\n\r\n", 400),
    // Field lines (RFC 9112 section 5)
    (line + host + "A : b\r\n\r\n", 400),
    (line + host + "A b: c\r\n\r\n", 400),
    (line + host + " A: b\r\n\r\n", 400),
    (line + " A: b\r\n" + host + "\r\n", 400),
    (line + host + "A: b\r\n c\r\n\r\n", 400),
    (line + host + "A: b\r\n\tc\r\n\r\n", 400),
    (line + host + ": b\r\n\r\n", 400),
    (line + host + "A\r\n\r\n", 400),
    (line + host + "A\u{e9}: b\r\n\r\n", 400),
    (line + host + "A\u{0}: b\r\n\r\n", 400),
    (line + host + "A(b): c\r\n\r\n", 400),
    (line + host + "A: b\u{0}c\r\n\r\n", 400),
    (line + host + "A: b\u{1}\r\n\r\n", 400),
    (line + host + "A: b\u{7f}\r\n\r\n", 400),
    (line + host + "A: 0123456789abcdef\u{8}0123456789abcdef\r\n\r\n", 400),
    (line + host + "A: b\rc\r\n\r\n", 400),
    (line + host + "A: b\r\r\n\r\n", 400),
    (line + host + "A: b\nB: c\r\n\r\n", 400),
    (line + host + "A: b\r\n\n", 400),
    (line + host + "A: b\n\r\n", 400),
    // Content-Length (RFC 9112 section 6.3, RFC 9110 section 8.6)
    (line + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    (line + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    (line + host + "Content-Length: 1, 1\r\n\r\na", 400),
    (line + host + "Content-Length: +1\r\n\r\na", 400),
    (line + host + "Content-Length: -1\r\n\r\na", 400),
    (line + host + "Content-Length: 01\r\n\r\na", 400),
    (line + host + "Content-Length: 0x1\r\n\r\na", 400),
    (line + host + "Content-Length: 1 1\r\n\r\na", 400),
    (line + host + "Content-Length: 1_0\r\n\r\na", 400),
    (line + host + "Content-Length: 1.0\r\n\r\na", 400),
    (line + host + "Content-Length: a\r\n\r\na", 400),
    (line + host + "Content-Length: \u{b2}\r\n\r\na", 400),
    (line + host + "Content-Length:\r\n\r\na", 400),
    (line + host + "Content-Length: 99999999999999999999999999\r\n\r\na", 413),
    (line + host + "Content-Length: 18446744073709551617\r\n\r\na", 413),
    // Transfer-Encoding (RFC 9112 section 6.1)
    (line + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (line + host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    (line + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (line + host + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501),
    (line + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (line + host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501),
    (line + host + "Transfer-Encoding: identity\r\n\r\n", 501),
    (line + host + "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", 501),
    (line + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    (line + host + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 501),
    (line + host + "Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n", 400),
    (line + host + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    (line + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    (line + host + "Transfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (line + host + "Expect: 200-ok\r\n\r\n", 417),
]

private let chunked = "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n"

/// Chunked bodies that must be refused.
private let invalidChunks: [(stream: String, status: Int)] = [
    (chunked + "g\r\na\r\n0\r\n\r\n", 400),
    (chunked + "\r\na\r\n0\r\n\r\n", 400),
    (chunked + "+1\r\na\r\n0\r\n\r\n", 400),
    (chunked + "-1\r\na\r\n0\r\n\r\n", 400),
    (chunked + "0x1\r\na\r\n0\r\n\r\n", 400),
    (chunked + " 1\r\na\r\n0\r\n\r\n", 400),
    (chunked + "1 \r\na\r\n0\r\n\r\n", 400),
    (chunked + "1_0\r\na\r\n0\r\n\r\n", 400),
    (chunked + "1\na\r\n0\r\n\r\n", 400),
    (chunked + "1\r\r\na\r\n0\r\n\r\n", 400),
    (chunked + "1;a=b\r\na\r\n0\r\n\r\n", 400),
    (chunked + "1;\na\r\n0\r\n\r\n", 400),
    (chunked + "1\r\nab\r\n0\r\n\r\n", 400),
    (chunked + "2\r\na\r\n0\r\n\r\n", 400),
    (chunked + "1\r\na\n0\r\n\r\n", 400),
    (chunked + "1\r\naXX0\r\n\r\n", 400),
    (chunked + "ffffffffffffffff\r\na", 400),
    (chunked + "10000000000000001\r\na", 400),
    (chunked + "00000000000000001\r\na", 400),
    (chunked + "fffffffffffffff\r\na", 413),
    (chunked + "0\n\r\n", 400),
    (chunked + "0\r\n\n", 400),
    (chunked + "0\r\nA : b\r\n\r\n", 400),
    (chunked + "0\r\n A: b\r\n\r\n", 400),
    (chunked + "0\r\nA: b\u{0}\r\n\r\n", 400),
    (chunked + "0\r\nA: b\n\r\n", 400),
    (chunked + "0\r\nnonsense\r\n\r\n", 400),
    (chunked + "0\r\nHost: b\r\n\r\n", 400),
    (chunked + "0\r\nContent-Length: 5\r\n\r\n", 400),
    (chunked + "0\r\ntransfer-encoding: chunked\r\n\r\n", 400),
]

/// Streams that must be taken, and what comes out.
private let valid: [(stream: String, requests: [String])] = [
    (line + host + "\r\n", ["GET / 1.1 [\"Host: a\"] body 0"]),
    ("\r\n" + line + host + "\r\n", ["GET / 1.1 [\"Host: a\"] body 0"]),
    ("GET / HTTP/1.0\r\n\r\n", ["GET / 1.0 [] body 0"]),
    ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", ["GET / 1.0 [\"Host: a\"] body 0"]),
    ("get / HTTP/1.1\r\n" + host + "\r\n", ["get / 1.1 [\"Host: a\"] body 0"]),
    ("M-SEARCH!#$%&'*+-.^_`|~ / HTTP/1.1\r\n" + host + "\r\n", ["M-SEARCH!#$%&'*+-.^_`|~ / 1.1 [\"Host: a\"] body 0"]),
    ("GET /a%20b?c=d&e?f HTTP/1.1\r\n" + host + "\r\n", ["GET /a%20b?c=d&e?f 1.1 [\"Host: a\"] body 0"]),
    (
        "GET /\u{c3}\u{a9}|\"<>\\^`{} HTTP/1.1\r\n" + host + "\r\n",
        ["GET /\u{c3}\u{a9}|\"<>\\^`{} 1.1 [\"Host: a\"] body 0"]
    ),
    ("GET //a//b HTTP/1.1\r\n" + host + "\r\n", ["GET //a//b 1.1 [\"Host: a\"] body 0"]),
    ("GET /%zz HTTP/1.1\r\n" + host + "\r\n", ["GET /%zz 1.1 [\"Host: a\"] body 0"]),
    ("GET http://a/b?c HTTP/1.1\r\n" + host + "\r\n", ["GET http://a/b?c 1.1 [\"Host: a\"] body 0"]),
    ("GET HTTP://A HTTP/1.1\r\n" + host + "\r\n", ["GET HTTP://A 1.1 [\"Host: a\"] body 0"]),
    ("GET https://a:1/ HTTP/1.1\r\nHost: a:1\r\n\r\n", ["GET https://a:1/ 1.1 [\"Host: a:1\"] body 0"]),
    ("OPTIONS * HTTP/1.1\r\n" + host + "\r\n", ["OPTIONS * 1.1 [\"Host: a\"] body 0"]),
    (line + "Host:a\r\n\r\n", ["GET / 1.1 [\"Host: a\"] body 0"]),
    (line + "hOST: \t a \t \r\n\r\n", ["GET / 1.1 [\"hOST: a\"] body 0"]),
    (line + "Host:\r\n\r\n", ["GET / 1.1 [\"Host: \"] body 0"]),
    (line + "Host: [::1]:8000\r\n\r\n", ["GET / 1.1 [\"Host: [::1]:8000\"] body 0"]),
    (line + "Host: 127.0.0.1:8000\r\n\r\n", ["GET / 1.1 [\"Host: 127.0.0.1:8000\"] body 0"]),
    (line + "Host: a_b.example:\r\n\r\n", ["GET / 1.1 [\"Host: a_b.example:\"] body 0"]),
    (line + host + "A:\r\nB: \r\nC:c\r\n\r\n", ["GET / 1.1 [\"Host: a\", \"A: \", \"B: \", \"C: c\"] body 0"]),
    (line + host + "A: b\tc  d\r\n\r\n", ["GET / 1.1 [\"Host: a\", \"A: b\\tc  d\"] body 0"]),
    (line + host + "A: \u{e9}\u{ff}\r\n\r\n", ["GET / 1.1 [\"Host: a\", \"A: \u{e9}\u{ff}\"] body 0"]),
    (line + host + "A: :,;=\"'()\r\n\r\n", ["GET / 1.1 [\"Host: a\", \"A: :,;=\\\"\\'()\"] body 0"]),
    (
        line + host + "A: 0123456789abcdef\t0123456789abcdef\r\n\r\n",
        ["GET / 1.1 [\"Host: a\", \"A: 0123456789abcdef\\t0123456789abcdef\"] body 0"]
    ),
    (line + host + "A: 1\r\na: 2\r\n\r\n", ["GET / 1.1 [\"Host: a\", \"A: 1\", \"a: 2\"] body 0"]),
    (line + host + "X_Forwarded_For: evil\r\nX-A: b\r\n\r\n", ["GET / 1.1 [\"Host: a\", \"X-A: b\"] body 0"]),
    (line + host + "Content_Length: 5\r\n\r\n", ["GET / 1.1 [\"Host: a\"] body 0"]),
    (line + host + "Content-Length: 0\r\n\r\n", ["GET / 1.1 [\"Host: a\", \"Content-Length: 0\"] body 0"]),
    (line + host + "content-length:3\r\n\r\nabc", ["GET / 1.1 [\"Host: a\", \"content-length: 3\"] body 3"]),
    (line + host + "Content-Length: 2 \r\n\r\n\r\n", ["GET / 1.1 [\"Host: a\", \"Content-Length: 2\"] body 2"]),
    ("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\na", ["POST / 1.0 [\"Content-Length: 1\"] body 1"]),
    (
        line + host + "Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n",
        ["GET / 1.1 [\"Host: a\", \"Connection: close, Upgrade\", \"Upgrade: h2c\"] body 0"]
    ),
    (
        line + host + "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
        ["GET / 1.1 [\"Host: a\", \"Expect: 100-Continue\", \"Content-Length: 1\"] body 1"]
    ),
    (
        line + host + "\r\n" + line + "Host: b\r\n\r\n",
        ["GET / 1.1 [\"Host: a\"] body 0", "GET / 1.1 [\"Host: b\"] body 0"]
    ),
    (
        line + host + "Content-Length: 1\r\n\r\na\r\n" + line + host + "\r\n",
        ["GET / 1.1 [\"Host: a\", \"Content-Length: 1\"] body 1", "GET / 1.1 [\"Host: a\"] body 0"]
    ),
    (
        line + host + "Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ["GET / 1.1 [\"Host: a\", \"Content-Length: 18\"] body 18"]
    ),
    (chunked + "0\r\n\r\n", ["POST / 1.1 [\"Host: a\", \"Transfer-Encoding: chunked\"] body 0"]),
    (chunked + "1\r\na\r\n0\r\n\r\n", ["POST / 1.1 [\"Host: a\", \"Transfer-Encoding: chunked\"] body 1"]),
    (
        chunked + "A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n",
        ["POST / 1.1 [\"Host: a\", \"Transfer-Encoding: chunked\"] body 21"]
    ),
    (chunked + "001\r\na\r\n000\r\n\r\n", ["POST / 1.1 [\"Host: a\", \"Transfer-Encoding: chunked\"] body 1"]),
    (chunked + "2\r\n\r\n\r\n0\r\n\r\n", ["POST / 1.1 [\"Host: a\", \"Transfer-Encoding: chunked\"] body 2"]),
    (
        chunked + "1\r\na\r\n0\r\nX-Trailer: b\r\nY: c\r\n\r\n",
        ["POST / 1.1 [\"Host: a\", \"Transfer-Encoding: chunked\"] body 1"]
    ),
    (
        chunked + "1\r\na\r\n0\r\n\r\n" + line + host + "\r\n",
        ["POST / 1.1 [\"Host: a\", \"Transfer-Encoding: chunked\"] body 1", "GET / 1.1 [\"Host: a\"] body 0"]
    ),
    (
        "POST / HTTP/1.1\r\n" + host + "transfer-encoding:CHUNKED\r\n\r\n0\r\n\r\n",
        ["POST / 1.1 [\"Host: a\", \"transfer-encoding: CHUNKED\"] body 0"]
    ),
]

@Suite struct RequestParserTests {
    @Test(arguments: 0..<invalid.count) func refusesWhatIsNotStrictlyValid(index: Int) {
        let stream = ParsedStream(invalid[index].stream)
        #expect(
            stream == ParsedStream(requests: [], end: .rejected(invalid[index].status)),
            "\(invalid[index].stream.debugDescription)")
    }

    @Test(arguments: 0..<invalidChunks.count) func refusesChunksThatParsersDisagreeAbout(index: Int) {
        let stream = ParsedStream(invalidChunks[index].stream)
        #expect(
            stream == ParsedStream(requests: [], end: .rejected(invalidChunks[index].status)),
            "\(invalidChunks[index].stream.debugDescription)")
    }

    @Test(arguments: 0..<valid.count) func takesWhatIsValid(index: Int) {
        let stream = ParsedStream(valid[index].stream)
        #expect(stream.requests.map(\.description) == valid[index].requests)
        #expect(stream.end == .waiting)
    }

    @Test(arguments: (invalid + invalidChunks).map(\.stream) + valid.map(\.stream))
    func saysTheSameHoweverTheStreamIsCut(stream: String) {
        let bytes = latin1(stream)
        let whole = ParsedStream([bytes[...]])
        for cut in 0...bytes.count {
            #expect(
                ParsedStream([bytes[..<cut], bytes[cut...]]) == whole, "cut at \(cut) of \(stream.debugDescription)")
        }
        #expect(ParsedStream(bytes.indices.map { bytes[$0...$0] }) == whole, "byte by byte: \(stream.debugDescription)")
    }

    @Test func splitsTargetsIntoPathAndQuery() {
        #expect(parts("/a/b?c?d") == ["/a/b", "c?d"])
        #expect(parts("/a") == ["/a", ""])
        #expect(parts("/?") == ["/", ""])
        #expect(parts("http://a/b?c") == ["/b", "c"])
        #expect(parts("http://a") == ["/", ""])
        #expect(parts("http://a?c") == ["/", "c"])
        #expect(parts("*", method: "OPTIONS") == ["", ""])
    }

    private func parts(_ target: String, method: String = "GET") -> [String] {
        let bytes = latin1("\(method) \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        var parser = RequestParser(limits: RequestLimits())
        return bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, parser.parse(base, count: buffer.count) == .complete else { return [] }
            let path = parser.head.pathIsRoot ? "/" : latin1(parser.head.path.bytes(in: base))
            return [path, latin1(parser.head.query.bytes(in: base))]
        }
    }

    @Test func knowsWhetherTheClientWantsTheConnectionKept() {
        #expect(keepAlive("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        #expect(!keepAlive("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"))
        #expect(!keepAlive("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n"))
        #expect(!keepAlive("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: x , close\r\n\r\n"))
        #expect(keepAlive("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n"))
        #expect(!keepAlive("GET / HTTP/1.0\r\n\r\n"))
        #expect(keepAlive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"))
    }

    private func keepAlive(_ stream: String) -> Bool {
        var parser = RequestParser(limits: RequestLimits())
        return latin1(stream).withUnsafeBufferPointer {
            parser.parse($0.baseAddress!, count: $0.count) == .complete && parser.head.keepAlive
        }
    }
}

@Suite struct RequestLimitsTests {
    private static let limits = {
        var limits = RequestLimits()
        limits.maxRequestLineBytes = 30
        limits.maxHeaderFieldBytes = 20
        limits.maxHeaderFields = 3
        limits.maxHeadBytes = 90
        limits.maxBodyBytes = 10
        return limits
    }()

    private static let cases: [(String, StreamEnd)] = [
        ("GET /0123456789abcdef HTTP/1.1\r\nHost: a\r\n\r\n", .waiting),
        ("GET /0123456789abcdefg HTTP/1.1\r\nHost: a\r\n\r\n", .rejected(414)),
        ("GET /" + String(repeating: "a", count: 40), .rejected(414)),
        ("GET / HTTP/1.1\r\nHost: 0123456789abcd\r\n\r\n", .waiting),
        ("GET / HTTP/1.1\r\nHost: 0123456789abcde\r\n\r\n", .rejected(431)),
        ("GET / HTTP/1.1\r\nHost: " + String(repeating: "a", count: 40), .rejected(431)),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n", .waiting),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", .rejected(431)),
        ("GET / HTTP/1.1\r\nHost: a\r\nA_: b\r\nC_: d\r\nE_: f\r\n\r\n", .rejected(431)),
        (
            "GET /0123456789abcdef HTTP/1.1\r\nHost: 0123456789abc\r\nA: 0123456789abcdef\r\nB: 0123456789abc\r\n\r\n",
            .rejected(431)
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", .waiting),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n0123456789a", .rejected(413)),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n",
            .rejected(431)
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:chunked\r\n\r\n", .rejected(431)),
    ]

    @Test(arguments: 0..<cases.count) func refusesWhatIsTooLargeHoweverItIsCut(index: Int) {
        let (stream, end) = Self.cases[index]
        let bytes = latin1(stream)
        for cut in 0...bytes.count {
            #expect(ParsedStream([bytes[..<cut], bytes[cut...]], limits: Self.limits).end == end, "cut at \(cut)")
        }
    }

    @Test func boundsChunkedBodiesAndTheirTrailers() {
        var limits = RequestLimits()
        limits.maxBodyBytes = 10
        limits.maxHeaderFields = 3
        limits.maxHeaderFieldBytes = 40
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(
            ParsedStream(head + "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", limits: limits).requests.first?.body.count
                == 10)
        #expect(ParsedStream(head + "5\r\n01234\r\n6\r\n", limits: limits).end == .rejected(413))
        #expect(ParsedStream(head + "0\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", limits: limits).requests.count == 1)
        #expect(ParsedStream(head + "0\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", limits: limits).end == .rejected(431))
        #expect(
            ParsedStream(head + "0\r\nA: " + String(repeating: "b", count: 50), limits: limits).end == .rejected(431))
    }

    @Test(arguments: [1, 7, 1000, 70_000, 300_000]) func spillsLongBodiesWithoutLosingAByte(pieceBytes: Int) {
        var limits = RequestLimits()
        limits.bodyMemoryLimit = 100_000
        let body = (0..<250_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let fixed = latin1("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 250000\r\n\r\n") + body
        var framed = latin1("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in stride(from: 0, to: body.count, by: 777) {
            let chunk = body[start..<min(start + 777, body.count)]
            framed += latin1(String(chunk.count, radix: 16) + "\r\n") + chunk + latin1("\r\n")
        }
        framed += latin1("0\r\n\r\n")
        for stream in [fixed, framed] {
            // One byte at a time over the head and some of the body is enough.
            let fine = pieceBytes == 1 ? 2000 : 0
            var pieces = (0..<fine).map { stream[$0...$0] }
            let coarse = max(pieceBytes, 1000)
            pieces += stride(from: fine, to: stream.count, by: coarse).map {
                stream[$0..<min($0 + coarse, stream.count)]
            }
            #expect(ParsedStream(pieces, limits: limits).requests.map(\.body) == [body])
        }
    }
}

extension ParsedStream {
    init(requests: [ParsedRequest], end: StreamEnd) {
        self.requests = requests
        self.end = end
    }
}
