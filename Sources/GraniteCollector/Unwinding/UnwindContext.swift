// Defines what libdwfl calls back into while it walks (libdwfl.h, Dwfl_Callbacks and Dwfl_Thread_Callbacks). It is separate from the
// Unwinder because everything here is called from C: nothing may throw, and every argument is checked.

import CElfutils
import Glibc
import GraniteReport

final class UnwindContext {
    /// The walk is always of "the" thread: its registers are set by `begin`. libdwfl wants a positive id.
    static let threadID: pid_t = 1

    private let modules: [LoadedModule]
    private let vdso: UnsafeMutableRawBufferPointer?
    let word: (UInt64) -> UInt64?
    private let openModule: (LoadedModule) -> Int32?
    private var moduleReferences: [ModuleReference?]

    private var registers: [UInt64] = []
    private(set) var frames: [UnwoundFrame] = []
    /// True if a word was asked for that is not in the snapshot.
    private(set) var missedMemory = false

    init(
        modules: [LoadedModule], vdso: [UInt8]?, word: @escaping (UInt64) -> UInt64?,
        openModule: @escaping (LoadedModule) -> Int32?
    ) {
        self.modules = modules
        self.word = word
        self.openModule = openModule
        moduleReferences = Array(repeating: nil, count: modules.count)
        // elf_memory(3) keeps pointing into the bytes, so they get a place of their own.
        self.vdso = vdso.map { bytes in
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 16)
            copy.copyBytes(from: bytes)
            return copy
        }
    }

    deinit { vdso?.deallocate() }

    /// What a Dwfl_Module points back to. Kept alive by the context, which the Unwinder keeps alive beyond dwfl_end.
    private final class ModuleReference {
        unowned let context: UnwindContext
        let index: Int
        init(_ context: UnwindContext, _ index: Int) {
            self.context = context
            self.index = index
        }
    }

    func reference(toModule index: Int) -> UnsafeMutableRawPointer {
        let reference = ModuleReference(self, index)
        moduleReferences[index] = reference
        return Unmanaged.passUnretained(reference).toOpaque()
    }

    func begin(_ registers: [UInt64]) {
        self.registers = registers
        frames = []
        missedMemory = false
    }

    /// One frame of a walk, innermost first.
    func visit(_ frame: OpaquePointer) -> Int32 {
        var pc: Dwarf_Addr = 0
        var isActivation = false
        guard dwfl_frame_pc(frame, &pc, &isActivation) else { return Int32(DWARF_CB_ABORT) }
        var stackPointer: Dwarf_Word = 0
        if dwfl_frame_reg(frame, UInt32(Registers.stackPointer), &stackPointer) != 0 { stackPointer = 0 }
        // A damaged stack can make the walk go round: the stack only ever grows towards its base.
        if let last = frames.last, last.address == pc, last.stackPointer == stackPointer, stackPointer != 0 {
            return Int32(DWARF_CB_ABORT)
        }
        frames.append(.init(address: pc, isReturnAddress: !isActivation, trust: .cfi, stackPointer: stackPointer))
        return frames.count < Unwinder.maxFrames ? Int32(DWARF_CB_OK) : Int32(DWARF_CB_ABORT)
    }

    private func readWord(_ address: UInt64, into result: UnsafeMutablePointer<Dwarf_Word>) -> Bool {
        guard let value = word(address) else {
            missedMemory = true
            return false
        }
        result.pointee = value
        return true
    }

    private func setInitialRegisters(of thread: OpaquePointer) -> Bool {
        guard registers.count == Registers.count else { return false }
        guard dwfl_thread_state_registers(thread, 0, UInt32(registers.count), registers) else { return false }
        dwfl_thread_state_register_pc(thread, registers[Registers.programCounter])
        return true
    }

    private func findELF(
        _ index: Int, _ fileName: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
        _ elf: UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 {
        let module = modules[index]
        if module.isVDSO {
            if let vdso, let image = vdso.baseAddress {
                elf?.pointee = elf_memory(image.assumingMemoryBound(to: CChar.self), vdso.count)
            }
            return -1
        }
        guard let descriptor = openModule(module) else { return -1 }
        fileName?.pointee = strdup(module.path)  // libdwfl frees it
        return descriptor
    }

    static func makeFileCallbacks() -> Dwfl_Callbacks {
        Dwfl_Callbacks(
            find_elf: { _, userData, _, _, fileName, elf in
                guard let reference = userData?.pointee else { return -1 }
                let module = Unmanaged<ModuleReference>.fromOpaque(reference).takeUnretainedValue()
                return module.context.findELF(module.index, fileName, elf)
            },
            // The stock callback loads libdebuginfod and with it curl: 8–26 ms, and the network. A walk needs no debug files.
            find_debuginfo: { _, _, _, _, _, _, _, _ in -1 },
            section_address: nil, debuginfo_path: nil)
    }

    static func makeThreadCallbacks() -> Dwfl_Thread_Callbacks {
        Dwfl_Thread_Callbacks(
            next_thread: { _, _, _ in 0 },
            get_thread: { _, _, context, threadArgument in
                threadArgument?.pointee = context
                return true
            },
            memory_read: { _, address, result, context in
                guard let context, let result else { return false }
                return Unmanaged<UnwindContext>.fromOpaque(context).takeUnretainedValue().readWord(
                    address, into: result)
            },
            set_initial_registers: { thread, context in
                guard let thread, let context else { return false }
                return Unmanaged<UnwindContext>.fromOpaque(context).takeUnretainedValue().setInitialRegisters(
                    of: thread)
            },
            detach: nil, thread_detach: nil)
    }
}
