// The rule for the signals that no other rule explains: arithmetic, a refused system call, and what is left. Pure.

import Glibc
import GraniteReport

enum OtherSignalRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .signal, let name = facts.signal?.name else { return nil }
        let function = Wording.function(facts.frames)
        let place = function.map { " in \($0)" } ?? ""
        switch Int32(truncatingIfNeeded: facts.signalNumber) {
        case SIGFPE: return arithmetic(facts, function ?? "The program")
        case SIGSYS: return forbidden(facts)
        default:
            return Verdict(
                .unknown, .possible, ["the signal is \(name)"],
                MemoryFaultRule.sentence("The \(facts.noun) died of \(name)\(place)", facts))
        }
    }

    private static func arithmetic(_ facts: CrashFacts, _ function: String) -> Verdict {
        let code = facts.signal?.codeName ?? "not known"
        var evidence = ["si_code is \(code)"]
        var what = code == "FPE_INTDIV" ? "divided an integer by zero or overflowed a quotient" : "raised \(code)"
        if let instruction = facts.instruction, instruction.divides, let divisor = divisor(facts, instruction) {
            let from =
                instruction.divisorRegister.map { Registers.names[$0] } ?? instruction.operand?.text ?? "its operand"
            let number = instruction.dividesSigned ? String(divisor) : Self.unsigned(divisor, instruction.operandBytes)
            evidence.append("\(instruction.text ?? "the division") with \(from) = \(number)")
            // The dividend is twice as wide: where a compiler made that of one word, only the smallest number by -1 does not fit.
            let why = instruction.dividesSigned && divisor == -1 ? " (the smallest number has no opposite)" : ""
            what =
                divisor == 0
                ? "divided an integer by zero" : "divided by \(number), and the quotient does not fit\(why)"
        }
        return Verdict(.arithmetic, .certain, evidence, MemoryFaultRule.sentence("\(function) \(what)", facts))
    }

    private static func unsigned(_ number: Int64, _ bytes: Int) -> String {
        String(UInt64(bitPattern: number) & UInt64.max >> UInt64(64 - bytes * 8))
    }

    /// Signed, cut to the division's width.
    private static func divisor(_ facts: CrashFacts, _ instruction: Instruction) -> Int64? {
        let word: UInt64?
        if let register = instruction.divisorRegister {
            // The second bytes of four registers are rare, and not told apart here.
            guard instruction.operandBytes > 1, register < facts.registers.count else { return nil }
            word = facts.registers[register]
        } else {
            word = facts.operandWord
        }
        let unused = UInt64(64 - instruction.operandBytes * 8)
        return word.map { Int64(bitPattern: $0 << unused) >> Int64(unused) }
    }

    /// The kernel rolls the call back before it raises the signal: its number is in the register that it was asked for in (seccomp(2)).
    private static func forbidden(_ facts: CrashFacts) -> Verdict {
        let code = facts.signal?.codeName ?? "not known"
        var evidence = ["si_code is \(code)"]
        let who = facts.frames.prefix(4).first { $0.kind == .native && $0.symbol != nil && $0.symbol != "syscall" }
        let function = who.map { Wording.name(of: $0) } ?? Wording.function(facts.frames) ?? "the program"
        var what = "a system call"
        if Registers.architecture == "x86_64", let number = facts.registers.first {
            what = SystemCallNames.name(number).map { "the system call \($0)" } ?? "system call \(number)"
            evidence.append("rax = \(Wording.hex(number)): system call \(number)")
        }
        return Verdict(
            .forbiddenSystemCall, .certain, evidence,
            MemoryFaultRule.sentence("A seccomp filter refused \(what) of \(function)", facts))
    }
}
