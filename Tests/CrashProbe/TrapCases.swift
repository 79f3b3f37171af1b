// Every way in which Swift's runtime stops a program, one function each.

import Dispatch
import Glibc

enum TrapCases {
    class Animal { var name = "animal" }
    final class Dog: Animal { var tricks = 1 }
    struct Broken: Error { var part = "axle" }

    @inline(never)
    static func castForcibly(_ value: Any) -> Int32 {
        let number = value as! Int32
        return number &+ 1
    }

    @inline(never)
    static func castAnimal(_ animal: Animal) -> Int32 {
        let dog = animal as! Dog
        return Int32(dog.tricks) &+ 1
    }

    nonisolated(unsafe) private static var shared = 1

    /// The two accesses to one variable overlap, which is what the case is about.
    @inline(never)
    @_optimize(none)
    static func accessTwice() -> Int32 {
        change(&shared) { readShared() }
        return Int32(shared)
    }

    @inline(never)
    @_optimize(none)
    private static func change(_ value: inout Int, _ other: () -> Int) { value += other() }

    @inline(never)
    @_optimize(none)
    private static func readShared() -> Int { shared }

    @inline(never)
    static func checkPrecondition(_ count: Int) -> Int32 {
        precondition(count > SwiftCases.opaque(0), "count must be positive, not \(count)")
        return Int32(count)
    }

    @inline(never)
    static func tryForcibly() -> Int32 {
        let value = try! breakDown(SwiftCases.opaque(1))
        return value &+ 1
    }

    @inline(never)
    private static func breakDown(_ number: Int) throws -> Int32 {
        if number > 0 { throw Broken() }
        return 1
    }

    @inline(never)
    static func repeatKey() -> Int32 {
        let keys = ["a", "b", SwiftCases.opaque(0) == 0 ? "a" : "c"]
        let numbers = Dictionary(uniqueKeysWithValues: keys.map { ($0, 1) })
        return Int32(numbers.count)
    }

    final class Owner {
        var value = 1
    }
    final class Borrower {
        unowned let owner: Owner
        init(_ owner: Owner) { self.owner = owner }
    }

    @inline(never)
    static func useUnowned() -> Int32 {
        let borrower = makeBorrower()
        return readOwner(borrower) &+ 1
    }

    @inline(never)
    @_optimize(none)
    private static func makeBorrower() -> Borrower { Borrower(Owner()) }

    @inline(never)
    private static func readOwner(_ borrower: Borrower) -> Int32 { Int32(borrower.owner.value) &+ 1 }

    /// On a thread that is not the main actor's.
    static func assumeMainActor() -> Int32 {
        onThread { touchMainActor() }
    }

    @inline(never)
    private static func touchMainActor() -> Int32 {
        let value = MainActor.assumeIsolated { Int32(1) }
        return value &+ 1
    }

    @inline(never)
    static func checkQueue() -> Int32 {
        dispatchPrecondition(condition: .onQueue(DispatchQueue.global()))
        return Int32(SwiftCases.opaque(1))
    }

    @inline(never)
    static func divide(_ number: Int32) -> Int32 {
        let quotient = number / Int32(SwiftCases.opaque(0))
        return quotient &+ 1
    }

    @inline(never)
    static func narrow(_ number: Int) -> Int32 {
        let byte = UInt8(number &+ SwiftCases.opaque(0))
        return Int32(byte) &+ 1
    }

    @inline(never)
    static func removeFromEmpty() -> Int32 {
        var numbers = [Int32](repeating: 1, count: SwiftCases.opaque(0))
        let last = numbers.removeLast()
        return last &+ 1
    }

    private static func onThread(_ body: @escaping @Sendable () -> Int32) -> Int32 {
        let done = DispatchSemaphore(value: 0)
        DispatchQueue.global().async {
            _ = body()
            done.signal()
        }
        done.wait()
        return 0
    }
}
