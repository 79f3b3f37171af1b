// Defines the walk of a thread's stack by call frame information, over libdwfl with our own callbacks (libdwfl.h): registers and stacks
// come from the snapshot, code and CFI from the files. Nothing here needs the worker alive. One Unwinder belongs to one thread of ours:
// libdwfl keeps its state without locks.

import CElfutils
import Glibc
import GraniteReport

/// Walks the threads of one snapshot.
package final class Unwinder {
    /// Frames that are looked at in one thread; deeper ones are a recursion whose turns are all alike.
    package static let maxFrames = 4096

    private let session: OpaquePointer
    private let context: UnwindContext
    private let callbacks: UnsafeMutablePointer<Dwfl_Callbacks>
    private let threadCallbacks: UnsafeMutablePointer<Dwfl_Thread_Callbacks>
    private var hasCallFrameInformation: [UInt64: Bool] = [:]

    /// - Parameters:
    ///   - modules: what was loaded, in order of address.
    ///   - vdso: the vdso's bytes if they were copied; without them threads inside clock_gettime have one frame.
    ///   - word: the native word at an address of the snapshot, nil if it was not copied.
    ///   - openModule: opens a module's file for reading, or nil if it is gone or another build. The unwinder closes it.
    package init(
        modules: [LoadedModule], vdso: [UInt8]?, word: @escaping (UInt64) -> UInt64?,
        openModule: @escaping (LoadedModule) -> Int32?
    ) throws(CollectorError) {
        context = UnwindContext(modules: modules, vdso: vdso, word: word, openModule: openModule)
        callbacks = .allocate(capacity: 1)
        callbacks.initialize(to: UnwindContext.makeFileCallbacks())
        threadCallbacks = .allocate(capacity: 1)
        threadCallbacks.initialize(to: UnwindContext.makeThreadCallbacks())
        guard let session = dwfl_begin(callbacks) else {
            callbacks.deallocate()
            threadCallbacks.deallocate()
            throw Self.error("libdwfl could not begin a session")
        }
        self.session = session
        dwfl_report_begin(session)
        for (index, module) in modules.enumerated() where !module.isVDSO || vdso != nil {
            guard let reported = dwfl_report_module(session, module.path, module.start, module.end) else { continue }
            var userData: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
            dwfl_module_info(reported, &userData, nil, nil, nil, nil, nil, nil)
            userData?.pointee = context.reference(toModule: index)
        }
        dwfl_report_end(session, nil, nil)
        // The pid only names the session; nothing is read from such a process.
        guard dwfl_attach_state(session, nil, getpid(), threadCallbacks, Unmanaged.passUnretained(context).toOpaque())
        else {
            let error = Self.error("libdwfl found no module of a known architecture among \(modules.count)")
            throw error
        }
    }

    deinit {
        dwfl_end(session)
        callbacks.deallocate()
        threadCallbacks.deallocate()
    }

    private static func error(_ doing: String) -> CollectorError {
        CollectorError(
            .unwinder, doing: "\(doing) (\(dwfl_errmsg(-1).map { String(cString: $0) } ?? "no reason given"))")
    }

    /// Walks one thread from its registers.
    package func unwind(_ thread: RawThread) -> UnwoundThread {
        guard thread.hasRegisters, thread.registers.count >= Registers.count else {
            return UnwoundThread(raw: thread, frames: [], end: .notParked)
        }
        let registers = Array(thread.registers.prefix(Registers.count))
        let pc = registers[Registers.programCounter]
        if dwfl_addrmodule(session, pc) != nil {
            let (frames, end) = walk(from: registers, firstIsReturnAddress: false)
            return UnwoundThread(raw: thread, frames: frames, end: end)
        }
        return unwindFromStrayPC(thread, registers)
    }

    /// The CPU jumped to where no code is. If it came by a call, the word at the stack pointer says from where.
    private func unwindFromStrayPC(_ thread: RawThread, _ registers: [UInt64]) -> UnwoundThread {
        let stackPointer = registers[Registers.stackPointer]
        let stray = UnwoundFrame(
            address: registers[Registers.programCounter], isReturnAddress: false, trust: .context,
            stackPointer: stackPointer)
        guard let pushed = Registers.pushedReturnAddressBytes, let caller = context.word(stackPointer), caller > 0,
            dwfl_addrmodule(session, caller &- 1) != nil
        else {
            return UnwoundThread(raw: thread, frames: [stray], end: .lost)
        }
        var repaired = registers
        // One less lies inside the call: the CFI row is that of the call even where the callee never returns and the next
        // instruction belongs to another function.
        repaired[Registers.programCounter] = caller &- 1
        repaired[Registers.stackPointer] = stackPointer &+ pushed
        var (frames, end) = walk(from: repaired, firstIsReturnAddress: true)
        if !frames.isEmpty {
            frames[0].address = caller
            frames[0].trust = .scan
        }
        return UnwoundThread(raw: thread, frames: [stray] + frames, end: end)
    }

    private func walk(from registers: [UInt64], firstIsReturnAddress: Bool) -> ([UnwoundFrame], WalkEnd) {
        context.begin(registers)
        let status = dwfl_getthread_frames(
            session, UnwindContext.threadID,
            { frame, argument in
                guard let frame, let argument else { return Int32(DWARF_CB_ABORT) }
                return Unmanaged<UnwindContext>.fromOpaque(argument).takeUnretainedValue().visit(frame)
            }, Unmanaged.passUnretained(context).toOpaque())
        var frames = context.frames
        for index in frames.indices {
            if index == 0 {
                frames[0].isReturnAddress = firstIsReturnAddress
                frames[0].trust = .context
            } else {
                // libdwfl does not say how it found a frame: where the callee has no CFI it followed the frame pointer.
                frames[index].trust = isCovered(frames[index - 1]) ? .cfi : .framePointer
            }
        }
        let end: WalkEnd
        if frames.count >= Self.maxFrames {
            end = .limit
        } else if context.missedMemory {
            // libdwfl takes a stack word that it cannot read for the end of the stack, and says that all went well.
            end = .missingMemory
        } else {
            end = status == 0 ? .outermost : .lost
        }
        return (frames, end)
    }

    private func isCovered(_ frame: UnwoundFrame) -> Bool {
        let pc = frame.isReturnAddress ? frame.address &- 1 : frame.address
        if let known = hasCallFrameInformation[pc] { return known }
        var covered = false
        if let module = dwfl_addrmodule(session, pc) {
            var bias: Dwarf_Addr = 0
            var found: OpaquePointer?
            if let cfi = dwfl_module_eh_cfi(module, &bias), dwarf_cfi_addrframe(cfi, pc &- bias, &found) == 0 {
                covered = true
            }
            if !covered, let cfi = dwfl_module_dwarf_cfi(module, &bias),
                dwarf_cfi_addrframe(cfi, pc &- bias, &found) == 0
            {
                covered = true
            }
            free(UnsafeMutableRawPointer(found))
        }
        hasCallFrameInformation[pc] = covered
        return covered
    }
}
