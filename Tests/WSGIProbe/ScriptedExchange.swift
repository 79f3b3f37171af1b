// An exchange in memory: a request from a script, its answer kept.

import Foundation
import GraniteExchange
import GraniteWSGI

final class ScriptedExchange: Exchange {
    let request: Request
    private(set) var answer = ScriptedAnswer()
    private(set) var isCommitted = false
    private let script: ScriptedRequest
    private let storage: UnsafeMutableRawBufferPointer
    private let fields: UnsafeMutableBufferPointer<HeaderField>
    private let descriptor: Int32
    private let isGILFree: () -> Bool
    private var bodyBytes = 0

    /// - Parameter isGILFree: whether another thread can take the GIL now; waits for it.
    init(_ script: ScriptedRequest, number: UInt64, isGILFree: @escaping () -> Bool) {
        self.script = script
        self.isGILFree = isGILFree
        var bytes: [UInt8] = []
        func append(_ text: String) -> Range<Int> {
            let start = bytes.count
            bytes += text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
            return start..<bytes.count
        }
        let method = append(script.method)
        let target = append(script.target)
        let mark = script.target.firstIndex(of: "?")
        let path = append(String(mark.map { script.target[..<$0] } ?? script.target[...]))
        let query = append(mark.map { String(script.target[script.target.index(after: $0)...]) } ?? "")
        let address = append(script.remoteAddress)
        let headers = script.headers.map { (append($0[0]), append($0[1])) }
        let body = append(script.body ?? "")
        storage = .allocate(byteCount: max(bytes.count, 1), alignment: 16)
        storage.copyBytes(from: bytes)
        fields = .allocate(capacity: headers.count)
        for (index, header) in headers.enumerated() {
            fields.initializeElement(
                at: index,
                to: HeaderField(
                    nameOffset: UInt32(header.0.lowerBound), nameLength: UInt32(header.0.count),
                    valueOffset: UInt32(header.1.lowerBound), valueLength: UInt32(header.1.count)))
        }
        let whole = UnsafeRawBufferPointer(storage)
        func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: whole[range]) }
        descriptor = script.isBodyInFile ? Self.makeFile(part(body)) : -1
        request = Request(
            method: part(method), target: part(target), path: part(path), query: part(query),
            minorVersion: script.minorVersion,
            headers: UnsafeBufferPointer(fields), base: UnsafeRawPointer(storage.baseAddress!),
            body: script.body == nil
                ? .none : descriptor >= 0 ? .file(descriptor: descriptor, length: body.count) : .memory(part(body)),
            remoteAddress: part(address), remotePort: script.remotePort, number: number)
    }

    deinit {
        // Poisoned, so that whoever reads it too late is seen.
        storage.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "!"))
        storage.deallocate()
        fields.deallocate()
        if descriptor >= 0 { close(descriptor) }
    }

    private static func makeFile(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        var name = Array((NSTemporaryDirectory() + "/granite-probe-XXXXXX").utf8CString)
        let descriptor = mkstemp(&name)
        unlink(name)
        precondition(Foundation.write(descriptor, bytes.baseAddress, bytes.count) == bytes.count)
        return descriptor
    }

    var mayBlock: Bool { script.isSlow && isCommitted }

    var wantsBody: Bool { script.method != "HEAD" }

    func begin(status: Int, reason: UnsafeRawBufferPointer) {
        precondition(!isCommitted, "begun after it was committed")
        answer.status = status
        answer.reason = latin1(reason)
        answer.headers = []
    }

    func addHeader(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        answer.headers.append([latin1(name), latin1(value)])
    }

    func commit(bodyLength: Int?) {
        precondition(!isCommitted, "committed twice")
        isCommitted = true
        answer.bodyLength = bodyLength
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if !answer.ending.isEmpty { return false }
        checkGIL()
        answer.calls.append("write \(bytes.count)")
        answer.body.append(contentsOf: bytes)
        bodyBytes += bytes.count
        return !isClientGone
    }

    func flush() -> Bool {
        checkGIL()
        answer.calls.append("flush")
        return !isClientGone
    }

    func sendFile(descriptor: Int32, offset: Int, length: Int) -> Bool {
        if !isGILFree() { answer.callsWithGIL += 1 }
        var buffer = [UInt8](repeating: 0, count: length)
        let count = pread(descriptor, &buffer, length, off_t(offset))
        answer.calls.append("sendfile \(length)")
        answer.body.append(contentsOf: buffer.prefix(max(count, 0)))
        return count == length
    }

    func finish() {
        precondition(isCommitted, "finished without a head")
        end("finish")
    }

    func fail() {
        if !isCommitted {
            isCommitted = true  // a 500 of the transport's own
            answer.status = 500
            answer.headers = []
        }
        end("fail")
    }

    private func end(_ name: String) {
        answer.calls.append(name)
        answer.ending += name
    }

    private var isClientGone: Bool { script.clientLeavesAfter.map { bodyBytes >= $0 } ?? false }

    private func checkGIL() {
        precondition(isCommitted, "a body before its head")
        if mayBlock && !isGILFree() { answer.callsWithGIL += 1 }
    }

    private func latin1(_ bytes: UnsafeRawBufferPointer) -> String {
        String(bytes.map { Character(Unicode.Scalar($0)) })
    }
}

/// Counts, and keeps nothing: for measuring.
final class NullExchange: Exchange {
    let request: Request
    var bytes = 0
    init(_ request: Request) { self.request = request }
    var isCommitted = false
    var mayBlock: Bool { false }
    func begin(status: Int, reason: UnsafeRawBufferPointer) { isCommitted = false }
    func addHeader(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) { bytes &+= value.count }
    func commit(bodyLength: Int?) { isCommitted = true }
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        self.bytes &+= bytes.count
        return true
    }
    func flush() -> Bool { true }
    func sendFile(descriptor: Int32, offset: Int, length: Int) -> Bool { true }
    func finish() {}
    func fail() { fatalError("the measured application failed") }
}
