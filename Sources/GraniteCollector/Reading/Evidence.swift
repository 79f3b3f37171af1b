// Defines all that is known of a capture when its worker is let go. Everything after it works from this value and from files.

package import GraniteReport
package import GraniteSymbols

package struct Evidence: Sendable {
    package var page: CapturedPage
    package var modules: [LoadedModule] = []
    /// In the order of `modules`.
    package var images: [ModuleImage] = []
    package var python: PythonSnapshot?
    /// Bytes at the crashed thread's registers, by index in DWARF order; only where they point into memory.
    package var nearRegisters: [Int: [UInt8]] = [:]
    package var abortMessage: String?
    /// Of an abort or a panic.
    package var panicPlace: PanicPlace?
    /// The walked threads, the crashed one first; empty if no file may be opened.
    package var unwound: [UnwoundThread] = []
    /// What follows each word that may be a Swift async context (``UnwoundThread/asyncContexts``): where its callers resume, innermost
    /// first. Which of the words is one is known only when the frames have names.
    package var asyncChains: [UInt64: [UInt64]] = [:]
    /// Time that each step took.
    package var steps: [CaptureInfo.Step] = []
    /// What could not be done, a sentence each.
    package var errors: [String] = []
    /// True if the report lacks something that such a capture normally has.
    package var isIncomplete = false

    package init(page: CapturedPage) { self.page = page }
}
