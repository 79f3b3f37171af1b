// The pure parts: what becomes of a connection when, which mode the server is in, sets of bytes, dates.

import GraniteExchange
import Testing

@testable import GraniteHTTP

@Suite struct ConnectionStateTests {
    private let timeouts = ConnectionTimeouts(head: 100, body: 50, idle: 200, write: 60, linger: 20)

    @Test func theHeadsDeadlineIsNotRenewedByDribbling() {
        var state = ConnectionState(acceptedAt: 1000, timeouts)
        #expect(state.deadline == 1100)
        #expect(state.advanced(to: .needsHead(begun: true), now: 1040, progressed: true, timeouts) == .none)
        #expect(state.advanced(to: .needsHead(begun: true), now: 1090, progressed: true, timeouts) == .none)
        #expect(state.deadline == 1100)
        #expect(state.deadlinePassed() == .reject(.headTimeout))
    }

    @Test func theBodysDeadlineIsRenewedByProgressAlone() {
        var state = ConnectionState(acceptedAt: 1000, timeouts)
        _ = state.advanced(to: .needsBody(wantsContinue: false), now: 1010, progressed: true, timeouts)
        #expect(state.deadline == 1060)
        _ = state.advanced(to: .needsBody(wantsContinue: false), now: 1030, progressed: false, timeouts)
        #expect(state.deadline == 1060)
        _ = state.advanced(to: .needsBody(wantsContinue: false), now: 1030, progressed: true, timeouts)
        #expect(state.deadline == 1080)
        #expect(state.deadlinePassed() == .reject(.bodyTimeout))
    }

    @Test func aBodyThatTricklesHasADeadlineOfItsOwn() {
        let second: UInt64 = 1_000_000_000
        let timeouts = ConnectionTimeouts(
            head: 30 * second, body: 30 * second, idle: second, write: second, linger: second, bodyBytesPerSecond: 500)
        var state = ConnectionState(acceptedAt: 0, timeouts)
        for (byte, time) in [(0, 0), (1, 20), (2, 29)] as [(Int, UInt64)] {
            _ = state.advanced(
                to: .needsBody(wantsContinue: false), now: time * second, progressed: true, bodyBytes: byte, timeouts)
        }
        #expect(state.deadline == 30 * second + 2 * second / 500)
        // 500 bytes earn a second, and no pause may be longer than before.
        _ = state.advanced(
            to: .needsBody(wantsContinue: false), now: 29 * second, progressed: true, bodyBytes: 5000, timeouts)
        #expect(state.deadline == 40 * second)
        _ = state.advanced(
            to: .needsBody(wantsContinue: false), now: 30 * second, progressed: true, bodyBytes: 1_000_000, timeouts)
        #expect(state.deadline == 60 * second)
    }

    @Test func continueIsSentOncePerRequest() {
        var state = ConnectionState(acceptedAt: 0, timeouts)
        #expect(
            state.advanced(to: .needsBody(wantsContinue: true), now: 1, progressed: true, timeouts) == .sendContinue)
        #expect(state.advanced(to: .needsBody(wantsContinue: true), now: 2, progressed: false, timeouts) == .none)
        #expect(state.advanced(to: .complete, now: 3, progressed: true, timeouts) == .dispatch)
        #expect(state.responded(.keep, drained: true, now: 4, timeouts) == .readNext)
        #expect(
            state.advanced(to: .needsBody(wantsContinue: true), now: 5, progressed: true, timeouts) == .sendContinue)
    }

    @Test func aRequestBeingAnsweredHasNoDeadline() {
        var state = ConnectionState(acceptedAt: 0, timeouts)
        _ = state.advanced(to: .complete, now: 1, progressed: true, timeouts)
        #expect(state.deadline == .max)
        #expect(state.deadlinePassed() == .none)
        #expect(state.peerEnded() == .none)
    }

    @Test func aClientThatTakesNothingIsClosedAndOneThatTakesSomethingIsNot() {
        var state = ConnectionState(acceptedAt: 0, timeouts)
        _ = state.advanced(to: .complete, now: 1, progressed: true, timeouts)
        #expect(state.responded(.keep, drained: false, now: 10, timeouts) == .none)
        #expect(state.deadline == 70)
        #expect(state.wrote(drained: false, now: 50, timeouts) == .none)
        #expect(state.deadline == 110)
        #expect(state.wrote(drained: true, now: 60, timeouts) == .readNext)
        #expect(state.deadline == 260)
        #expect(state.deadlinePassed() == .close)
    }

    @Test func anErrorLingersSoThatTheClientGetsIt() {
        var state = ConnectionState(acceptedAt: 0, timeouts)
        #expect(state.advanced(to: .rejected(.target), now: 1, progressed: true, timeouts) == .reject(.target))
        #expect(state.responded(.linger, drained: false, now: 2, timeouts) == .none)
        #expect(state.wrote(drained: true, now: 3, timeouts) == .linger)
        #expect(state.deadline == 23)
        #expect(state.peerEnded() == .close)
    }

    @Test func anEndInTheMiddleIsToldAndOneInSilenceIsNot() {
        var state = ConnectionState(acceptedAt: 0, timeouts)
        _ = state.advanced(to: .needsHead(begun: true), now: 1, progressed: true, timeouts)
        #expect(state.peerEnded() == .reject(.incomplete))
        var silent = ConnectionState(acceptedAt: 0, timeouts)
        #expect(silent.peerEnded() == .close)
    }
}

@Suite struct ModePolicyTests {
    @Test func oneSlowRequestAmongFastOnesChangesTheModeForABriefTime() {
        var policy = ModePolicy(prefersInline: false)
        for _ in 0..<1000 { policy.note(nanoseconds: 3000) }
        #expect(!policy.shouldSplit)
        policy.note(nanoseconds: 10_000_000)
        #expect(policy.shouldSplit)
        for _ in 0..<400 { policy.note(nanoseconds: 3000) }
        #expect(ModePolicy.shouldJoin(averageNanoseconds: policy.averageNanoseconds, prefersInline: false))
    }

    @Test func betweenTheThresholdsTheModeStaysAsItIs() {
        var policy = ModePolicy(prefersInline: false)
        for _ in 0..<2000 { policy.note(nanoseconds: 10_000) }
        #expect(!policy.shouldSplit)
        #expect(!ModePolicy.shouldJoin(averageNanoseconds: policy.averageNanoseconds, prefersInline: false))
    }

    @Test func preferringInlineNeverSplitsByItself() {
        var policy = ModePolicy(prefersInline: true)
        for _ in 0..<2000 { policy.note(nanoseconds: .max) }
        #expect(!policy.shouldSplit)
        #expect(!ModePolicy.shouldJoin(averageNanoseconds: policy.averageNanoseconds, prefersInline: true))
        #expect(ModePolicy.shouldJoin(averageNanoseconds: 40_000, prefersInline: true))
    }
}

@Suite struct ByteSetTests {
    @Test func setsAreWhatTheGrammarSays() {
        let alphanumeric = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
        #expect(members(.token) == Set(alphanumeric + "!#$%&'*+-.^_`|~".utf8))
        #expect(members(.target) == Set((0x21...0x7e).filter { $0 != 0x23 } + Array(0x80...0xff)))
        #expect(members(.host) == Set(alphanumeric + "-._~%!$&'()*+;=:[]".utf8))
        #expect(members(.fieldValue) == Set([0x09] + Array(0x20...0x7e) + Array(0x80...0xff)))
    }

    private func members(_ set: ByteSet) -> Set<UInt8> { Set((0...255).filter { set.contains($0) }) }
}

@Suite struct DateHeaderTests {
    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_795_557_156, "Tue, 24 Nov 2026 21:52:36 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
    ]) func formatsSecondsAsAnIMFFixdate(seconds: Int, text: String) {
        var bytes = [UInt8](repeating: 0, count: DateHeader.length)
        bytes.withUnsafeMutableBufferPointer { DateHeader.format(secondsSince1970: seconds, into: $0.baseAddress!) }
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }
}

@Suite struct OutputBufferTests {
    @Test(arguments: [
        (0, "0", "0"), (9, "9", "9"), (10, "10", "a"), (255, "255", "ff"), (4096, "4096", "1000"),
        (Int.max, "9223372036854775807", "7fffffffffffffff"),
    ])
    func writesNumbers(value: Int, decimal: String, hexadecimal: String) {
        var buffer = OutputBuffer()
        buffer.append(decimal: value)
        buffer.append(" ")
        buffer.append(hexadecimal: value)
        #expect(latin1(buffer.unsent) == decimal + " " + hexadecimal)
    }

    @Test func keepsTheOrderWhenSentInPieces() {
        var buffer = OutputBuffer()
        var sent: [UInt8] = []
        var all: [UInt8] = []
        for i in 0..<2000 {
            let piece = [UInt8](repeating: UInt8(truncatingIfNeeded: i), count: i % 97)
            all += piece
            piece.withUnsafeBytes { buffer.append($0) }
            let count = buffer.count / 2
            sent += buffer.unsent.prefix(count)
            buffer.consume(count)
        }
        sent += buffer.unsent
        #expect(sent == all)
    }
}
