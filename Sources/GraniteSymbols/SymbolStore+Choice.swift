// Defines which symbol stores there are: the ones that are read, and the one that is written.

import Glibc

extension SymbolStore {
    /// The store that a command writes: what the option names, else the first folder of `GRANITE_SYMBOLS`, else `symbols` in the working
    /// directory if that is there, else the user's own.
    package static func chosen(option: String?) -> SymbolStore {
        if let option { return SymbolStore(directory: option) }
        if let first = listed.first { return SymbolStore(directory: first) }
        if SymbolFileWalk.isFolder("symbols") { return SymbolStore(directory: "symbols") }
        return SymbolStore(directory: own ?? "symbols")
    }

    /// All folders that are read, in order: `GRANITE_SYMBOLS`, `symbols` in the working directory, the user's own.
    package static var defaultFolders: [String] { listed + ["symbols"] + (own.map { [$0] } ?? []) }

    private static var listed: [String] {
        (getenv("GRANITE_SYMBOLS").map { String(cString: $0) } ?? "").split(separator: ":").map(String.init)
    }

    /// `$XDG_DATA_HOME/granite/symbols` (XDG Base Directory Specification: a relative path is ignored).
    private static var own: String? {
        func folder(_ name: String) -> String? {
            getenv(name).map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        return (folder("XDG_DATA_HOME") ?? folder("HOME").map { $0 + "/.local/share" }).map { $0 + "/granite/symbols" }
    }

    /// Makes the store's folder and those above it, as far as they are missing. False, with errno, if that fails.
    func makeFolders() -> Bool {
        var path = directory.hasPrefix("/") ? "" : "."
        for part in directory.split(separator: "/") {
            path += "/" + part
            if mkdir(path, 0o755) != 0, errno != EEXIST { return false }
        }
        return true
    }
}
