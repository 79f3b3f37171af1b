// HTTPBenchmark [--port N] [--inline] [--threads N] [--busy-us N] [--body N]: serves a fixed answer without Python, so that what wrk sees is
// the transport. Tests/Benchmarks/http.sh compares its modes by ratio in one run.

import CLinux
import Glibc
import GraniteExchange
import GraniteHTTP

/// Answers every request with the same body, after spinning for a given time.
final class FixedAnswer: Application, ApplicationThread {
    private let body: [UInt8]
    private let busyNanoseconds: UInt64

    init(bodyBytes: Int, busyNanoseconds: UInt64) {
        body = bodyBytes == 0 ? Array("Hello, world!".utf8) : [UInt8](repeating: 0x78, count: bodyBytes)
        self.busyNanoseconds = busyNanoseconds
    }

    func makeThread() -> any ApplicationThread { FixedAnswer(bodyBytes: body.count, busyNanoseconds: busyNanoseconds) }
    func enter() {}
    func leave() {}
    func close() {}

    func respond(to exchange: any Exchange) {
        if busyNanoseconds > 0 {
            let end = granite_monotonic_ns() + busyNanoseconds
            while granite_monotonic_ns() < end { continue }
        }
        let ok: StaticString = "OK"
        let name: StaticString = "Content-Type"
        let value: StaticString = "text/plain"
        exchange.begin(status: 200, reason: ok.bytes)
        exchange.addHeader(name: name.bytes, value: value.bytes)
        exchange.commit(bodyLength: body.count)
        body.withUnsafeBytes { _ = exchange.write($0) }
        exchange.finish()
    }
}

extension StaticString {
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}

@main
struct HTTPBenchmark {
    static func main() throws {
        let arguments = CommandLine.arguments
        func number(_ name: String) -> Int? {
            arguments.firstIndex(of: name).flatMap { $0 + 1 < arguments.count ? Int(arguments[$0 + 1]) : nil }
        }
        var configuration = ServerConfiguration()
        configuration.applicationThreads = number("--threads") ?? 1
        configuration.preferInline = arguments.contains("--inline")
        let listener = listen(port: UInt16(number("--port") ?? 8000))
        let server = try HTTPServer(
            configuration: configuration, listeners: [listener],
            application: FixedAnswer(
                bodyBytes: number("--body") ?? 0, busyNanoseconds: UInt64(number("--busy-us") ?? 0) * 1000))
        stop = server.stopDescriptor
        signal(SIGTERM) { _ in
            var one: UInt64 = 1
            _ = write(stop, &one, 8)
        }
        try server.run()
    }

    private static func listen(port: UInt16) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let bound = withUnsafeBytes(of: &address) {
            bind(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        precondition(bound == 0 && Glibc.listen(descriptor, 1024) == 0, "the port is in use")
        return descriptor
    }
}

/// For the signal handler; set before it is installed.
nonisolated(unsafe) private var stop: Int32 = -1
