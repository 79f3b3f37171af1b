// Reads the memory of a process that is stopped for it (/proc/PID/mem), and keeps what it read, because the process goes on before its stacks
// are walked. The descriptor stays with the address space it was opened for: a successor of the same pid is never read.

import Glibc

/// Opened before the process is stopped. One thread.
final class ProcessMemoryFile: RemoteMemory {
    static let maxReadBytes = 65_536

    private let descriptor: Int32

    /// nil, with errno, if it may not be read.
    init?(pid: Int32) {
        descriptor = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] { ranges.map(read) }

    func read(_ range: MemoryRange) -> [UInt8]? {
        guard range.length > 0, range.length <= Self.maxReadBytes, let start = Int(exactly: range.address),
            !start.addingReportingOverflow(range.length).overflow
        else { return nil }
        let bytes = [UInt8](unsafeUninitializedCapacity: range.length) { buffer, filled in
            while filled < range.length {
                let count = pread(
                    descriptor, buffer.baseAddress.map { $0 + filled }, range.length - filled, start + filled)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                filled += count
            }
        }
        return bytes.count == range.length ? bytes : nil
    }
}

/// The same with a memory of its own.
final class AttachedMemory: HeldMemory {
    static let pageBytes: UInt64 = 4096
    /// Pages that are kept: 64 MiB.
    static let maxPages = 16_384

    let letsGo = LettingGo.beforeWalks
    private(set) var isExhausted = false
    let failure: String? = nil

    private let file: ProcessMemoryFile
    private let letGo: () -> Void
    private var isFinished = false
    /// What cannot be written to stays as it is, and may be read later.
    var map = MemoryMap()
    private var spans: [(start: UInt64, bytes: [UInt8])] = []
    /// Page number to the span that has it; -1: nothing is there.
    private var pages: [UInt64: Int] = [:]

    /// - Parameter letGo: called once, when nothing more has to be read.
    init(_ file: ProcessMemoryFile, letGo: @escaping () -> Void) {
        self.file = file
        self.letGo = letGo
    }

    func finish() {
        guard !isFinished else { return }
        isFinished = true
        letGo()
    }

    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] { ranges.map(read) }

    private func read(_ range: MemoryRange) -> [UInt8]? {
        guard range.length > 0, range.length <= ProcessMemoryFile.maxReadBytes else { return nil }
        let (last, overflow) = range.address.addingReportingOverflow(UInt64(range.length) - 1)
        guard !overflow else { return nil }
        let numbers = range.address / Self.pageBytes...last / Self.pageBytes
        if numbers.contains(where: { pages[$0] == nil }) {
            if isFinished {
                guard let mapping = map.mapping(containing: range.address), !mapping.isWritable, last < mapping.end
                else { return nil }
            }
            fetch(numbers)
        }
        return kept(range, numbers)
    }

    /// Those that are not kept yet, each row of them at once.
    private func fetch(_ numbers: ClosedRange<UInt64>) {
        let missing = numbers.filter { pages[$0] == nil }
        guard pages.count + missing.count <= Self.maxPages else {
            isExhausted = true
            return
        }
        var rest = missing[...]
        while let first = rest.first {
            var last = first
            rest = rest.dropFirst()
            while let next = rest.first, next == last + 1 {
                last = next
                rest = rest.dropFirst()
            }
            fetchRow(first...last)
        }
    }

    /// All pages in one call, else one by one.
    private func fetchRow(_ numbers: ClosedRange<UInt64>) {
        let start = numbers.lowerBound * Self.pageBytes
        if let bytes = file.read(MemoryRange(address: start, length: numbers.count * Int(Self.pageBytes))) {
            spans.append((start, bytes))
            for number in numbers { pages[number] = spans.count - 1 }
            return
        }
        for number in numbers {
            let start = number * Self.pageBytes
            if numbers.count > 1, let bytes = file.read(MemoryRange(address: start, length: Int(Self.pageBytes))) {
                spans.append((start, bytes))
                pages[number] = spans.count - 1
            } else {
                pages[number] = -1
            }
        }
    }

    private func kept(_ range: MemoryRange, _ numbers: ClosedRange<UInt64>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.length)
        for number in numbers {
            guard let index = pages[number], index >= 0 else { return nil }
            let span = spans[index]
            let from = max(range.address, number * Self.pageBytes) - span.start
            let to = min(range.address + UInt64(range.length) - span.start, (number + 1) * Self.pageBytes - span.start)
            bytes += span.bytes[Int(from)..<Int(to)]
        }
        return bytes
    }
}
