// Says what a file is that is no core dump which can be read here, and what to do. Pure: it sees the first bytes.

enum CoreRefusal {
    private static let compressed: [(magic: [UInt8], command: String)] = [
        ([0x28, 0xb5, 0x2f, 0xfd], "zstd -d"), ([0x04, 0x22, 0x4d, 0x18], "lz4 -d"), ([0x1f, 0x8b], "gzip -d"),
        ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "xz -d"), ([0x42, 0x5a, 0x68], "bzip2 -d"),
    ]
    /// ELF machine numbers by their common names (elf(5)).
    private static let machines: [UInt16: String] = [
        3: "i386", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64",
    ]

    /// What is wrong with a file that begins so, after its name and without a full stop; nil if it is a core dump.
    static func problem(_ header: [UInt8]) -> String? {
        if header.isEmpty {
            return
                "is empty: the kernel wrote no core; `ulimit -c unlimited` in the shell that starts the program allows it"
        }
        for (magic, command) in compressed where header.starts(with: magic) {
            return
                "is compressed: decompress it with `\(command)`, or pipe it: `\(command)c FILE | granite-crash core -`"
        }
        if header.starts(with: Array("KDUMP   ".utf8)) || header.starts(with: Array("DISKDUMP".utf8)) {
            return "is a dump of a kernel, not of a process: use crash(8)"
        }
        guard header.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else { return "is not a core dump" }
        guard header.count >= 64 else { return "is cut off within its first 64 bytes: nothing can be read of it" }
        guard header[4] == 2 else { return "is of a 32-bit program; only those of 64 bits can be read" }
        guard header[5] == 1 else { return "is of a big-endian machine; only little-endian ones can be read" }
        switch header.number(UInt16.self, at: 16) {
        case 4: break
        case 1: return "is an object file, not a core dump"
        case 2, 3: return "is an executable or a shared library, not a core dump"
        default: return "is not a core dump"
        }
        let machine = header.number(UInt16.self, at: 18) ?? 0
        let name = machines[machine] ?? "machine \(machine)"
        guard name == Registers.architecture else {
            return "is of \(name): read it on such a machine; this is \(Registers.architecture)"
        }
        return nil
    }
}
