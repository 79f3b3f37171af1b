// A collector that writes down what it hears and reports every unexpected death at once, unless FAKE_COLLECTOR says otherwise.

import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport

enum FakeCollector {
    static func run() {
        let environment = Foundation.ProcessInfo.processInfo.environment
        let mode = environment["FAKE_COLLECTOR"] ?? ""
        let log = environment["FAKE_COLLECTOR_LOG"].map { open($0, O_WRONLY | O_CREAT | O_APPEND, 0o600) } ?? -1
        if mode == "exits" { exit(4) }
        send(.ready)
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        var pages: [String: Int32] = [:]
        while true {
            var descriptors: [Int32] = [0, 0, 0, 0]
            var count: Int32 = 0
            let length = granite_receive_with_descriptors(3, &buffer, buffer.count, &descriptors, &count)
            guard length > 0 else { exit(0) }
            let bytes = Data(buffer[..<length])
            let line = bytes + Data(" \(count)\n".utf8)
            line.withUnsafeBytes { _ = write(log, $0.baseAddress, $0.count) }
            guard let message = try? JSONDecoder().decode(SupervisorMessage.self, from: bytes) else { exit(93) }
            switch message {
            case .watch(let watch):
                pages[watch.crashID] = descriptors[0]
                if mode == "drop-site" {
                    send(
                        .reported(crashID: watch.crashID, summary: summary(id: "01DROPSITE", of: watch.crashID, pages)))
                }
                if mode == "early" {
                    send(
                        .reported(crashID: watch.crashID, summary: summary(id: watch.crashID, of: watch.crashID, pages))
                    )
                }
            case .exited(let exited) where !exited.expected:
                switch mode {
                case "silent", "early": break
                case "fails": send(.failed(crashID: exited.crashID, reason: "no space left", summary: nil))
                default:
                    send(
                        .reported(
                            crashID: exited.crashID, summary: summary(id: exited.crashID, of: exited.crashID, pages)))
                }
            case .exited, .respawned: break
            }
        }
    }

    private static func summary(id: String, of crashID: String, _ pages: [String: Int32]) -> CrashSummary {
        // The page came with the message and is that worker's.
        let slot = pages[crashID].flatMap { try? CrashPage(descriptor: $0) }.flatMap { try? $0.status() }?.slot ?? 0
        return CrashSummary(
            id: id, kind: "signal", reason: "strlen read address 0x0 in slot \(slot)", category: "null_dereference",
            confidence: "certain",
            request: nil, top: ["strlen", "native_crash (app.py:14)"], fingerprint: "5e1a", complete: true,
            report: "\(id).json")
    }

    private static func send(_ message: CollectorMessage) {
        guard let bytes = try? JSONEncoder().encode(message) else { return }
        bytes.withUnsafeBytes {
            if let base = $0.baseAddress { _ = granite_send_with_descriptors(3, base, $0.count, nil, 0) }
        }
    }
}
