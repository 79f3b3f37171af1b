// Defines which Debian package holds an object's debug information, where that is certain.

enum DebugPackage {
    /// `libc6-dbg` for glibc's own objects in a multiarch folder, which only Debian and its descendants have. All other debug packages
    /// depend on the release and on archives that may not be configured: a wrong hint costs more than none.
    static func name(of path: String) -> String? {
        let parts = path.split(separator: "/")
        guard let file = parts.last, parts.dropLast().last?.hasSuffix("-linux-gnu") == true,
            parts.first == "lib" || parts.first == "usr"
        else {
            return nil
        }
        return glibc.contains { file.hasPrefix($0) } ? "libc6-dbg" : nil
    }

    private static let glibc = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-"]
}
