// Values that belong to a thread and are released or used on another.

import CCrashProbe
import CGraniteCapture
import Glibc
import GraniteCapture

/// Carries a value to another thread on purpose.
private final class Smuggled<Value>: @unchecked Sendable {  // the mistake that the cases are about
    var value: Value?
    init(_ value: Value) { self.value = value }
}

enum ThreadBoundCases {
    // Not optimized: the call must not become a jump, for the frame is looked for.
    @inline(never)
    @_optimize(none)
    static func createValue(label: String = "the probe's list") -> ThreadBound<[Int]> {
        let bound = ThreadBound([1, 2, 3], label: label)
        return bound
    }

    /// The last reference goes on another thread; the program goes on and says how the page looks then.
    static func dropElsewhere() -> Int32 {
        let smuggled = Smuggled(createValue())
        onThread { releaseElsewhere(smuggled) }
        print("still running")
        return 0
    }

    @inline(never)
    @_optimize(none)
    private static func releaseElsewhere(_ smuggled: Smuggled<ThreadBound<[Int]>>) {
        smuggled.value = nil
    }

    static func useElsewhere() -> Int32 {
        let smuggled = Smuggled(createValue())
        let caught = Smuggled(false)
        onThread {
            do {
                _ = try smuggled.value?.withValue { $0.count }
            } catch is WrongThreadError {
                caught.value = true
            } catch {}
        }
        return caught.value == true ? 0 : 1
    }

    /// While a drop site is being captured, a thread that could not be parked faults.
    static func faultDuringDrop() -> Int32 {
        guard let page = granite_capture_page(), granite_probe_fault_when_set(&page.pointee.capture.copied_ns) == 0
        else { return 70 }
        let smuggled = Smuggled(createValue())
        onThread { releaseElsewhere(smuggled) }
        while true { pause() }
    }

    /// Two captures that need SIGPROF for a thread; between them the program resets it.
    static func dropAfterProfiler() -> Int32 {
        guard granite_probe_deaf_thread(SIGPROF) == 0 else { return 70 }
        for round in 0..<2 {
            // Another label is another mistake: the same one would only be counted.
            let smuggled = Smuggled(createValue(label: "list \(round)"))
            onThread { releaseElsewhere(smuggled) }
            granite_probe_default_profile_signal()
        }
        return 0
    }

    /// A capture that needs SIGPROF, which the program uses itself.
    static func dropBesideProfiler() -> Int32 {
        granite_probe_take_profile_signal()
        guard granite_probe_deaf_thread(SIGPROF) == 0 else { return 70 }
        let smuggled = Smuggled(createValue())
        onThread { releaseElsewhere(smuggled) }
        return granite_probe_has_profile_signal() == 1 ? 0 : 1
    }

    /// A value is made on a stack that is not the thread's.
    static func createOnCoroutine() -> Int32 {
        granite_probe_on_foreign_stack { _ = ThreadBoundCases.createValue() }
        return 0
    }

    /// The value's thread ends before the value does.
    static func dropAfterOwner() -> Int32 {
        let smuggled = Smuggled<ThreadBound<[Int]>?>(nil)
        onThread { smuggled.value = createValue() }
        smuggled.value = nil
        return 0
    }

    /// Forty drops in a row: the same mistake, or each under a name of its own.
    static func storm(_ argument: String) -> Int32 {
        for number in 0..<40 {
            let smuggled = Smuggled(createValue(label: argument == "named" ? "list \(number)" : "a list"))
            onThread { releaseElsewhere(smuggled) }
        }
        return 0
    }

    private static func onThread(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Smuggled(body)).toOpaque()
        pthread_create(
            &thread, nil,
            { pointer in
                // Passed one line above.
                let body = Unmanaged<Smuggled<@Sendable () -> Void>>.fromOpaque(pointer!).takeRetainedValue()
                body.value?()
                return nil
            }, box)
        pthread_join(thread, nil)
    }
}
