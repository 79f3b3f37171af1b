// What a value costs that keeps its creation stack, beside one that does not, and beside two other ways to get the stack: nanoseconds,
// best and median of the same run, the ways by turns.

import CGraniteCapture
import Glibc
import GraniteCapture

private let rounds = Int(CommandLine.arguments.dropFirst().first ?? "") ?? 200_000
private let loops = 15
/// Frames below the measured one: a value of a real program is made at some depth.
private let depth = 20
private let capacity = 16

private final class Plain {
    let value: Int
    let label: String
    @inline(never) init(_ value: Int, label: String) { (self.value, self.label) = (value, label) }
}

private func nanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// Runs `body` under `count` frames more.
@inline(never)
private func atDepth(_ count: Int, _ body: () -> Void) {
    if count == 0 { body() } else { atDepth(count - 1, body) }
    keep(count)  // after the call, so that it cannot become a jump
}

private func perRound(_ body: () -> Void) -> Double {
    var elapsed: UInt64 = 0
    atDepth(depth) {
        let start = nanoseconds()
        for _ in 0..<rounds { body() }
        elapsed = nanoseconds() - start
    }
    return Double(elapsed) / Double(rounds)
}

private typealias Backtrace = @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>, Int32) -> Int32

private func function(_ name: String, in library: String?) -> Backtrace? {
    let handle = library.map { dlopen($0, RTLD_NOW | RTLD_LOCAL) } ?? dlopen(nil, RTLD_NOW)
    // Both have this signature (backtrace(3); unw_backtrace(3) of libunwind).
    return handle.flatMap { dlsym($0, name) }.map { unsafeBitCast($0, to: Backtrace.self) }
}

/// Hands the value to nobody, so that it is made.
@inline(never)
@_optimize(none)
private func keep<Value>(_: Value) {}

private func compare() throws {
    try Capture.install()
    var frames = [UnsafeMutableRawPointer?](repeating: nil, count: capacity)
    let origin = UnsafeMutablePointer<granite_origin>.allocate(capacity: 1)
    defer { origin.deallocate() }
    var ways: [(name: String, body: () -> Void)] = [
        ("an object", { keep(Plain(1, label: "a value")) }),
        ("a ThreadBound", { keep(ThreadBound(1, label: "a value")) }),
        ("its stack alone", { granite_capture_origin(origin) }),
    ]
    if let backtrace = function("backtrace", in: nil) {
        ways.append(("backtrace(3)", { _ = backtrace(&frames, Int32(capacity)) }))
    }
    if let unwind = function("unw_backtrace", in: "libunwind.so.8") {
        ways.append(("unw_backtrace", { _ = unwind(&frames, Int32(capacity)) }))
    }
    for way in ways { way.body() }  // what each loads lazily
    var results = [[Double]](repeating: [], count: ways.count)
    for _ in 0..<loops {
        for (index, way) in ways.enumerated() { results[index].append(perRound(way.body)) }
    }
    for (way, result) in zip(ways, results) {
        print("\(way.name)\t\(result.min() ?? 0)\t\(result.sorted()[loops / 2])")
    }
    atDepth(depth) { granite_capture_origin(origin) }
    print("frames kept\t\(origin.pointee.frame_count)")
}

try compare()
