// Defines an object file that was loaded in the reported process, and finds all of them in its memory map.

/// An executable or shared object, or the vdso, as it lay in the reported process.
package struct LoadedModule: Hashable, Sendable {
    /// Path of the file; `[vdso]` for the kernel's.
    package var path: String
    /// Lowest address, and the first one behind the highest mapping.
    package var start: UInt64
    package var end: UInt64
    package var isDeleted: Bool
    /// Of the mapping at `start`.
    package var fileOffset: UInt64
    package var inode: UInt64

    package var isVDSO: Bool { path == "[vdso]" }

    /// Name without folders.
    package var name: String { path.split(separator: "/").last.map(String.init) ?? path }
}

extension MemoryMap {
    /// At most so many modules are looked at; a process with more is not sane.
    package static let maxModules = 4096

    /// The modules in order of address: runs of mappings of one file, of which one is executable. A file that was only mapped as data
    /// (a locale archive, a database) is none.
    package func modules() -> [LoadedModule] {
        var found: [LoadedModule] = []
        var current: LoadedModule?
        var isCode = false
        func close() {
            if let current, isCode { found.append(current) }
            current = nil
            isCode = false
        }
        for mapping in mappings {
            if found.count >= Self.maxModules { return found }
            if mapping.path == "[vdso]" {
                close()
                found.append(
                    .init(
                        path: "[vdso]", start: mapping.start, end: mapping.end, isDeleted: false, fileOffset: 0,
                        inode: 0))
            } else if mapping.isFile {
                // The same file mapped twice begins anew at offset 0.
                if let module = current, module.path == mapping.path, module.inode == mapping.inode, mapping.offset != 0
                {
                    current?.end = mapping.end
                } else {
                    close()
                    current = .init(
                        path: mapping.path, start: mapping.start, end: mapping.end, isDeleted: mapping.isDeleted,
                        fileOffset: mapping.offset, inode: mapping.inode)
                }
                isCode = isCode || mapping.isExecutable
            } else if let module = current, mapping.path.isEmpty, mapping.start == module.end {
                // .bss continues a module anonymously; it does not extend it, and it does not end it either.
                continue
            } else {
                close()
            }
        }
        close()
        return found
    }
}

/// Finds the module that holds an address. Sorted once, then a binary search each.
package struct ModuleTable: Sendable {
    package let modules: [LoadedModule]

    package init(_ modules: [LoadedModule]) { self.modules = modules.sorted { $0.start < $1.start } }

    package func index(containing address: UInt64) -> Int? {
        var low = 0
        var high = modules.count
        while low < high {
            let middle = (low + high) / 2
            if modules[middle].start <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0, address < modules[low - 1].end else { return nil }
        return low - 1
    }

    package func module(containing address: UInt64) -> LoadedModule? { index(containing: address).map { modules[$0] } }
}
