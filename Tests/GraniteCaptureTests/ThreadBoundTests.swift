// Values that belong to a thread, in this process, where nothing is captured: who releases them, and when.

import Foundation
import GraniteCapture
import Synchronization
import Testing

struct ThreadBoundTests {
    /// Notes the thread on which it is released.
    private final class Witness: Sendable {
        let place: Place
        init(_ place: Place) { self.place = place }
        deinit { place.thread.store(Capture.threadID, ordering: .sequentiallyConsistent) }
    }

    /// Where a witness was released; 0: nowhere yet.
    private final class Place: Sendable {
        let thread = Atomic<UInt32>(0)
        var tid: UInt32 { thread.load(ordering: .sequentiallyConsistent) }
    }

    /// Carries a value to another thread on purpose.
    private final class Smuggled<Value>: @unchecked Sendable {  // the mistake that is tested; threads are joined
        var value: Value?
        init(_ value: Value? = nil) { self.value = value }
    }

    /// Runs `body` on a thread of its own, to its end.
    private func onThread(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Smuggled(body)).toOpaque()
        pthread_create(
            &thread, nil,
            { pointer in
                // Passed one line above.
                Unmanaged<Smuggled<@Sendable () -> Void>>.fromOpaque(pointer!).takeRetainedValue().value?()
                return nil
            }, box)
        pthread_join(thread, nil)
    }

    @Test func aValueCanBeUsedOnTheThreadThatMadeIt() throws {
        let bound = ThreadBound([1, 2, 3], label: "a list")
        #expect(bound.isOwnedByCurrentThread)
        #expect(try bound.withValue { $0.count } == 3)
    }

    @Test func useElsewhereThrowsAndNamesTheValueAndItsOwner() {
        let smuggled = Smuggled(ThreadBound([1]))
        let failure = Smuggled<WrongThreadError>()
        onThread {
            do { _ = try smuggled.value?.withValue { $0.count } } catch { failure.value = error as? WrongThreadError }
        }
        #expect(failure.value?.label == "Array<Int>")
        #expect(failure.value?.owner == Capture.threadID)
    }

    @Test func aValueReleasedElsewhereIsReleasedByItsOwnerWhenItDrains() {
        let place = Place()
        let smuggled = Smuggled(ThreadBound(Witness(place)))
        onThread { smuggled.value = nil }
        #expect(place.tid == 0, "it waits")
        #expect(ThreadBound.drainHomebound() == 1)
        #expect(place.tid == Capture.threadID)
        #expect(ThreadBound.drainHomebound() == 0)
    }

    @Test func makingOrUsingAnotherValueBringsThemHomeToo() throws {
        let other = ThreadBound(1)
        for use in [true, false] {
            let place = Place()
            let smuggled = Smuggled(ThreadBound(Witness(place)))
            onThread { smuggled.value = nil }
            #expect(place.tid == 0)
            if use { _ = try other.withValue { $0 } } else { _ = ThreadBound(2) }
            #expect(place.tid == Capture.threadID)
        }
    }

    @Test func whatWaitsIsReleasedAtTheEndOfItsThread() {
        let place = Place()
        let owner = Smuggled<UInt32>()
        onThread {
            owner.value = Capture.threadID
            let smuggled = Smuggled(ThreadBound(Witness(place)))
            onThread { smuggled.value = nil }
            #expect(place.tid == 0)
        }
        #expect(place.tid != 0 && place.tid == owner.value)
    }

    /// The thread's number of pthread_self() may be another thread's by then; its id is not.
    @Test func aValueWhoseOwnerHasEndedIsReleasedWhereItIs() {
        let place = Place()
        let smuggled = Smuggled<ThreadBound<Witness>>()
        onThread { smuggled.value = ThreadBound(Witness(place)) }
        onThread {
            #expect(smuggled.value?.isOwnedByCurrentThread == false)
            smuggled.value = nil
            #expect(place.tid == Capture.threadID)
        }
    }

    @Test func aReleaseThatReleasesAnotherThreadsValueDoesNotHang() {
        let (inner, outer) = (Place(), Place())
        let smuggled = Smuggled<(ThreadBound<Witness>, Witness)>()
        onThread { smuggled.value = (ThreadBound(Witness(inner)), Witness(outer)) }
        let nested = Smuggled(ThreadBound(smuggled.value))
        smuggled.value = nil
        onThread { nested.value = nil }
        #expect(ThreadBound.drainHomebound() == 1)
        #expect(inner.tid == Capture.threadID)
        #expect(outer.tid == Capture.threadID)
    }
}
