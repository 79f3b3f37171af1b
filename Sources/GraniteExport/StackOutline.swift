// Defines which frames of a stack are shown: a pure rule, without columns and colours.

import GraniteReport

/// A stack as a reader sees it.
struct StackOutline: Equatable {
    var rows: [Row] = []
    /// Frames that are not shown, by what they are.
    var foldedInterpreter = 0
    var foldedRuntime = 0

    enum Row: Equatable {
        /// A frame with its number in the whole stack, and the source lines to show under it.
        case frame(number: Int, Frame, source: [Frame.SourceLine])
        /// The frames just above come so often again.
        case turns(length: Int, repeats: Int, atLeast: Bool)
        /// Frames left out of the middle of a deep stack.
        case omitted(Int)
    }

    /// Source is shown under so many frames, the innermost.
    private static let maxSources = 3
    /// A deeper stack loses its middle.
    private static let maxInner = 40
    private static let maxOuter = 8
    /// Where a crash is in the interpreter itself, so many of its functions are shown.
    private static let maxLeadingInterpreter = 3

    /// - Parameter all: nothing is left out, and all source lines are shown.
    init(frames: [Frame], folded: ThreadReport.FoldedCycle? = nil, all: Bool = false) {
        let shown = all ? Array(frames.indices) : fold(frames)
        let sources = all ? Set(frames.indices) : Self.sourceFrames(frames, among: shown)
        for index in shown {
            let frame = frames[index]
            let source = sources.contains(index) ? Self.sourceLines(frame, all: all) : []
            rows.append(.frame(number: frame.index ?? index, frame, source: source))
        }
        if let folded, let after = Self.end(of: folded, in: frames) {
            let position = shown.firstIndex { $0 >= after } ?? shown.count
            rows.insert(
                .turns(length: folded.length, repeats: folded.repeats, atLeast: folded.atLeast == true), at: position)
        }
        let excess = rows.count - Self.maxInner - Self.maxOuter
        if !all, excess > 1 {
            rows.replaceSubrange(Self.maxInner..<(Self.maxInner + excess), with: [.omitted(excess)])
        }
    }

    /// Indices of the frames that stay.
    private mutating func fold(_ frames: [Frame]) -> [Int] {
        // Without Python frames between them, the interpreter's own functions are all that a reader has.
        let hasPython = frames.contains { $0.kind == .python }
        let outerEnd =
            frames.lastIndex { $0.role != .runtime && !(hasPython && $0.role == .interpreter) }.map { $0 + 1 }
            ?? frames.count
        var leading = true
        var kept: [Int] = []
        for (index, frame) in frames.enumerated() {
            switch frame.role {
            case .interpreter where hasPython:
                if leading, index < Self.maxLeadingInterpreter, frame.symbol?.hasPrefix("_PyEval_EvalFrame") != true {
                    kept.append(index)
                } else {
                    leading = false
                    foldedInterpreter += 1
                }
            case .runtime where index >= outerEnd || index > 0 && (Self.isThunk(frame) || frame.hasNoLine):
                foldedRuntime += 1
            default:
                leading = false
                kept.append(index)
            }
        }
        return kept
    }

    private static func isThunk(_ frame: Frame) -> Bool {
        ["thunk for ", "reabstraction thunk", "partial apply", "protocol witness for "].contains {
            frame.symbol?.hasPrefix($0) == true
        }
    }

    /// The application's innermost frames; where there are none, the innermost that has source.
    private static func sourceFrames(_ frames: [Frame], among shown: [Int]) -> Set<Int> {
        let withSource = shown.filter { frames[$0].source?.isEmpty == false }
        let inApp = withSource.filter { frames[$0].inApp == true }
        return Set(inApp.isEmpty ? withSource.prefix(1) : inApp.prefix(maxSources))
    }

    /// The line that was running and the one before it.
    private static func sourceLines(_ frame: Frame, all: Bool) -> [Frame.SourceLine] {
        guard let source = frame.source else { return [] }
        guard let line = frame.line, !all else { return Array(source.prefix(20)) }
        return source.filter { $0.line == line || $0.line == line &- 1 }
    }

    /// Index behind the cycle; nil if the report's numbers make no sense.
    private static func end(of cycle: ThreadReport.FoldedCycle, in frames: [Frame]) -> Int? {
        let (end, overflow) = cycle.start.addingReportingOverflow(cycle.length)
        return !overflow && cycle.start >= 0 && cycle.length > 0 && end <= frames.count && cycle.repeats > 0 ? end : nil
    }
}
