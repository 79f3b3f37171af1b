// Defines how names leave a file's string tables: never longer than a person could read.

import Glibc

extension String {
    /// The text up to the NUL, at most 4 KiB + 1 of it (so that ``demangled(_:)`` sees that it was cut).
    /// Invalid UTF-8 is repaired. libelf and libdw have checked that a NUL follows within the section.
    init(boundedCString text: UnsafePointer<CChar>) {
        let length = strnlen(text, Mangling.maxNameBytes + 1)
        self = String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
    }
}
