// Defines which reports are the same bug: the rule that makes a fingerprint. Separate from the value, because rules get versions.

extension Fingerprint {
    /// The current rule.
    package static let ruleVersion = 1

    /// Frames that count, innermost first.
    private static let frameLimit = 8

    /// The fingerprint of a report whose frames are symbolized. Rule 1 hashes the kind, the signal or exit code, and the innermost
    /// meaningful functions of the crashed thread, without addresses, lines, processors and builds.
    ///
    /// An object that is released on the wrong thread, or whose `__del__` raises, is found wherever the garbage collector happens to
    /// run: there the message, the object and where it was made count, not the stack.
    package static func make(for report: CrashReport) -> Fingerprint {
        var inputs = [report.kind?.rawValue ?? "unknown"]
        if let name = report.signal?.name ?? report.process?.exit?.signal { inputs.append(name) }
        if let code = report.process?.exit?.code { inputs.append("exit \(code)") }
        let told = [report.dropSite?.message, report.dropSite?.subject].compactMap { $0 }.map(withoutNumbers)
        switch report.kind {
        case .dropSite, .unraisable, .threadException, .uncaughtException:
            inputs += told + functions(told.isEmpty ? report.crashedThread?.frames : report.dropSite?.creationFrames)
        case .panic:
            // Caught by Python it is told of where nothing of its stack is left, and the message ends with the line.
            inputs += told + functions(report.crashedThread?.frames)
        case .startup:
            // The exception that ended the import, the last line of a traceback.
            if let line = report.logTail?.last(where: { !$0.isEmpty }) { inputs.append(withoutNumbers(line)) }
            inputs += functions(report.crashedThread?.frames)
        default:
            inputs += functions(report.crashedThread?.frames)
        }
        return Fingerprint(version: ruleVersion, hash: hash(inputs), inputs: inputs)
    }

    /// `qualified name@file` of Python functions, canonical names of native ones, `?@module` where there is no name.
    private static func functions(_ frames: [Frame]?) -> [String] {
        var names: [String] = []
        for frame in frames ?? [] where frame.role == .code {
            if frame.kind == .python {
                names.append("\(frame.symbol ?? "?")@\(frame.file.map(SourcePath.name) ?? "?")")
            } else if let symbol = frame.symbol {
                names.append(CanonicalSymbol.name(symbol, module: frame.module))
            } else {
                names.append("?@\(frame.module.map(SourcePath.name) ?? "?")")
            }
            if names.count == frameLimit { break }
        }
        return names
    }

    /// The text with every number and address as `#`, cut at 160 bytes: two objects of one class differ in nothing else.
    private static func withoutNumbers(_ text: String) -> String {
        var result = ""
        var inNumber = false
        for character in text.utf8.prefix(160) {
            let digit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character)
            let continues =
                inNumber && (character == UInt8(ascii: "x") || Character(Unicode.Scalar(character)).isHexDigit)
            if digit || continues {
                if !inNumber { result += "#" }
                inNumber = true
            } else {
                inNumber = false
                result.unicodeScalars.append(character < 0x80 ? Unicode.Scalar(character) : "?")
            }
        }
        return result
    }

    /// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): the same in every process, unlike Swift's Hasher. Each input ends
    /// with a zero byte, so that moving a letter from one to the next changes the hash.
    private static func hash(_ inputs: [String]) -> String {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        for input in inputs {
            for byte in Array(input.utf8) + [0] { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension CrashReport {
    /// The thread marked as crashed, else the first.
    package var crashedThread: ThreadReport? { threads?.first { $0.crashed == true } ?? threads?.first }
}
