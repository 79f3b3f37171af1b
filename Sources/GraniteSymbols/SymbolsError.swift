// Defines why a file gave no symbols, or was not taken into a store. The caller of `Symbolizer` reads them as sentences.

import Glibc

/// What went wrong with one file, as a sentence for the report's `capture.errors`.
package struct SymbolsError: Error, CustomStringConvertible, Equatable {
    package enum Code: Equatable, Sendable {
        /// open(2), fstat(2) or read failed; see `errno`.
        case cannotOpen
        /// A pipe, device or directory: never read.
        case notRegularFile
        /// Larger than `Symbolizer.Options.maxFileBytes`.
        case tooLarge
        /// Not a 64-bit little-endian ELF file.
        case notELF
        /// The file was replaced since the process mapped it.
        case otherBuild
        /// Nothing says which build it is.
        case noBuildID
        /// Neither debug information nor a symbol table.
        case noSymbols
        /// A file of the symbol store could not be written; see `errno`.
        case cannotStore
        /// Tables of the file contradict themselves.
        case malformed(String)
    }

    package var code: Code
    /// 0 if no system call failed.
    package var errno: Int32 = 0
    /// The file meant.
    package var path: String

    package var description: String {
        switch code {
        case .cannotOpen: "\(path) cannot be read for symbols: \(String(cString: strerror(errno)))."
        case .notRegularFile: "\(path) is no regular file, and wasn't read for symbols."
        case .tooLarge: "\(path) is larger than the limit for symbol files, and wasn't read."
        case .notELF: "\(path) is no 64-bit ELF file."
        case .otherBuild:
            "\(path) was replaced since the process started: its build-id differs, so its symbols weren't used."
        case .noBuildID:
            "\(path) has no build-id, by which alone symbols are found. Link it with -Wl,--build-id (rustc: -C link-arg=-Wl,--build-id)."
        case .noSymbols: "\(path) has neither debug information nor a symbol table."
        case .cannotStore: "\(path) cannot be written: \(String(cString: strerror(errno)))."
        case .malformed(let what): "\(path) has malformed \(what): some names or lines are missing."
        }
    }
}
