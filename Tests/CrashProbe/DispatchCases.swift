// Ends on threads that libdispatch and Swift's task pool made: they block most signals and are not ours.

import CCrashProbe
import Dispatch
import Glibc

enum DispatchCases {
    /// Overflows the stack of a pool thread.
    static func overflow() -> Int32 {
        DispatchQueue.global().async { _ = granite_probe_overflow(0) }
        while true { pause() }
    }

    /// Crashes on the first thread while four dispatch threads and a task's thread are inside a call.
    @inline(never)
    static func crashBesidePools() -> Int32 {
        let begun = DispatchSemaphore(value: 0)
        for _ in 0..<4 {
            DispatchQueue.global().async {
                begun.signal()
                while true { pause() }
            }
        }
        Task.detached {
            begun.signal()
            while true { pause() }
        }
        for _ in 0..<5 { begun.wait() }
        return granite_probe_null_read()
    }
}
