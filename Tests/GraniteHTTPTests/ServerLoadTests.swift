// The server under adversity: slow clients, full queues, stops, changing modes.

import CLinux
import Foundation
import GraniteExchange
import GraniteHTTP
import Synchronization
import Testing

private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

/// Occupies the thread, not the clock's patience: a busy application as the server sees one.
private func spin(microseconds: Int) {
    let end = granite_monotonic_ns() + UInt64(microseconds) * 1000
    while granite_monotonic_ns() < end { continue }
}

extension SocketTests {
    @Suite(.timeLimit(.minutes(3))) struct ServerLoadTests {
        @Test(arguments: [1, 4]) func noResponseIsLostOrSwappedWhileTheModeChanges(threads: Int) async throws {
            var configuration = ServerConfiguration()
            configuration.applicationThreads = threads
            let identities = Mutex<Set<UInt>>([])
            let server = try TestServer(configuration) { exchange in
                identities.withLock { _ = $0.insert(UInt(pthread_self())) }
                // Fast and slow phases by the token's number, so that the moving average crosses both thresholds again
                // and again.
                let target = exchange.target
                let number = target.split(separator: "/").last.flatMap { Int($0) } ?? 0
                if (number / 250) % 2 == 1 { spin(microseconds: 40) }
                exchange.answer(target)
            }
            let port = server.port
            let wrong = await withTaskGroup(of: Int.self) { group in
                for clientNumber in 0..<8 {
                    group.addTask {
                        await onThread {
                            let client = TestClient(port)
                            var wrong = 0
                            for i in stride(from: 0, to: 2000, by: 4) {
                                client.send(
                                    (i..<i + 4).map { "GET /\(clientNumber)/\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }
                                        .joined())
                                for j in i..<i + 4 where client.response().body != "/\(clientNumber)/\(j)" {
                                    wrong += 1
                                }
                            }
                            return wrong
                        }
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(wrong == 0)
            #expect(identities.withLock { $0.count } <= threads)
            #expect(server.stop())
        }

        @Test func oneCallThatLastsDoesNotKeepTheOthersFromBeingAccepted() throws {
            var configuration = ServerConfiguration()
            configuration.backpressure = 1
            configuration.queueTimeout = .milliseconds(100)
            let gate = DispatchSemaphore(value: 0)
            let server = try TestServer(configuration) { exchange in
                if exchange.target == "/slow" { gate.wait() }
                exchange.answer("done")
            }
            let slow = TestClient(server.port)
            slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            // The application is stuck in the loop's thread; the helper takes the loop, and the queue's limit answers.
            let other = TestClient(server.port)
            other.send(get)
            let refused = other.response()
            #expect(refused.head.hasPrefix("HTTP/1.1 503 Service Unavailable\n"))
            #expect(refused.head.contains("\nRetry-After: 1\n"))
            gate.signal()
            #expect(slow.response().body == "done")
            other.send(get)
            #expect(other.response().body == "done")
        }

        @Test func idleConnectionsNeverCountAgainstBackpressure() throws {
            var configuration = ServerConfiguration()
            configuration.backpressure = 1
            configuration.queueTimeout = .seconds(60)
            let server = try TestServer(configuration) { $0.answer("ok") }
            let idle = (0..<50).map { _ in TestClient(server.port) }
            for client in idle {
                client.send(get)
                #expect(client.response().body == "ok")
            }
            let new = TestClient(server.port)
            new.send(get)
            #expect(new.response().body == "ok")
        }

        @Test(arguments: [1, 2]) func aSlowReaderGetsAllAndHoldsUpNobody(threads: Int) throws {
            var configuration = ServerConfiguration()
            configuration.applicationThreads = threads
            let count = 20_000_000
            let server = try TestServer(configuration) { exchange in
                if exchange.target != "/big" { return exchange.answer("small") }
                exchange.start()
                exchange.commit(bodyLength: count)
                let bytes = [UInt8](repeating: 0x61, count: count)
                _ = bytes.withUnsafeBytes { exchange.write($0) }
                exchange.finish()
            }
            let slow = TestClient(server.port, receiveBuffer: 4096)
            slow.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = slow.read(until: "\r\n\r\n")
            let other = TestClient(server.port)
            for _ in 0..<10 {
                other.send(get)
                #expect(other.response().body == "small")
            }
            #expect(slow.read(count: count) == [UInt8](repeating: 0x61, count: count))
            slow.send(get)
            #expect(slow.response().body == "small")
        }

        @Test(arguments: [true, false]) func aSlowReaderOfALargeFileHoldsNoApplicationThread(isChunked: Bool) throws {
            let count = 20_000_000
            let file = try TestFile(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 4) })
            let returned = DispatchSemaphore(value: 0)
            let server = try TestServer { exchange in
                if exchange.target != "/big" { return exchange.answer("small") }
                let copy = dup(file.descriptor)
                exchange.start()
                exchange.commit(bodyLength: isChunked ? nil : count)
                #expect(exchange.sendFile(descriptor: copy, offset: 0, length: count))
                exchange.finish()
                close(copy)  // the rest is sent from the transport's own descriptor
                returned.signal()
            }
            let slow = TestClient(server.port, receiveBuffer: 4096)
            slow.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            // Nothing of the body was read.
            #expect(returned.wait(timeout: .now() + 20) == .success)
            let other = TestClient(server.port)
            for _ in 0..<10 {
                other.send(get)
                #expect(other.response().body == "small")
            }
            _ = slow.read(until: "\r\n\r\n")
            if isChunked { _ = slow.read(until: "\r\n") }
            #expect(slow.read(count: count) == file.bytes)
            if isChunked { #expect(slow.read(count: 7) == latin1("\r\n0\r\n\r\n")) }
            #expect(slow.response().body == "small")
        }

        @Test func whatComesAfterALargeFileKeepsItsPlace() throws {
            let count = 8_000_000
            let file = try TestFile(bytes: [UInt8](repeating: 0x66, count: count))
            let server = try TestServer { exchange in
                exchange.start()
                exchange.commit(bodyLength: count + 10)
                _ = exchange.write("start")
                #expect(exchange.sendFile(descriptor: file.descriptor, offset: 0, length: count))
                #expect(exchange.write("after"))
                exchange.finish()
            }
            let client = TestClient(server.port, receiveBuffer: 4096)
            client.send(get)
            _ = client.read(until: "\r\n\r\n")
            #expect(client.read(count: 5) == latin1("start"))
            #expect(client.read(count: count) == file.bytes)
            #expect(client.read(count: 5) == latin1("after"))
        }

        @Test func bodiesBeyondTheRoomForSpilledOnesAreRefusedUntilThereIsSome() throws {
            var configuration = ServerConfiguration()
            configuration.limits.bodyMemoryLimit = 1000
            configuration.maxSpilledBytes = 100_000
            let server = try TestServer(configuration) { $0.answer("\($0.request.body.length)") }
            let client = TestClient(server.port)
            for _ in 0..<3 {
                client.send(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
                        + String(repeating: "x", count: 60_000))
                #expect(client.response().body == "60000")
            }
            let large = TestClient(server.port)
            large.send(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n" + String(repeating: "x", count: 150_000))
            #expect(large.readToEnd().hasSuffix("\r\n\r\nthere is no room to store the body\n"))
            client.send(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + String(repeating: "x", count: 90_000))
            #expect(client.response().body == "90000")
        }

        @Test func aStreamToASlowReaderWaitsAndLendsTheLoop() throws {
            let refused = DispatchSemaphore(value: 0)
            let server = try TestServer { exchange in
                if exchange.target != "/big" { return exchange.answer("small") }
                exchange.start()
                exchange.commit(bodyLength: nil)
                let piece = [UInt8](repeating: 0x62, count: 100_000)
                for _ in 0..<200 {
                    guard piece.withUnsafeBytes({ exchange.write($0) }), exchange.flush() else {
                        return exchange.fail()
                    }
                    if exchange.mayBlock { refused.signal() }
                }
                exchange.finish()
            }
            let slow = TestClient(server.port, receiveBuffer: 4096)
            slow.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = slow.read(until: "\r\n\r\n")
            // Nothing is read until the socket has refused bytes, so that the next write must wait, however fast both sides are.
            #expect(refused.wait(timeout: .now() + 20) == .success)
            var total = 0
            while true {
                let line = slow.read(until: "\r\n").dropLast(1)  // CR LF is one character
                guard let size = Int(line, radix: 16), size > 0 else { break }
                total += slow.read(count: size).count
                _ = slow.read(count: 2)
            }
            #expect(total == 20_000_000)
            let other = TestClient(server.port)
            other.send(get)
            #expect(other.response().body == "small")
        }

        @Test func writingToAClientThatLeftReturnsFalse() throws {
            let outcome = DispatchSemaphore(value: 0)
            let server = try TestServer { exchange in
                if exchange.target != "/stream" { return exchange.answer("ok") }
                exchange.start()
                exchange.commit(bodyLength: nil)
                while exchange.write("piece") && exchange.flush() { continue }
                outcome.signal()
                exchange.fail()
            }
            let client = TestClient(server.port)
            client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = client.read(until: "piece")
            client.reset()
            #expect(outcome.wait(timeout: .now() + 20) == .success)
            let other = TestClient(server.port)
            other.send(get)
            #expect(other.response().body == "ok")
        }

        @Test func aClientThatTakesNothingTimesOut() throws {
            var configuration = ServerConfiguration()
            configuration.writeTimeout = .milliseconds(100)
            let outcome = DispatchSemaphore(value: 0)
            let server = try TestServer(configuration) { exchange in
                exchange.start()
                exchange.commit(bodyLength: nil)
                let piece = [UInt8](repeating: 0x62, count: 1_000_000)
                while piece.withUnsafeBytes({ exchange.write($0) }) && exchange.flush() { continue }
                outcome.signal()
                exchange.fail()
            }
            let client = TestClient(server.port, receiveBuffer: 4096)
            client.send(get)
            #expect(outcome.wait(timeout: .now() + 20) == .success)
        }

        @Test func slowHeadsAndBodiesAreToldAndIdleConnectionsClosed() throws {
            var configuration = ServerConfiguration()
            configuration.headTimeout = .milliseconds(50)
            configuration.bodyTimeout = .milliseconds(50)
            configuration.keepAliveTimeout = .milliseconds(50)
            let server = try TestServer(configuration) { $0.answer("ok") }
            let head = TestClient(server.port)
            head.send("GET / HT")
            #expect(head.readToEnd().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
            let body = TestClient(server.port)
            body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
            #expect(body.readToEnd().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
            let idle = TestClient(server.port)
            idle.send(get)
            #expect(idle.readToEnd().hasSuffix("\r\n\r\nok"))
            let silent = TestClient(server.port)
            #expect(silent.readToEnd() == "")
        }

        @Test(arguments: [1, 3]) func aStopAnswersWhatIsUnderWayAndClosesTheRest(threads: Int) throws {
            var configuration = ServerConfiguration()
            configuration.applicationThreads = threads
            let entered = DispatchSemaphore(value: 0)
            let gate = DispatchSemaphore(value: 0)
            let server = try TestServer(configuration) { exchange in
                if exchange.target == "/slow" {
                    entered.signal()
                    gate.wait()
                }
                exchange.answer("done")
            }
            let idle = TestClient(server.port)
            idle.send(get)
            #expect(idle.response().body == "done")
            let half = TestClient(server.port)
            half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
            let slow = TestClient(server.port)
            slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            entered.wait()
            server.requestStop()
            #expect(idle.readToEnd() == "")
            half.send("cd")
            gate.signal()
            // Dispatched before the stop, committed after it.
            let last = slow.response()
            #expect(last.body == "done")
            #expect(last.head.contains("\nConnection: close"))
            #expect(slow.readToEnd() == "")
            #expect(half.readToEnd().contains("\r\nConnection: close\r\n"))
            #expect(server.stop())
        }

        @Test func theDrainHasADeadline() throws {
            var configuration = ServerConfiguration()
            configuration.drainTimeout = .milliseconds(50)
            let server = try TestServer(configuration) { $0.answer("never") }
            let client = TestClient(server.port)
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
            // The server has the connection once it has answered another one that came after it.
            let probe = TestClient(server.port)
            probe.send(get)
            _ = probe.response()
            #expect(server.stop())
            #expect(client.readToEnd() == "")
        }

        @Test func connectionsOverTheLimitWaitForAPlace() throws {
            var configuration = ServerConfiguration()
            configuration.maxConnections = 2
            let server = try TestServer(configuration) { $0.answer("ok") }
            var first: TestClient? = TestClient(server.port)
            first?.send(get)
            #expect(first?.response().body == "ok")
            let second = TestClient(server.port)
            second.send(get)
            #expect(second.response().body == "ok")
            let third = TestClient(server.port)
            third.send(get)
            first = nil
            #expect(third.response().body == "ok")
        }

        @Test func pausesAcceptingWithoutDescriptorsAndGoesOnAfterwards() throws {
            let server = try TestServer { $0.answer("ok") }
            let first = TestClient(server.port)
            first.send(get)
            #expect(first.response().body == "ok")
            let waiting = TestClient(server.port, connecting: false)
            // All descriptors below a lowered limit are taken: accept4 fails with EMFILE. Others of this process are
            // not disturbed for long.
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let probe = dup(0)
            close(probe)
            var lowered = limit
            lowered.rlim_cur = rlim_t(probe)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &lowered)
            waiting.connectNow()
            waiting.send(get)
            first.send(get)
            let served = first.response().body
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            #expect(served == "ok")
            #expect(waiting.response().body == "ok")
        }

        @Test func theHeartbeatBeatsWithoutAnyTraffic() throws {
            let beats = DispatchSemaphore(value: 0)
            let server = try TestServer(heartbeat: { beats.signal() }) { $0.answer("ok") }
            #expect(beats.wait(timeout: .now() + 20) == .success)
            #expect(beats.wait(timeout: .now() + 20) == .success)
            #expect(server.stop())
        }
    }
}

/// Runs blocking code on a thread of its own, so that the test's tasks are not held up.
private func onThread<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}
