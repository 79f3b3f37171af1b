// Defines which Python a worker runs, as the interpreter itself tells it. Found once by the supervisor, handed to every
// worker.

/// An interpreter with its shared library: all that is needed to start it in a process of ours.
package struct PythonInstallation: Codable, Equatable, Sendable {
    /// `sys.executable`: of the virtual environment, if that is where it was found.
    package var executable: String
    /// `sys.prefix`: the virtual environment, or the installation.
    package var prefix: String
    /// `sys.base_prefix`: the installation that the virtual environment was made from.
    package var basePrefix: String
    /// "3.11.7".
    package var version: String
    /// PY_VERSION_HEX, 0x030b07f0 for 3.11.7 final.
    package var hexVersion: UInt32
    /// The shared library, an absolute path.
    package var library: String

    package init(
        executable: String, prefix: String, basePrefix: String, version: String, hexVersion: UInt32, library: String
    ) {
        self.executable = executable
        self.prefix = prefix
        self.basePrefix = basePrefix
        self.version = version
        self.hexVersion = hexVersion
        self.library = library
    }

    /// The versions whose C functions and frame layouts are known.
    package static let supportedMinorVersions = 9...13

    /// Throws unless `version` is CPython 3.9 to 3.13 with a GIL.
    static func checkSupported(executable: String, implementation: String, hexVersion: UInt32, freeThreaded: Bool)
        throws(WSGIError)
    {
        let major = Int(hexVersion >> 24)
        let minor = Int(hexVersion >> 16 & 0xff)
        guard implementation == "cpython" else {
            throw WSGIError(
                .unsupportedPython, "\(executable) is \(implementation), and Granite runs CPython only",
                hint: "Give a CPython 3.9 to 3.13 with --python")
        }
        guard major == 3, supportedMinorVersions.contains(minor) else {
            throw WSGIError(
                .unsupportedPython, "\(executable) is Python \(major).\(minor), and Granite runs 3.9 to 3.13",
                hint: "Make the virtual environment with one of those, or give one with --python")
        }
        guard !freeThreaded else {
            throw WSGIError(
                .unsupportedPython,
                "\(executable) is a free-threaded build (\(major).\(minor)t), which Granite does not run yet",
                hint: "Give the build with the GIL, python\(major).\(minor), with --python")
        }
    }
}
