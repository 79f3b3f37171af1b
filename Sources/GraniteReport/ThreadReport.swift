// Defines a thread and its frames as the report holds them.

/// One thread at the moment of capture.
package struct ThreadReport: Codable, Sendable, Equatable {
    package var tid: Int
    package var name: String?
    /// The kernel's name of the thread, if Python calls it `name`.
    package var nativeName: String?
    package var crashed: Bool?
    /// `crashed`, `running`, `waiting for the GIL`, `idle`, `event loop`, `blocked`, `not parked`; words for a reader.
    package var state: String?
    package var holdsGIL: Bool?
    /// The Python exception that the crashed thread was handling, or that was on its way up its stack.
    package var exception: ExceptionInfo?
    /// DWARF order, the interrupted frame's.
    package var registers: [Register]?
    /// Innermost first. Python and native merged.
    package var frames: [Frame]?
    /// Python frames that could not be merged (unknown layout or a mismatch), innermost first.
    package var unmergedPythonFrames: [Frame]?
    /// Why frames are missing or unmerged.
    package var note: String?
    /// True if the walk ended before the outermost frame.
    package var truncated: Bool?
    /// A cycle that was folded out of `frames` (deep recursion): which frames, and how often.
    package var folded: FoldedCycle?

    package init(tid: Int) { self.tid = tid }

    package struct Register: Codable, Sendable, Equatable {
        package var name: String
        package var value: Address
        /// Bytes at the address, lower-case hexadecimal, level full only.
        package var memory: String?
        package init(name: String, value: Address, memory: String? = nil) {
            self.name = name
            self.value = value
            self.memory = memory
        }
    }

    package struct FoldedCycle: Codable, Sendable, Equatable {
        /// Index into `frames` of the first frame of the cycle; the cycle itself stays in `frames` once.
        package var start: Int
        /// Frames in one turn.
        package var length: Int
        /// Further turns that were left out.
        package var repeats: Int
        /// True if the stack was too deep to walk to its end: there were at least so many.
        package var atLeast: Bool?
        package init(start: Int, length: Int, repeats: Int, atLeast: Bool? = nil) {
            self.start = start
            self.length = length
            self.repeats = repeats
            self.atLeast = atLeast
        }
        enum CodingKeys: String, CodingKey {
            case start, length, repeats
            case atLeast = "at_least"
        }
    }

    enum CodingKeys: String, CodingKey {
        case tid, name
        case nativeName = "native_name"
        case crashed, state
        case holdsGIL = "holds_gil"
        case exception
        case registers, frames
        case unmergedPythonFrames = "unmerged_python_frames"
        case note, truncated, folded
    }
}

/// One function activation, native or Python.
package struct Frame: Codable, Sendable, Equatable {
    package var index: Int?
    package var kind: Kind
    /// How the frame was found; nil for Python frames.
    package var trust: Trust?
    /// The instruction: the interrupted one in frame 0, the return address in callers.
    package var address: Address?
    /// Path of the object that holds it.
    package var module: String?
    /// Offset of the address from the object's load base.
    package var offset: Address?
    /// Demangled name; for Python the qualified name.
    package var symbol: String?
    /// As in the symbol table, if it differs.
    package var rawSymbol: String?
    /// `C`, `C++`, `Swift`, `Rust`, `Python`.
    package var language: String?
    /// True if the function was inlined into the next frame.
    package var inlined: Bool?
    package var file: String?
    package var line: Int?
    package var column: Int?
    /// True for the application's own code, false for the runtime's, libraries' and the interpreter's.
    package var inApp: Bool?
    /// Local variables of a Python function, if they were asked for (`--locals`); secrets are left out by their names.
    package var locals: [Local]?
    /// Lines around `line`.
    package var source: [SourceLine]?

    package init(kind: Kind) { self.kind = kind }

    package struct Local: Codable, Sendable, Equatable {
        package var name: String
        /// Like Python's repr(), bounded.
        package var value: String
        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package enum Kind: String, Codable, Sendable {
        case native, python
        case swiftAsync = "swift_async"
    }

    /// From best to worst.
    package enum Trust: String, Codable, Sendable {
        /// The registers at the fault.
        case context
        /// Call frame information.
        case cfi
        case framePointer = "frame_pointer"
        /// A word on the stack that points behind a call.
        case scan
        /// The handler's own walk (libunwind).
        case handler
    }

    package struct SourceLine: Codable, Sendable, Equatable {
        package var line: Int
        package var text: String
        package init(line: Int, text: String) {
            self.line = line
            self.text = text
        }
    }

    enum CodingKeys: String, CodingKey {
        case index, kind, trust, address, module, offset, symbol
        case rawSymbol = "raw_symbol"
        case language, inlined, file, line, column
        case inApp = "in_app"
        case locals
        case source
    }
}
