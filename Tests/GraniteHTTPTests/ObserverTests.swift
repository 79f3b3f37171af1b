// What an observer is told: of exchanges, and of requests that become none.

import Foundation
import GraniteExchange
import GraniteHTTP
import Synchronization
import Testing

extension SocketTests {
    @Suite(.timeLimit(.minutes(1))) struct ObserverTests {
        @Test func observersSeeEachExchangeWithStatusAndBytes() throws {
            let recorder = Recorder()
            let server = try TestServer(observer: recorder) { $0.answer("hello", status: 201) }
            let client = TestClient(server.port)
            client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = client.response()
            client.send("HEAD /b HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = client.read(until: "\r\n\r\n")
            server.stop()
            #expect(
                recorder.lines.withLock { $0 } == [
                    "1 /a 127.0.0.1", "done /a 201 5", "2 /b 127.0.0.1", "done /b 201 0",
                ])
        }

        @Test func observersAreToldOfRequestsThatNoApplicationSees() throws {
            let recorder = Recorder()
            var configuration = ServerConfiguration()
            configuration.limits.maxRequestLineBytes = 100
            configuration.limits.maxBodyBytes = 10
            let server = try TestServer(configuration, observer: recorder) { $0.answer("never") }
            for request in [
                "GET /two HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
                "GET /\(String(repeating: "x", count: 200)) HTTP/1.1\r\n\r\n",
            ] {
                let client = TestClient(server.port)
                client.send(request)
                #expect(client.readToEnd().hasPrefix("HTTP/1.1 4"))
            }
            server.stop()
            #expect(
                recorder.lines.withLock { $0 } == [
                    "refused 1 GET /two 400 35 127.0.0.1", "refused 2 POST /large 413 22 127.0.0.1",
                    "refused 3   414 29 127.0.0.1",
                ])
        }
    }
}

private final class Recorder: ExchangeObserver {
    let lines = Mutex<[String]>([])

    func willRespond(to request: Request, thread: Int) {
        let line = "\(request.number) \(latin1(request.target)) \(latin1(request.remoteAddress))"
        lines.withLock { $0.append(line) }
    }

    func didReject(_ request: Request, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64) {
        let line =
            "refused \(request.number) \(latin1(request.method)) \(latin1(request.target)) \(status) \(bodyBytes)"
            + " \(latin1(request.remoteAddress))"
        lines.withLock { $0.append(line) }
    }

    func didRespond(
        to request: Request, thread: Int, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64,
        applicationNanoseconds: UInt64
    ) {
        let line = "done \(latin1(request.target)) \(status) \(bodyBytes)"
        lines.withLock { $0.append(line) }
    }
}
