// What is taken for a hello, and what is not.

import CGraniteCapture
import GraniteGuardian
import Testing

/// A hello as the preloaded library writes it.
func hello(
    program: [UInt8] = Array("python3".utf8), origin: UInt32 = 1, magic: UInt64 = GRANITE_RUN_MAGIC,
    version: UInt32 = UInt32(GRANITE_RUN_VERSION)
) -> [UInt8] {
    var hello = granite_run_hello()
    hello.magic = magic
    hello.version = version
    hello.origin = origin
    hello.pid = 4711
    withUnsafeMutableBytes(of: &hello.program) { $0.copyBytes(from: program.prefix(64)) }
    return withUnsafeBytes(of: hello) { Array($0) }
}

struct RunHelloTests {
    @Test func aHelloTellsWhoAndWhy() {
        let heard = RunHello(bytes: hello(origin: 2))
        #expect(heard?.program == "python3")
        #expect(heard?.origin == .fork)
        #expect(heard?.ownPID == 4711)
    }

    @Test func aNameWithoutAnEndIsCut() {
        #expect(RunHello(bytes: hello(program: [UInt8](repeating: 0x61, count: 64)))?.program.utf8.count == 63)
        #expect(RunHello(bytes: hello(program: []))?.program == "?")
        #expect(RunHello(bytes: hello(program: [0xff, 0x1b]))?.program == "\u{FFFD}\u{1B}")
    }

    @Test func anythingElseIsNone() {
        #expect(RunHello(bytes: hello(magic: 1)) == nil)
        #expect(RunHello(bytes: hello(version: 2)) == nil)
        #expect(RunHello(bytes: hello(origin: 0)) == nil)
        #expect(RunHello(bytes: hello(origin: 3)) == nil)
        #expect(RunHello(bytes: hello() + [0]) == nil)
        for length in 0..<hello().count { #expect(RunHello(bytes: Array(hello().prefix(length))) == nil) }
    }
}
