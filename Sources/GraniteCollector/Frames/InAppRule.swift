// Defines which frames are the application's own: those that its developer can change. Pure.

package import GraniteReport

package enum InAppRule {
    /// True for the application's code, false for that of the interpreter, the runtimes, libraries and Granite.
    package static func isInApp(_ frame: Frame) -> Bool {
        switch frame.kind {
        case .python: return isInApp(pythonFile: frame.file ?? "")
        case .native, .swiftAsync:
            // Thunks, starters of threads and the ways to abort(3) are compiled into every program.
            guard frame.role == .code, frame.rawSymbol?.hasPrefix("$s14GraniteCapture") != true else { return false }
            return isInApp(module: frame.module ?? "", symbol: frame.symbol)
        }
    }

    static func isInApp(pythonFile file: String) -> Bool {
        if file.isEmpty || file.hasPrefix("<") { return false }  // <frozen importlib._bootstrap>, <string>
        if file.contains("/site-packages/") || file.contains("/dist-packages/") { return false }
        // The standard library lies in lib/pythonX.Y of the installation.
        return !isStandardLibrary(file)
    }

    /// `/usr/lib/python3.11/threading.py`, `/opt/py/lib/python3.13/json/decoder.py`, `…/python311.zip/…`.
    private static func isStandardLibrary(_ file: String) -> Bool {
        let parts = file.split(separator: "/")
        for (index, part) in parts.dropLast().enumerated() where index > 0 {
            let parent = parts[index - 1]
            guard parent == "lib" || parent == "lib64", part.hasPrefix("python") else { continue }
            let version = part.dropFirst("python".count)
            if version.first?.isNumber == true { return true }
        }
        return false
    }

    private static let libraries = [
        "libc.so", "libc-", "libm.so", "libdl.so", "libpthread", "librt.so", "ld-linux", "ld-", "libgcc_s", "libstdc++",
        "libc++",
        "libpython", "libswift", "lib_Foundation", "libFoundation", "libdispatch", "libBlocksRuntime", "libffi",
        "libunwind", "python3",
    ]

    static func isInApp(module path: String, symbol: String?) -> Bool {
        if path.isEmpty || path.hasPrefix("[") { return false }
        let name = path.split(separator: "/").last.map(String.init) ?? path
        if name == "granite" || name == "granite-crash" || name == "python" { return false }
        if libraries.contains(where: { name.hasPrefix($0) }) { return false }
        // Extension modules of the standard library and of installed packages are libraries, too.
        if path.contains("/lib-dynload/") || path.contains("/site-packages/") || path.contains("/dist-packages/") {
            return false
        }
        if let symbol, symbol.hasPrefix("granite_capture") || symbol.hasPrefix("granite_thread_") { return false }
        return !path.hasPrefix("/usr/lib/") && !path.hasPrefix("/lib/") && !path.hasPrefix("/usr/lib64/")
            && !path.hasPrefix("/lib64/")
    }
}
