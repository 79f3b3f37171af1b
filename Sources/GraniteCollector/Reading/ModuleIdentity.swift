// Finds out which build of a file was loaded: the build-id as it lies in the worker's memory. A deployment that replaced a file under a
// running worker must not give its report the names of the new file.

import GraniteSymbols

enum ModuleIdentity {
    /// ELF header, program headers and, with common linkers, the build-id note: all in the first page.
    static let headBytes = 4096

    /// The modules as the symbolizer wants them, in the same order.
    /// - Parameters:
    ///   - memory: live memory; nil reads no build-ids, and the files are believed.
    ///   - vdso: its bytes.
    ///   - opensFiles: false takes what the map says alone.
    static func images(
        of modules: [LoadedModule], memory: (any RemoteMemory)?, vdso: [UInt8]?, opensFiles: Bool = true
    ) -> [ModuleImage] {
        let heads =
            memory?.read(modules.map { MemoryRange(address: $0.start, length: headBytes) })
            ?? Array(repeating: nil, count: modules.count)
        return zip(modules, heads).map { module, head in
            if module.isVDSO {
                // Its addresses in the file begin at 0 (vdso(7)).
                return ModuleImage(
                    path: module.path, start: module.start, end: module.end, bias: module.start, memory: vdso)
            }
            let inMemory = module.fileOffset == 0 ? head.flatMap { ELFImage(bytes: $0) } : nil
            let image = inMemory ?? (opensFiles ? ELFImage(path: module.path) : nil)
            let bias = image?.bias(mappedAt: module.start, fileOffset: module.fileOffset)
            return ModuleImage(
                path: module.path + (module.isDeleted ? " (deleted)" : ""), start: module.start, end: module.end,
                bias: bias ?? module.start,
                buildID: module.fileOffset == 0 ? head.flatMap { ELFImage.buildID(bytes: $0) } : nil)
        }
    }

    /// Opens the file of a module for the unwinder; nil if it is gone, not a regular file, or known to be another build.
    static func open(_ module: LoadedModule, image: ModuleImage?) -> Int32? {
        if let known = image?.buildID {
            guard ELFImage.buildID(path: module.path) == known else { return nil }
        } else if module.isDeleted {
            return nil
        }
        return RegularFile.open(module.path)
    }
}
