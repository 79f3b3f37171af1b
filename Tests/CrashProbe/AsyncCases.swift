// Ends inside asynchronous functions: their waiting callers are on no stack.

import CCrashProbe
import Dispatch
import Glibc

enum AsyncCases {
    /// Five callers wait for one another in a task.
    static func crashInTask() -> Int32 {
        Task { await async1(5) }
        while true { pause() }
    }

    /// The child of a task group crashes.
    static func crashInGroup() -> Int32 {
        Task {
            await withTaskGroup(of: Int32.self) { group in
                group.addTask { await async3(7) }
                for await value in group { _ = value }
            }
        }
        while true { pause() }
    }

    /// An actor crashes for a caller that throws.
    static func crashInActor() -> Int32 {
        Task { try await hopping(Counter()) }
        while true { pause() }
    }

    static func crashOnMainActor() -> Int32 {
        Task { @MainActor in await onMainActor() }
        dispatchMain()
    }

    @inline(never)
    static func async1(_ depth: Int32) async -> Int32 {
        let value = await async2(depth + 1)
        return value &+ depth
    }

    @inline(never)
    static func async2(_ depth: Int32) async -> Int32 {
        let value = await async3(depth + 1)
        return value &+ depth
    }

    @inline(never)
    static func async3(_ depth: Int32) async -> Int32 {
        let value = await async4(depth + 1)
        return value &+ depth
    }

    @inline(never)
    static func async4(_ depth: Int32) async -> Int32 {
        let value = await async5(depth + 1)
        return value &+ depth
    }

    /// Resumed once, so that it no longer runs on its callers' stack, then crashes below a synchronous function.
    @inline(never)
    static func async5(_ depth: Int32) async -> Int32 {
        await Task.yield()
        let value = synchronous(depth)
        return value &+ depth
    }

    @inline(never)
    static func synchronous(_ depth: Int32) -> Int32 {
        let value = granite_probe_null_read()
        return value &+ depth
    }

    @inline(never)
    static func hopping(_ counter: Counter) async throws -> Int32 {
        let value = try await counter.count(1)
        return value &+ 1
    }

    @MainActor @inline(never)
    static func onMainActor() async -> Int32 {
        let value = await async4(3)
        return value &+ 1
    }

    actor Counter {
        private var value: Int32 = 0

        @inline(never)
        func count(_ step: Int32) async throws -> Int32 {
            value += step
            try await Task.sleep(nanoseconds: 1000)
            let read = AsyncCases.synchronous(value)
            return read &+ value
        }
    }
}
