// Defines what is known of each code address that a walk meets: its row of the call frame table, and whether a call ends there. Asked
// once per address, because a deep stack is the same few addresses again and again.

import GraniteSymbols

/// One address where a thread is or will return to.
final class CodePoint {
    /// The address that was looked up.
    let address: UInt64
    /// Index into the modules, or nil outside of all.
    let module: Int?
    /// True if it lies in memory that may be executed.
    let isCode: Bool
    /// nil: no call frame information covers it.
    let row: CallFrameRow?

    init(address: UInt64, module: Int?, isCode: Bool, row: CallFrameRow?) {
        self.address = address
        self.module = module
        self.isCode = isCode
        self.row = row
    }
}

/// The code of one capture. Belongs to one thread.
final class CodeMap {
    /// Addresses that are remembered; a stack has some hundred.
    static let maxPoints = 1 << 16
    private static let recentCount: UInt64 = 1024

    private let table: ModuleTable
    private let images: [UInt64: ModuleImage]
    private let map: MemoryMap
    private let vdso: [UInt8]?
    private let memory: WalkedMemory
    private var opened: [Int: ModuleCode] = [:]
    private var points: [UInt64: CodePoint] = [:]
    /// The last points by the low bits of their address.
    private var recent: [CodePoint?]
    private var callSites: [UInt64: CallSite?] = [:]

    /// `images` are in the order of `modules`.
    init(modules: [LoadedModule], images: [ModuleImage], map: MemoryMap, vdso: [UInt8]?, memory: WalkedMemory) {
        table = ModuleTable(modules)
        self.images = Dictionary(zip(modules, images).map { ($0.start, $1) }, uniquingKeysWith: { first, _ in first })
        self.map = map
        self.vdso = vdso
        self.memory = memory
        recent = Array(repeating: nil, count: Int(Self.recentCount))
    }

    /// What is known of an address: the interrupted instruction, or one less than a return address.
    func point(_ address: UInt64) -> CodePoint {
        let slot = Int((address ^ address >> 10) % Self.recentCount)
        if let last = recent[slot], last.address == address { return last }
        let point = points[address] ?? makePoint(address)
        if points.count < Self.maxPoints { points[address] = point }
        recent[slot] = point
        return point
    }

    private func makePoint(_ address: UInt64) -> CodePoint {
        let isCode = map.mapping(containing: address)?.isExecutable == true
        guard isCode, let index = table.index(containing: address) else {
            return CodePoint(address: address, module: nil, isCode: isCode, row: nil)
        }
        return CodePoint(address: address, module: index, isCode: true, row: code(of: index).row(at: address))
    }

    /// The call that ends at a return address. `.some(nil)`: none does. `nil`: the code before it cannot be read.
    func callSite(before returnAddress: UInt64) -> CallSite?? {
        if let known = callSites[returnAddress] { return known }
        let start = returnAddress &- UInt64(CallSite.bytesBefore)
        guard start < returnAddress, let bytes = bytes(start, CallSite.bytesBefore) else { return nil }
        let site = CallSite(code: bytes, returnAddress: returnAddress)
        if callSites.count < Self.maxPoints { callSites[returnAddress] = .some(site) }
        return .some(site)
    }

    /// Code from the module's file, or out of memory.
    func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? {
        guard map.mapping(containing: address)?.isExecutable == true else { return nil }
        if let index = table.index(containing: address), let bytes = code(of: index).bytes(address, count) {
            return bytes
        }
        return memory.bytes(address, count)
    }

    func name(ofModule index: Int) -> String { table.modules[index].name }

    /// Where the rows of a module come from, if it was opened.
    func source(ofModule index: Int) -> ModuleCode.Source { code(of: index).source }

    private func code(of index: Int) -> ModuleCode {
        if let known = opened[index] { return known }
        let module = table.modules[index]
        let image = images[module.start]
        let code = ModuleCode(
            module, bias: image?.bias ?? module.start, descriptor: ModuleIdentity.open(module, image: image),
            vdso: vdso,
            memory: memory.bytes)
        opened[index] = code
        return code
    }
}
