// Our reader against llhttp (by NIOHTTP1) on thousands of mutated streams: whatever ours takes, llhttp must take for
// the same request. The other direction is not asked: ours is stricter on purpose (bare LF, chunk extensions, repeated
// Content-Length, leading zeros, …).

import Foundation
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import GraniteHTTP

@Suite struct DifferentialFuzzTests {
    private static let seeds: [String] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a%20b?c=d HTTP/1.1\r\nHost: example.com:80\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n",
        "HEAD /x HTTP/1.1\r\nhost:a\r\nUser-Agent: Mozilla/5.0 (X11)\r\n\r\nGET /y HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello\r\nabcdGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nA\r\n0123456789\r\n0\r\nX-T: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\nX-A: \u{e9}\r\n\r\na",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nX: \r\nY:\tb \r\n\r\n",
        "GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "DELETE /d HTTP/1.1\r\nHost: [::1]:8000\r\nIf-Match: \"x\"\r\n\r\n",
    ]

    private static let bytes: [UInt8] =
        Array("\r\n \t:;,/?#%0123456789aAfFgGxX+-_\"'\\()[]{}@=*HT.".utf8) + [0, 1, 0x0b, 0x0c, 0x7f, 0x80, 0xff]
    private static let pieces: [String] = [
        "\r\n", "\r\n\r\n", "\n", "\r", " ", "\t", "0", "0\r\n\r\n", "Content-Length: 0\r\n", "Content-Length: 5\r\n",
        "Content-Length: 1, 1\r\n",
        "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding: chunked, chunked\r\n",
        "Host: b\r\n",
        "Connection: close\r\n", " folded\r\n", "1;x=y\r\n", "ffffffffffffffff\r\n", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0",
        "GET /s HTTP/1.1\r\nHost: a\r\n\r\n",
    ]

    /// Four runs in parallel; the seed makes each repeatable.
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func whateverOursTakesIsTheSameRequestForLLHTTP(seed: UInt64) {
        var random = SplitMix64(state: seed &* 0x2545_f491_4f6c_dd1d)
        var taken = 0
        for _ in 0..<2500 {
            let stream = Self.mutated(&random)
            let ours = ParsedStream.untilClose(stream)
            if ours.isEmpty { continue }
            let theirs = Self.llhttp(stream)
            for (index, request) in ours.enumerated() {
                // llhttp knows a fixed list of methods; any token is a method (RFC 9110 section 9.1).
                // And it refuses bytes from 0x80 in targets; browsers and curl send UTF-8 there.
                if !Self.isKnown(method: request.method)
                    || request.target.unicodeScalars.contains(where: { $0.value >= 0x80 })
                {
                    break
                }
                taken += 1
                #expect(index < theirs.count, "llhttp refuses: \(latin1String(stream).debugDescription)")
                if index >= theirs.count { break }
                #expect(theirs[index] == Self.asStrings(request), "\(latin1String(stream).debugDescription)")
            }
        }
        // Most mutations are refused by both; enough must be taken for the comparison to mean something.
        #expect(taken > 500)
    }

    private static func mutated(_ random: inout SplitMix64) -> [UInt8] {
        func pick<T>(_ values: [T]) -> T { values[Int(random.next() % UInt64(values.count))] }
        var stream = latin1(pick(seeds))
        for _ in 0...(random.next() % 3) {
            let position = Int(random.next() % UInt64(stream.count + 1))
            switch random.next() % 6 {
            case 0 where position < stream.count: stream[position] = pick(bytes)
            case 1 where position < stream.count: stream.remove(at: position)
            case 2: stream.insert(pick(bytes), at: position)
            case 3: stream.insert(contentsOf: latin1(pick(pieces)), at: position)
            case 4:
                let end = min(stream.count, position + Int(random.next() % 24))
                stream.insert(contentsOf: stream[position..<end], at: Int(random.next() % UInt64(stream.count + 1)))
            default:
                // A whole line goes somewhere else: behind a line end.
                let lines = stream.indices.filter { $0 > 0 && stream[$0 - 1] == 0x0a }
                if !lines.isEmpty { stream.insert(contentsOf: latin1(pick(pieces)), at: pick(lines)) }
            }
        }
        return stream
    }

    private static func isKnown(method: String) -> Bool {
        ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "PATCH", "TRACE"].contains(method)
    }

    /// NIO makes strings of targets and values, which repairs what isn't UTF-8; ours keeps the bytes.
    private static func asStrings(_ request: ParsedRequest) -> ParsedRequest {
        var copy = request
        copy.target = String(decoding: latin1(request.target), as: UTF8.self)
        copy.headers = request.headers.map { String(decoding: latin1($0), as: UTF8.self) }
        return copy
    }

    private static func trimmed(_ value: String) -> String {
        var bytes = Array(value.utf8)
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The complete requests that llhttp finds before it stops.
    private static func llhttp(_ stream: [UInt8]) -> [ParsedRequest] {
        let channel = EmbeddedChannel(
            handler: ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
        // An error comes after what was decoded before it; the requests are what is compared.
        _ = try? channel.writeInbound(ByteBuffer(bytes: stream))
        var requests: [ParsedRequest] = []
        var current: ParsedRequest?
        while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
            switch part {
            case .head(let head):
                current = ParsedRequest(
                    method: head.method.rawValue, target: head.uri, version: head.version.minor,
                    // Ours drops names with an underscore, and white space after values (RFC 9112 section 5.1), which
                    // NIO leaves.
                    headers: head.headers.filter { !$0.name.contains("_") }.map { "\($0.name): \(trimmed($0.value))" },
                    body: [])
            case .body(let buffer): current?.body += buffer.readableBytesView
            case .end:
                if let request = current { requests.append(request) }
                current = nil
            }
        }
        _ = try? channel.finish(acceptAlreadyClosed: true)
        return requests
    }
}

extension ParsedStream {
    /// The requests up to the one after which the connection closes: llhttp looks no further.
    static func untilClose(_ stream: [UInt8]) -> [ParsedRequest] {
        let requests = ParsedStream([stream[...]]).requests
        let last = requests.firstIndex { request in
            let fields = request.headers.filter { $0.lowercased().hasPrefix("connection:") }.map {
                $0.lowercased().dropFirst(11)
            }
            let options = fields.joined(separator: ",").split(separator: ",").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            return options.contains("close") || options.contains("upgrade")
                || (request.version == 0 && !options.contains("keep-alive"))
        }
        return last.map { Array(requests[...$0]) } ?? requests
    }
}

/// Steele, Lea and Flood's generator: small, and the same everywhere.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
