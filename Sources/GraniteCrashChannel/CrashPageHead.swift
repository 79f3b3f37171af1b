// Defines the first fields of a crash page. It is separate because both the maker and the readers of a page need them.

/// The first 128 bytes of `struct granite_crash_page`, spelled out: Swift would import the whole page as one tuple of
/// half a megabyte. `CrashPageTests` compares the two.
package struct CrashPageHead: BitwiseCopyable {
    package var magic: UInt64 = 0
    package var version: UInt32 = 0
    package var headerSize: UInt32 = 0
    package var crashID: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    package var slot: UInt32 = 0
    package var generation: UInt32 = 0
    package var level: UInt32 = 0
    package var reserved0: UInt32 = 0
    package var pid: UInt32 = 0
    package var ready: UInt32 = 0
    package var startedNanoseconds: UInt64 = 0
    package var heartbeatNanoseconds: UInt64 = 0
    package var requestsServed: UInt64 = 0
    package var residentBytes: UInt64 = 0
    package var pythonRuntime: UInt64 = 0
    package var pythonVersion: UInt32 = 0
    package var suppressedCaptures: UInt32 = 0
    package var breadcrumbCount: UInt32 = 0
    package var exitNote: UInt32 = 0

    package init() {}
}
