// Judges whether a runtime's text in the log belongs to this crash: by the functions of that runtime on the stack. It is separate from
// finding texts because a log keeps lines of caught panics and of old trouble. Pure.

import GraniteReport

/// What the crashed thread's frames say of a text.
enum RuntimeTextProof: Equatable {
    /// The function that writes it is on the stack.
    case proven
    /// Frames have no names: it may be.
    case unknown
    case refuted

    static let depth = 40

    init(_ source: RuntimeText.Source, _ frames: [Frame]) {
        let machinery: [String]
        switch source {
        case .glibc: machinery = Self.glibc
        case .rust: machinery = Self.rust
        case .cxx, .cxxPureVirtual: machinery = Self.cxx
        case .swift, .python, .assertion:
            self = .proven
            return
        }
        let native = frames.prefix(Self.depth).filter { $0.kind == .native }
        let symbols = native.compactMap(\.symbol)
        if symbols.contains(where: { symbol in machinery.contains { symbol.contains($0) } }) {
            self = .proven
        } else {
            self = native.isEmpty || native.contains { $0.symbol == nil } ? .unknown : .refuted
        }
    }

    /// malloc/malloc.c, debug/fortify_fail.c, debug/stack_chk_fail.c
    private static let glibc = ["malloc_printerr", "__libc_message", "stack_chk_fail", "chk_fail", "fortify_fail"]
    /// library/std/src/panicking.rs. Not `std::panicking::try`, which is under all that may panic and be caught.
    private static let rust = [
        "std::panicking::begin_panic", "std::panicking::panic", "core::panicking", "rust_panic", "rust_begin_unwind",
        "rust_start_panic",
    ]
    /// libstdc++-v3/libsupc++, libcxxabi/src
    private static let cxx = [
        "std::terminate", "std::__terminate", "__cxxabiv1", "__gnu_cxx::__verbose_terminate_handler", "__cxa_throw",
        "__cxa_rethrow", "__cxa_pure_virtual", "__cxa_call_terminate", "demangling_terminate_handler",
        "__gxx_personality_v0",
    ]
}
