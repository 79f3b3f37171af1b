// Defines how a path of a source file is shortened for a reader: the part that tells files apart, without where things are installed.

package enum SourcePath {
    /// The path relative to `directory` (the process's working directory), else without the part that only says where a package,
    /// the standard library or a build lives: `flask/app.py`, `ctypes/__init__.py`, `GraniteWSGI/WSGIApplication.swift`.
    package static func short(_ path: String, relativeTo directory: String? = nil) -> String {
        let parts = path.split(separator: "/").map(String.init)
        if let start = homeEnd(parts), start < parts.count { return parts[start...].joined(separator: "/") }
        // glibc's own: ../sysdeps/x86_64/multiarch/strlen-evex.S
        guard path.hasPrefix("/") else { return parts.drop { $0 == ".." || $0 == "." }.joined(separator: "/") }
        guard let directory, directory.hasPrefix("/") else { return path }
        let root = directory.split(separator: "/").map(String.init)
        return !root.isEmpty && parts.count > root.count && parts.starts(with: root)
            ? parts.dropFirst(root.count).joined(separator: "/") : path
    }

    /// The last part; for a Python package's `__init__.py` and `__main__.py`, which say nothing, with the folder before it.
    package static func name(_ path: String) -> String {
        let parts = path.split(separator: "/")
        guard let last = parts.last else { return path }
        return last.hasPrefix("__") && parts.count > 1 ? "\(parts[parts.count - 2])/\(last)" : String(last)
    }

    /// Index of the first part below a folder that only says where something is installed or was built.
    private static func homeEnd(_ parts: [String]) -> Int? {
        for index in parts.indices.reversed() {
            switch parts[index] {
            case "site-packages", "dist-packages", "Sources", "checkouts", "Modules": return index + 1
            // ~/.cargo/registry/src/index.crates.io-6f17d22bba15001f/serde-1.0.1/src/lib.rs
            case "registry" where parts.dropFirst(index + 1).first == "src": return index + 3
            // /rustc/<commit>/library/core/src/panicking.rs
            case "rustc" where index == 0: return 2
            // …/lib/python3.11/ctypes/__init__.py; a source tree: Python-3.11.7/Objects/call.c
            case let part where part.hasPrefix("python3.") || part.hasPrefix("Python-3."): return index + 1
            default: continue
            }
        }
        return nil
    }
}
