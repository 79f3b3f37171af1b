// Reads what the kernel, or gdb's gcore, noted in a core dump: its threads with their registers, the signal, the mapped files, the
// auxiliary vector, the program's name (linux/elfcore.h, fs/binfmt_elf.c). Everything is foreign.

import Glibc

struct CoreNotes: Equatable {
    static let maxThreads = 65_536
    static let maxFiles: UInt64 = 262_144

    struct Thread: Equatable {
        var tid: Int32
        /// The signal that it was about to die of; 0 = none.
        var signal: Int32
        /// In DWARF order.
        var registers: [UInt64]
        var threadPointer: UInt64
    }

    /// A range of memory that was mapped from a file.
    struct MappedFile: Equatable {
        var start: UInt64
        var end: UInt64
        /// In bytes.
        var offset: UInt64
        var path: String
    }

    struct Signal: Equatable {
        var number: Int32
        var code: Int32
        var errno: Int32
        /// si_addr of a fault, else what lies in its place.
        var address: UInt64
        var senderPID: Int32
        var senderUID: UInt32
    }

    /// As the core has them: the crashed one is the first.
    var threads: [Thread] = []
    var files: [MappedFile] = []
    var signal: Signal?
    var pid: Int32?
    /// The name of the first thread (TASK_COMM), at most 15 bytes.
    var name: String?
    /// As far as the kernel keeps them: 80 bytes, parted by spaces.
    var arguments: String?
    private var auxiliary: [UInt64: UInt64] = [:]

    init(_ segments: [[UInt8]]) {
        for segment in segments {
            var position = 0
            // Sizes are 32 bits, Int has 64: no sum overflows.
            while let nameBytes = segment.number(UInt32.self, at: position),
                let size = segment.number(UInt32.self, at: position + 4),
                let type = segment.number(UInt32.self, at: position + 8)
            {
                let start = position + 12 + (Int(nameBytes) + 3) & ~3
                guard start <= segment.count, Int(size) <= segment.count - start else { break }
                take(type, segment[start..<start + Int(size)])
                position = start + (Int(size) + 3) & ~3
            }
        }
    }

    /// A value of the auxiliary vector (getauxval(3)).
    func auxiliary(_ type: Int32) -> UInt64? { auxiliary[UInt64(type)] }

    private mutating func take(_ type: UInt32, _ note: ArraySlice<UInt8>) {
        switch type {
        case 1: if threads.count < Self.maxThreads, let thread = Self.thread(note) { threads.append(thread) }
        case 3: takeProcess(note)
        case 6: takeAuxiliary(note)
        case 0x401:
            // NT_ARM_TLS follows the status of its thread.
            if !threads.isEmpty, let pointer = note.number(UInt64.self, at: 0) {
                threads[threads.count - 1].threadPointer = pointer
            }
        case 0x4649_4c45: if files.isEmpty { files = Self.files(note) }
        case 0x5349_4749: signal = signal ?? Self.signal(note)
        default: break
        }
    }

    /// struct elf_prstatus: the signal at 12, the thread at 32, its registers at 112.
    private static func thread(_ note: ArraySlice<UInt8>) -> Thread? {
        guard let signal = note.number(UInt16.self, at: 12), let tid = note.number(Int32.self, at: 32), tid > 0 else {
            return nil
        }
        let words = (0..<UserRegisters.count).compactMap { note.number(UInt64.self, at: 112 + 8 * $0) }
        guard let registers = UserRegisters(words) else { return nil }
        return Thread(
            tid: tid, signal: Int32(signal), registers: registers.dwarf, threadPointer: registers.threadPointer)
    }

    /// struct elf_prpsinfo: the process at 24, its name at 40, its arguments at 56.
    private mutating func takeProcess(_ note: ArraySlice<UInt8>) {
        guard pid == nil, let pid = note.number(Int32.self, at: 24), let name = note.text(at: 40, atMost: 16) else {
            return
        }
        self.pid = pid
        self.name = name.isEmpty ? nil : name
        arguments = note.text(at: 56, atMost: 80).flatMap { $0.isEmpty ? nil : $0 }
    }

    private mutating func takeAuxiliary(_ note: ArraySlice<UInt8>) {
        var position = 0
        while let type = note.number(UInt64.self, at: position), type != 0, position < 4096,
            let value = note.number(UInt64.self, at: position + 8)
        {
            auxiliary[type] = value
            position += 16
        }
    }

    /// NT_FILE: a count, a page size, that many of (start, end, offset in pages), then as many paths.
    private static func files(_ note: ArraySlice<UInt8>) -> [MappedFile] {
        guard let count = note.number(UInt64.self, at: 0), let page = note.number(UInt64.self, at: 8),
            count <= maxFiles, count <= UInt64(note.count / 24)
        else { return [] }
        let names = note.dropFirst(16 + Int(count) * 24).split(
            separator: 0, maxSplits: Int(count), omittingEmptySubsequences: false)
        var files: [MappedFile] = []
        for (index, name) in names.prefix(Int(count)).enumerated() {
            let entry = 16 + 24 * index
            guard let start = note.number(UInt64.self, at: entry), let end = note.number(UInt64.self, at: entry + 8),
                let offset = note.number(UInt64.self, at: entry + 16), start < end, name.count <= Int(PATH_MAX)
            else { continue }
            files.append(
                MappedFile(
                    start: start, end: end, offset: offset &* page, path: String(decoding: name, as: UTF8.self)))
        }
        return files.sorted { $0.start < $1.start }
    }

    /// siginfo_t: the number, errno and the code, then at 16 the address or the sender.
    private static func signal(_ note: ArraySlice<UInt8>) -> Signal? {
        guard let number = note.number(Int32.self, at: 0), let errno = note.number(Int32.self, at: 4),
            let code = note.number(Int32.self, at: 8), let address = note.number(UInt64.self, at: 16), number > 0
        else { return nil }
        return Signal(
            number: number, code: code, errno: errno, address: address,
            senderPID: code <= 0 ? note.number(Int32.self, at: 16) ?? 0 : 0,
            senderUID: code <= 0 ? note.number(UInt32.self, at: 20) ?? 0 : 0)
    }
}
