// A worker that was taken over by somebody who wants to harm the collector: its end of the memory socket.

import CGraniteCapture
import Foundation
import TestSupport

/// Answers on a thread of its own until the collector says that it has all, or the socket is closed.
struct HostileWorker {
    enum Manner: Int, CaseIterable {
        /// Says nothing but hello.
        case silent
        /// Hangs up after the first question.
        case leaves
        /// Answers with noise.
        case noise
        /// Answers each question with a header that lies about what follows.
        case liar
        /// Sends without being asked, as much as fits.
        case flood
        /// Answers well formed, with memory that is full of pointers into itself.
        case maze
        /// Says hello again and again, of captures that do not exist.
        case greeter
    }

    let manner: Manner
    let socket: Int32
    var random: SplitMix

    /// Takes over `socket`.
    static func start(_ manner: Manner, socket: Int32, capture: UInt32, random: SplitMix) {
        var hello = granite_memory_hello(magic: GRANITE_PAGE_MAGIC, pid: 1, capture_sequence: capture)
        send(socket, &hello, MemoryLayout<granite_memory_hello>.size, Int32(MSG_NOSIGNAL))
        Thread {
            var worker = HostileWorker(manner: manner, socket: socket, random: random)
            worker.run()
            close(socket)
        }.start()
    }

    private mutating func run() {
        var requests = [granite_memory_request](repeating: .init(), count: Int(GRANITE_MEMORY_BATCH))
        if manner == .flood { flood() }
        while true {
            let count = requests.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
            guard count > 0 else { return }
            for request in requests.prefix(count / MemoryLayout<granite_memory_request>.stride) {
                guard request.operation == GRANITE_MEMORY_READ.rawValue, answer(request) else { return }
            }
        }
    }

    /// False to leave.
    private mutating func answer(_ request: granite_memory_request) -> Bool {
        switch manner {
        case .silent: return true
        case .leaves: return false
        case .noise: say((0..<random.below(5000)).map { _ in random.byte() })
        case .liar:
            let lie = granite_memory_reply(
                result: Int32(truncatingIfNeeded: random.hostileWord()),
                length: UInt32(truncatingIfNeeded: random.hostileWord()),
                address: random.below(3) == 0 ? random.hostileWord() : request.address)
            say(withUnsafeBytes(of: lie) { Array($0) } + (0..<random.below(5000)).map { _ in random.byte() })
        case .flood: flood()
        case .maze:
            let reply = granite_memory_reply(
                result: Int32(clamping: request.length), length: request.length, address: request.address)
            var bytes = withUnsafeBytes(of: reply) { Array($0) }
            for _ in 0..<request.length / 8 {
                // Pointers near each other and small numbers: what lists and counts are made of.
                let word =
                    random.below(3) == 0 ? UInt64(random.below(300)) : 0x7f00_0000_0000 + random.next() % 0x40_0000
                withUnsafeBytes(of: word) { bytes += $0 }
            }
            say(bytes)
        case .greeter:
            for _ in 0..<8 {
                let hello = granite_memory_hello(
                    magic: GRANITE_PAGE_MAGIC, pid: 1, capture_sequence: UInt32(random.below(9)))
                say(withUnsafeBytes(of: hello) { Array($0) })
            }
        }
        return true
    }

    private mutating func flood() {
        for _ in 0..<300 { say((0..<random.below(40)).map { _ in random.byte() }) }
    }

    /// Never waits: a collector that does not read must not hold the test.
    private func say(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) }
    }
}
