// Ends that Swift makes itself: runtime traps with their own names in the debug information.

import CCrashProbe
import CGraniteCapture
import GraniteCapture

enum SwiftCases {
    @inline(never)
    static func readPastEnd(_ numbers: [Int32]) -> Int32 {
        let index = numbers.count + opaque(0)
        return numbers[index] &+ 1
    }

    @inline(never)
    static func addOverflowing(_ number: Int32) -> Int32 {
        let sum = number + Int32(opaque(1))
        return sum &- 1
    }

    @inline(never)
    static func unwrapNil(_ number: Int32?) -> Int32 {
        number! &+ 1
    }

    @inline(never)
    static func failFatally() -> Int32 {
        fatalError("the probe was asked to fail")
    }

    /// The segment records cannot be written, so stage D faults.
    @inline(never)
    static func breakPageThenCrash(_ crash: () -> Int32) -> Int32 {
        guard let page = granite_capture_page() else { return 70 }
        let size = Int(GRANITE_PAGE_HEADER_SIZE.rawValue)
        let first = Int(GRANITE_OFFSET_SEGMENTS.rawValue) / 4096 * 4096
        return granite_probe_break_page(UnsafeMutableRawPointer(page) + first, size - first) &+ crash()
    }

    /// Keeps the optimizer from knowing the value.
    @inline(never)
    @_optimize(none)
    static func opaque(_ value: Int) -> Int { value }
}
