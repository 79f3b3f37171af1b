// Turns walked addresses into the report's frames: names, files, lines, and the chain of functions that were inlined there. It is separate
// from the walk because it needs files only, and from the Symbolizer because that knows no report.

import GraniteReport
import GraniteSymbols

/// Names the frames of one capture. Used by the thread that holds the Symbolizer.
struct FrameNamer {
    /// Different addresses of one report that are named; the rest keep their offsets.
    static let maxNamedAddresses = 50_000

    private let table: ModuleTable
    private let images: [UInt64: ModuleImage]
    private let symbolizer: Symbolizer?
    private var known: [Key: [Frame]] = [:]

    private struct Key: Hashable {
        var address: UInt64
        var isReturnAddress: Bool
    }

    /// `images` are in the order of `modules`. Without a symbolizer frames have module and offset alone.
    init(modules: [LoadedModule], images: [ModuleImage], symbolizer: Symbolizer?) {
        table = ModuleTable(modules)
        self.images = Dictionary(zip(modules, images).map { ($0.start, $1) }, uniquingKeysWith: { first, _ in first })
        self.symbolizer = symbolizer
    }

    /// All frames of a walk, innermost first; inlined functions come before the one that they were inlined into.
    mutating func name(_ walked: [UnwoundFrame]) -> [Frame] { walked.flatMap { name($0) } }

    mutating func name(_ walked: UnwoundFrame) -> [Frame] {
        let key = Key(address: walked.address, isReturnAddress: walked.isReturnAddress)
        var frames = known[key] ?? makeFrames(walked)
        if known.count < Self.maxNamedAddresses { known[key] = frames }
        for index in frames.indices { frames[index].trust = walked.trust }
        return frames
    }

    private func makeFrames(_ walked: UnwoundFrame) -> [Frame] {
        var bare = Frame(kind: .native)
        bare.address = Address(walked.address)
        let lookup = walked.isReturnAddress ? walked.address &- 1 : walked.address
        guard let module = table.module(containing: lookup) else {
            bare.inApp = false
            return [bare]
        }
        bare.module = module.path
        guard let image = images[module.start] else { return [bare] }
        bare.offset = Address(walked.address &- image.bias)
        let functions =
            known.count < Self.maxNamedAddresses
            ? symbolizer?.symbolize(address: walked.address, isReturnAddress: walked.isReturnAddress, in: image) ?? []
            : []
        guard !functions.isEmpty else {
            bare.inApp = InAppRule.isInApp(bare)
            return [bare]
        }
        return functions.map { bare.named($0) }
    }
}

extension Frame {
    /// A frame that has its place alone, as one function of the chain there.
    func named(_ function: SymbolizedFrame) -> Frame {
        var frame = self
        frame.symbol = function.symbol
        frame.rawSymbol = function.rawSymbol == function.symbol ? nil : function.rawSymbol
        frame.language = function.language
        frame.inlined = function.inlined ? true : nil
        frame.file = function.file
        // Line 0 is code that belongs to no line (DWARF 5, 6.2.2).
        frame.line = function.line.flatMap { $0 > 0 ? $0 : nil }
        frame.column = frame.line == nil ? nil : function.column
        frame.inApp = !function.isPseudo && InAppRule.isInApp(frame)
        return frame
    }
}
