// Defines all that is known of one object's symbols: the mapped file, the debug file split off it, and how they are merged.

/// The sources of names and lines of one build of one object. Opened lazily, kept between crashes. Used by one thread.
final class ModuleSymbols {
    /// `ModuleInfo.debug` of the report.
    enum Status: String {
        /// Debug information for the process's build is at hand.
        case found
        /// The object should have some, and has none.
        case missing
        /// The file on disk is another build than the process's, whose debug information is nowhere.
        case replaced
        /// No object with symbols: the vdso, data.
        case none
    }

    /// The file that the process mapped, if that's still what is at the path; or the executable from a symbol store.
    private let mapped: ObjectFile?
    private let finder: DebugFileFinder
    private let buildID: [UInt8]?
    private let opensDebugFiles: Bool
    /// Status when there is no debug information.
    private let otherwise: Status
    private let indexes: SymbolIndexFolder?

    /// `indexes`: where an index of this build may lie; nil reads the object and its debug file.
    init(
        mapped: ObjectFile?, buildID: [UInt8]?, finder: DebugFileFinder, opensDebugFiles: Bool, otherwise: Status,
        indexes: SymbolIndexFolder? = nil
    ) {
        self.indexes = opensDebugFiles ? indexes : nil
        self.mapped = mapped
        self.buildID = buildID ?? mapped?.buildID
        self.finder = finder
        self.opensDebugFiles = opensDebugFiles
        self.otherwise = otherwise
    }

    /// The file with debug information; found, but its DWARF not yet read.
    private lazy var debugFile: ObjectFile? = {
        if let mapped, mapped.hasDebugInformation { return mapped }
        guard otherwise != .none else { return nil }
        let file = buildID.flatMap { finder.file(buildID: $0) } ?? mapped.flatMap { finder.file(linkedFrom: $0) }
        debugFileBytes = file?.mappedBytes ?? 0
        return file
    }()
    private var debugFileBytes: Int64 = 0

    private lazy var debug: DebugInformation? = {
        guard let file = debugFile, file === mapped || opensDebugFiles else { return nil }
        return DebugInformation(file, image: (mapped ?? file).image, finder: finder)
    }()

    /// The mapped file's symbols; of its debug file if it was stripped, since only that has local functions.
    private lazy var symbols: SymbolTable? = {
        let own = mapped.map { SymbolTable($0) }
        if let own, own.isComplete { return own }
        guard opensDebugFiles, let file = debugFile, file !== mapped else { return own }
        let split = SymbolTable(file)
        return split.isEmpty ? own : split
    }()

    /// What a stripped file has within itself beside the dynamic symbols: the other functions.
    private lazy var miniature: SymbolTable? = {
        guard let mapped, symbols?.isComplete != true else { return nil }
        return MiniDebugInfo.object(in: mapped).map { SymbolTable($0) }
    }()

    private lazy var stubs: ProcedureLinkageTable? = mapped.map { ProcedureLinkageTable($0) }

    /// Made when this build was met before: then nothing else is read.
    private lazy var index: SymbolIndex? = buildID.flatMap { indexes?.index(of: $0) }

    /// True if an index on disk would spare the next process the reading of debug information, and isn't there.
    var wantsIndex: Bool { indexes != nil && index == nil && buildID != nil && status == .found }

    /// The index that a next process would read; nil if none can be made.
    func makeIndex(maxBytes: Int = SymbolIndex.maxBytes) -> [UInt8]? {
        guard let debug, let buildID else { return nil }
        return SymbolIndexBuilder.bytes(of: debug, symbols: symbols, buildID: buildID, maxBytes: maxBytes)
    }

    private func symbolName(at address: UInt64) -> String? {
        // First, because `_init`, which has no size, would reach over all stubs.
        if let stub = stubs?.name(at: address) { return stub }
        if let index { return index.name(at: address) }
        return symbols?.name(at: address) ?? miniature?.name(at: address)
    }

    /// Address space that its files take, as far as they are open.
    var mappedBytes: Int64 { (mapped?.mappedBytes ?? 0) + debugFileBytes }

    var status: Status { index != nil || debugFile?.hasDebugInformation == true ? .found : otherwise }

    /// False once a table was found damaged.
    var isSound: Bool { index != nil || debug?.isSound ?? true }

    /// Reads what the first look-up would read.
    func prepare() {
        guard index == nil else { return }
        _ = debug
        _ = symbols
    }

    /// `address` is the file's, without bias. Innermost first; empty if no symbol covers it.
    func frames(at address: UInt64) -> [SymbolizedFrame] {
        let answer = index?.answer(at: address) ?? debug?.answer(at: address) ?? DebugInformation.Answer()
        guard let physical = answer.functions.last, !physical.inlined else {
            // Assembly has lines but no functions; a chain without an end lacks its function's entry.
            let inlined = answer.functions.map { frame($0, symbol: nil) }
            return inlined
                + (symbolName(at: address).map { [frame(symbol: $0, answer, chained: !inlined.isEmpty)] } ?? [])
        }
        return answer.functions.dropLast().map { frame($0, symbol: nil) } + [
            frame(physical, symbol: symbolName(at: address))
        ]
    }

    /// `symbol` is the symbol table's name for the address, of a physical function.
    private func frame(_ function: DebugInformation.Function, symbol: String?) -> SymbolizedFrame {
        let plain = function.name.map { Self.alias(symbol, of: $0) ?? $0 } ?? symbol ?? "?"
        // Compilers leave the linkage name out for local functions, and in line-tables-only mode; the symbol table has it then.
        let linkage =
            function.linkageName ?? symbol.flatMap { Mangling(of: $0) == nil ? nil : $0 } ?? function.name ?? plain
        let mangling = Mangling(of: linkage)
        // A symbol of another name may be an unlike function with the same code; only a part or variant tells more: `f.cold`.
        let raw = symbol.flatMap { $0.hasPrefix(linkage + ".") ? $0 : nil } ?? linkage
        return SymbolizedFrame(
            symbol: mangling == nil ? plain.limited(toBytes: Mangling.maxNameBytes) : demangled(linkage).name,
            rawSymbol: raw, language: SourceLanguage.of(mangling: mangling, unit: function.language),
            inlined: function.inlined, file: function.position.file, line: function.position.line,
            column: function.position.column,
            isPseudo: plain.hasPrefix(Self.trapPrefix))
    }

    /// A name from the symbol table, with the line of assembly if that is known.
    private func frame(symbol: String, _ answer: DebugInformation.Answer, chained: Bool) -> SymbolizedFrame {
        let position = chained ? DebugInformation.Position() : answer.position
        return SymbolizedFrame(
            symbol: demangled(symbol).name, rawSymbol: symbol,
            language: SourceLanguage.of(mangling: Mangling(of: symbol), unit: answer.language), file: position.file,
            line: position.line, column: position.column)
    }

    /// What programs call `nanosleep` is `__nanosleep` in glibc's source: the name is the same with and without a debug file.
    private static func alias(_ symbol: String?, of name: String) -> String? {
        guard let symbol, symbol.utf8.count < name.utf8.count, name.hasSuffix(symbol) else { return nil }
        return name.utf8.dropLast(symbol.utf8.count).allSatisfy { $0 == UInt8(ascii: "_") } ? symbol : nil
    }

    /// Swift's compiler marks trapping instructions with an artificial inlined function of this name.
    private static let trapPrefix = "Swift runtime failure: "
}
