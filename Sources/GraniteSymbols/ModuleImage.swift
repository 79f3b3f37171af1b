// Defines the questions and answers of symbolization: a mapped object, and a function that covers an address.

/// One ELF object in the memory of a process.
package struct ModuleImage: Hashable, Sendable {
    /// As in /proc/PID/maps: an absolute path, `[vdso]`, or a path that ends in ` (deleted)`.
    package var path: String
    /// First mapped address.
    package var start: UInt64
    /// One past the last mapped address.
    package var end: UInt64
    /// Runtime address minus the address in the file (`p_vaddr`), modulo 2^64.
    package var bias: UInt64
    /// The GNU build-id as read from the process's memory; nil if unknown: the file at `path` is then believed.
    package var buildID: [UInt8]?
    /// The whole image, for an object without a file: the vdso.
    package var memory: [UInt8]?

    package init(path: String, start: UInt64, end: UInt64, bias: UInt64, buildID: [UInt8]? = nil, memory: [UInt8]? = nil) {
        self.path = path
        self.start = start
        self.end = end
        self.bias = bias
        self.buildID = buildID
        self.memory = memory
    }
}

/// One function, physical or inlined, that covers an address.
package struct SymbolizedFrame: Equatable, Sendable {
    /// Readable: demangled, without a Swift module's name.
    package var symbol: String
    /// As in the symbol table or the debug information's linkage name.
    package var rawSymbol: String
    /// `C`, `C++`, `Swift` or `Rust`; nil if unknown.
    package var language: String?
    /// True if the function was inlined into the next frame's.
    package var inlined: Bool
    /// The source position executed in this function: of the address in the innermost, of the inlined call in the others.
    package var file: String?
    /// From 1.
    package var line: Int?
    /// From 1.
    package var column: Int?
    /// True for a function that exists in debug information only, to say why the code trapped:
    /// `Swift runtime failure: Index out of range`.
    package var isPseudo: Bool

    package init(
        symbol: String, rawSymbol: String, language: String? = nil, inlined: Bool = false, file: String? = nil, line: Int? = nil,
        column: Int? = nil, isPseudo: Bool = false
    ) {
        self.symbol = symbol
        self.rawSymbol = rawSymbol
        self.language = language
        self.inlined = inlined
        self.file = file
        self.line = line
        self.column = column
        self.isPseudo = isPseudo
    }
}
