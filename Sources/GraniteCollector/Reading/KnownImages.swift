// Defines the modules of a process with their builds, read before there was haste.

import GraniteSymbols

struct KnownImages: Sendable {
    let modules: [LoadedModule]
    /// In the order of `modules`.
    let images: [ModuleImage]

    init(map: MemoryMap, memory: any RemoteMemory) {
        modules = map.modules()
        images = ModuleIdentity.images(of: modules, memory: memory, vdso: nil)
    }

    /// The images of these modules; nil if they are others by now.
    /// - Parameter vdso: its bytes.
    func images(of modules: [LoadedModule], vdso: [UInt8]?) -> [ModuleImage]? {
        guard modules == self.modules else { return nil }
        return zip(modules, images).map { module, image in
            var image = image
            if module.isVDSO { image.memory = vdso }
            return image
        }
    }
}
