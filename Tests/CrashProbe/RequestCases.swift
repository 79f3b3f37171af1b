// A crash in the middle of a request.

import CCrashProbe
import Glibc
import GraniteCapture

enum RequestCases {
    private static func monotonicNanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    static func crashWhileServing() -> Int32 {
        let method = Array("GET".utf8)
        let target = Array("/crash/null?from=probe".utf8)
        let now = monotonicNanoseconds()
        method.withUnsafeBytes { method in
            target.withUnsafeBytes { target in
                for slot in [0, 3] {
                    Capture.beginRequest(
                        slot: slot, tid: Capture.threadID, id: 0x7f3c_9a00_0000_0000 + UInt64(slot), method: method,
                        target: target, startedNanoseconds: now)
                }
            }
        }
        Capture.endRequest(slot: 3)
        return granite_probe_null_read()
    }
}
