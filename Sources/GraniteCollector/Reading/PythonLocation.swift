// Finds CPython's runtime in a process that was never asked for it: by the symbol `_PyRuntime` of its executable or of its libpython.

import Glibc
import GraniteSymbols

/// Where an interpreter keeps its state, and which version it is.
struct PythonLocation: Equatable, Sendable {
    /// Address of `_PyRuntime`.
    var runtime: UInt64
    /// `PY_VERSION_HEX`; 0 if it is not known.
    var versionHex: UInt32

    /// Files that are looked at: a process may map any number under such names.
    static let maxModules = 8

    /// nil if no module is a Python, or none of its files is there in the build that was loaded.
    static func find(modules: [LoadedModule], images: [ModuleImage], memory: any RemoteMemory) -> PythonLocation? {
        let named = modules.indices.filter { minor(of: modules[$0].name) != nil }
        // A program that embeds Python statically has any name; its symbols are exported for extension modules.
        let first = modules.indices.first.map { [$0] } ?? []
        for index in (named + first).prefix(maxModules) {
            let module = modules[index]
            guard !module.isVDSO, let descriptor = ModuleIdentity.open(module, image: images[index]) else { continue }
            defer { close(descriptor) }
            let values = SymbolLookup.values(
                of: ["_PyRuntime", "Py_Version"], in: descriptor, withStatic: named.contains(index))
            guard let runtime = values["_PyRuntime"] else { continue }
            let bias = images[index].bias
            // Py_Version is there from 3.11 on (C API manual, "API and ABI Versioning"); before, a file's name must do.
            let told = values["Py_Version"].flatMap { memory.word(at: $0 &+ bias) }.flatMap(UInt32.init(exactly:))
            let guessed = minor(of: module.name).map { 0x0300_00F0 | UInt32($0) << 16 }
            return PythonLocation(runtime: runtime &+ bias, versionHex: told ?? guessed ?? 0)
        }
        return nil
    }

    /// 11 of `python3.11`, `libpython3.11.so.1.0` and `libpython3.11d.so`.
    static func minor(of name: String) -> UInt8? {
        for prefix in ["python3.", "libpython3."] where name.hasPrefix(prefix) {
            return UInt8(name.dropFirst(prefix.count).prefix { $0.isASCII && $0.isNumber })
        }
        return nil
    }
}
