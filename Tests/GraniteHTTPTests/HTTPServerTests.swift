// The server over real sockets: framing both ways, connections, limits.

import Foundation
import GraniteExchange
import Synchronization
import Testing

@testable import GraniteHTTP

private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

extension SocketTests {
    @Suite(.timeLimit(.minutes(3))) struct HTTPServerTests {
        @Test func answersWithLengthServerAndDateAndKeepsTheConnection() throws {
            let server = try TestServer { $0.answer("hello", headers: [("Content-Type", "text/plain")]) }
            let client = TestClient(server.port)
            for _ in 0..<3 {
                client.send(get)
                let response = client.response()
                #expect(
                    response.head == "HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 5\nServer: granite")
                #expect(response.body == "hello")
            }
        }

        @Test func dateIsAnIMFFixdateOfNow() throws {
            let server = try TestServer { $0.answer("") }
            let client = TestClient(server.port)
            client.send(get)
            let line = client.read(until: "\r\n\r\n").components(separatedBy: "\r\n").first { $0.hasPrefix("Date: ") }
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.timeZone = TimeZone(identifier: "GMT")
            format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
            let date = try #require(line.flatMap { format.date(from: String($0.dropFirst(6))) })
            #expect(abs(date.timeIntervalSinceNow) < 60)
            #expect(line?.dropFirst(6) == Substring(format.string(from: date)))
        }

        @Test func answersPipelinedRequestsInOrder() throws {
            let server = try TestServer { $0.answer($0.target) }
            let client = TestClient(server.port)
            client.send((0..<200).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
            for i in 0..<200 { #expect(client.response().body == "/\(i)") }
        }

        @Test(arguments: [1, 100, 8191, 100_000, 3_000_000]) func echoesBodiesOfEverySizeBothWays(count: Int) throws {
            var configuration = ServerConfiguration()
            configuration.limits.bodyMemoryLimit = 65_536
            let server = try TestServer(configuration) { exchange in
                let bytes = exchange.bodyBytes
                exchange.start()
                exchange.commit(bodyLength: bytes.count)
                _ = bytes.withUnsafeBytes { exchange.write($0) }
                exchange.finish()
            }
            let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
            let client = TestClient(server.port)
            client.send(latin1("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n") + body)
            _ = client.read(until: "\r\n\r\n")
            #expect(client.read(count: count) == body)
            client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in stride(from: 0, to: count, by: 50_000) {
                let chunk = body[start..<min(count, start + 50_000)]
                client.send(latin1(String(chunk.count, radix: 16) + "\r\n") + chunk + latin1("\r\n"))
            }
            client.send("0\r\n\r\n")
            _ = client.read(until: "\r\n\r\n")
            #expect(client.read(count: count) == body)
        }

        @Test func longBodiesArriveAsAFileAndShortOnesInMemory() throws {
            var configuration = ServerConfiguration()
            configuration.limits.bodyMemoryLimit = 1000
            let server = try TestServer(configuration) { exchange in
                switch exchange.request.body {
                case .none: exchange.answer("none")
                case .memory(let bytes): exchange.answer("memory \(bytes.count)")
                case .file(_, let length): exchange.answer("file \(length)")
                }
            }
            let client = TestClient(server.port)
            for (count, answer) in [(0, "none"), (1000, "memory 1000"), (1001, "file 1001"), (5, "memory 5")] {
                client.send(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n"
                        + String(repeating: "x", count: count))
                #expect(client.response().body == answer)
            }
        }

        @Test func streamsInChunksAsYielded() throws {
            let gate = DispatchSemaphore(value: 0)
            let server = try TestServer { exchange in
                exchange.start()
                exchange.commit(bodyLength: nil)
                _ = exchange.write("first")
                #expect(exchange.flush())
                gate.wait()
                _ = exchange.write("second")
                exchange.finish()
            }
            let client = TestClient(server.port)
            client.send(get)
            #expect(client.read(until: "\r\n\r\n").contains("Transfer-Encoding: chunked"))
            // The application has not gone on: what is read now was flushed.
            #expect(client.read(until: "first\r\n") == "5\r\nfirst\r\n")
            gate.signal()
            #expect(client.read(until: "0\r\n\r\n") == "6\r\nsecond\r\n0\r\n\r\n")
        }

        @Test func answersHEADWithTheLengthAndNoBody() throws {
            let server = try TestServer { $0.answer("hello") }
            let client = TestClient(server.port)
            client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let head = client.read(until: "\r\n\r\n")
            #expect(head.contains("Content-Length: 5\r\n"))
            #expect(client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
            #expect(client.readToEnd() == "hello")
        }

        @Test(arguments: ["HEAD", "GET"]) func aBodyThatIsNotGivenSaysNothingOfItsLength(method: String) throws {
            let server = try TestServer { exchange in
                exchange.start(
                    status: method == "GET" ? 304 : 200,
                    headers: exchange.target == "/declared" ? [("Content-Length", "7")] : [])
                exchange.commit(bodyLength: exchange.target == "/declared" ? nil : 0)
                #expect(!exchange.wantsBody)
                exchange.finish()
            }
            let client = TestClient(server.port)
            client.send("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n\(method) /declared HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(!client.read(until: "\r\n\r\n").contains("Content-Length"))
            #expect(client.read(until: "\r\n\r\n").contains("\r\nContent-Length: 7\r\n"))
        }

        @Test(arguments: [204, 304]) func sendsNoBodyWhereNoneMayBe(status: Int) throws {
            let server = try TestServer { exchange in
                exchange.start(status: status)
                exchange.commit(bodyLength: nil)
                _ = exchange.write("never")
                exchange.finish()
            }
            let client = TestClient(server.port)
            client.send(get + get)
            for _ in 0..<2 {
                let head = client.response().head
                #expect(head == "HTTP/1.1 \(status) OK\nServer: granite")
            }
        }

        @Test func cutsABodyToItsContentLength() throws {
            let server = try TestServer { exchange in
                exchange.start(headers: [("Content-Length", "4")])
                exchange.commit(bodyLength: nil)
                _ = exchange.write("123")
                _ = exchange.write("456")
                exchange.finish()
            }
            let client = TestClient(server.port)
            client.send(get + get)
            #expect(client.response().body == "1234")
            #expect(client.response().body == "1234")
        }

        @Test func closesAfterABodyShorterThanItsContentLength() throws {
            let server = try TestServer { exchange in
                exchange.start(headers: [("Content-Length", "10")])
                exchange.commit(bodyLength: nil)
                _ = exchange.write("short")
                exchange.finish()
            }
            let client = TestClient(server.port)
            client.send(get)
            let response = client.readToEnd()
            #expect(response.hasSuffix("\r\n\r\nshort"))
        }

        @Test func neverEndsABodyCleanlyAfterAFailure() throws {
            let server = try TestServer { exchange in
                exchange.start()
                exchange.commit(bodyLength: nil)
                _ = exchange.write("some")
                _ = exchange.flush()
                exchange.fail()
            }
            let client = TestClient(server.port)
            client.send(get)
            let chunked = client.readToEnd()
            #expect(chunked.hasSuffix("4\r\nsome\r\n"))
            let old = TestClient(server.port)
            old.send("GET / HTTP/1.0\r\n\r\n")
            #expect(old.readToEnd().hasSuffix("<reset>"))
        }

        @Test func failureBeforeTheHeadIsA500AndForgetsWhatWasBegun() throws {
            let server = try TestServer { exchange in
                exchange.start(status: 201, headers: [("X-A", "b"), ("Content-Length", "999")])
                exchange.fail()
            }
            let client = TestClient(server.port)
            client.send(get + get)
            for _ in 0..<2 {
                let response = client.response()
                #expect(
                    response.head.hasPrefix(
                        "HTTP/1.1 500 Internal Server Error\nContent-Type: text/plain; charset=utf-8\nContent-Length: ")
                )
                #expect(response.body == "the application failed\n")
            }
        }

        @Test func anApplicationThatReturnsWithoutAnEndHasFailed() throws {
            let server = try TestServer { _ in }
            let client = TestClient(server.port)
            client.send(get)
            #expect(client.response().head.hasPrefix("HTTP/1.1 500 "))
        }

        @Test func speaksHTTP10WithAndWithoutKeepAlive() throws {
            let server = try TestServer { exchange in
                if exchange.target == "/stream" {
                    exchange.start()
                    exchange.commit(bodyLength: nil)
                    _ = exchange.write("streamed")
                    exchange.finish()
                } else {
                    exchange.answer("whole")
                }
            }
            let client = TestClient(server.port)
            client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let first = client.response()
            #expect(first.head.contains("\nConnection: keep-alive"))
            #expect(first.body == "whole")
            client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let streamed = client.readToEnd()
            #expect(streamed.contains("\r\nConnection: close\r\n") && streamed.hasSuffix("\r\n\r\nstreamed"))
            #expect(!streamed.contains("chunked"))
            let old = TestClient(server.port)
            old.send("GET / HTTP/1.0\r\n\r\n")
            #expect(old.readToEnd().hasSuffix("\r\n\r\nwhole"))
        }

        @Test func sends100ContinueOnceWhenTheBodyIsAwaited() throws {
            let server = try TestServer { $0.answer(latin1String($0.bodyBytes)) }
            let client = TestClient(server.port)
            for _ in 0..<2 {
                client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
                #expect(client.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
                client.send("ab")
                client.send("cd")
                #expect(client.response().body == "abcd")
            }
            // A client that did not wait gets none.
            client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nabcd")
            #expect(client.response().head.hasPrefix("HTTP/1.1 200 "))
        }

        @Test func refusalsReachAClientThatIsStillSending() throws {
            var configuration = ServerConfiguration()
            configuration.limits.maxBodyBytes = 1000
            let server = try TestServer(configuration) { $0.answer("never") }
            let client = TestClient(server.port)
            client.send(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + String(repeating: "x", count: 500_000))
            let response = client.readToEnd()
            #expect(response.hasPrefix("HTTP/1.1 413 Content Too Large\r\n"))
            #expect(response.contains("\r\nConnection: close\r\n"))
            #expect(response.hasSuffix("\r\n\r\nthe body is too large\n"))
        }

        @Test func nothingAfterARefusedRequestIsServed() throws {
            let served = Mutex(0)
            let server = try TestServer {
                served.withLock { $0 += 1 }
                $0.answer("ok")
            }
            let client = TestClient(server.port)
            client.send(get + "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + get)
            #expect(client.response().body == "ok")
            #expect(client.readToEnd().hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(served.withLock { $0 } == 1)
        }

        @Test func servesAClientThatHasEndedItsSide() throws {
            let server = try TestServer { $0.answer($0.target) }
            let client = TestClient(server.port)
            client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
            client.endOutput()
            #expect(client.response().body == "/1")
            #expect(client.response().body == "/2")
            #expect(client.readToEnd() == "")
        }

        @Test func tellsAClientThatEndedInTheMiddleOfARequest() throws {
            let server = try TestServer { $0.answer("never") }
            for part in ["GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"] {
                let client = TestClient(server.port)
                client.send(part)
                client.endOutput()
                #expect(client.readToEnd().hasPrefix("HTTP/1.1 400 "))
            }
            let silent = TestClient(server.port)
            silent.endOutput()
            #expect(silent.readToEnd() == "")
        }

        @Test(arguments: [10, 100_000, 5_000_000]) func sendsFilesByLengthAndInChunks(count: Int) throws {
            let directory = try TestFile(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 3) })
            let server = try TestServer { exchange in
                exchange.start()
                exchange.commit(bodyLength: exchange.target == "/chunked" ? nil : count - 3)
                #expect(exchange.sendFile(descriptor: directory.descriptor, offset: 3, length: count - 3))
                exchange.finish()
            }
            let client = TestClient(server.port)
            client.send(get)
            _ = client.read(until: "\r\n\r\n")
            #expect(client.read(count: count - 3) == Array(directory.bytes[3...]))
            client.send("GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = client.read(until: "\r\n\r\n")
            #expect(client.read(until: "\r\n") == String(count - 3, radix: 16) + "\r\n")
            #expect(client.read(count: count - 3) == Array(directory.bytes[3...]))
            #expect(client.read(count: 7) == latin1("\r\n0\r\n\r\n"))
        }

        @Test func aFileThatEndsEarlyIsATruncatedBody() throws {
            let file = try TestFile(bytes: [UInt8](repeating: 0x61, count: 100_000))
            let server = try TestServer { exchange in
                exchange.start()
                exchange.commit(bodyLength: 200_000)
                // False, unless the socket took less than the file has: then the transport finds out.
                if exchange.sendFile(descriptor: file.descriptor, offset: 0, length: 200_000) {
                    exchange.finish()
                } else {
                    exchange.fail()
                }
            }
            let client = TestClient(server.port)
            client.send(get)
            _ = client.read(until: "\r\n\r\n")
            #expect(client.readToEnd().count == 100_000)
        }
    }
}

func latin1String(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { latin1($0) } }

/// An open temporary file.
final class TestFile: Sendable {
    let bytes: [UInt8]
    let descriptor: Int32

    init(bytes: [UInt8]) throws {
        self.bytes = bytes
        var path = Array("/tmp/granite-test-XXXXXX".utf8CString)
        descriptor = mkstemp(&path)
        unlink(&path)
        #expect(bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) } == bytes.count)
    }

    deinit { close(descriptor) }
}
