// The demanglers of C++, Rust and Swift behind one bounded interface. C, because libiberty calls back and can only be
// stopped by a jump out of its call-back, and because the Swift runtime's demangler is no part of any Swift module.
#pragma once

#include <stddef.h>

/// Writes the readable form of a mangled C++ name (Itanium ABI, `_Z…`) to `out`, NUL-terminated, and returns its length
/// without the NUL; 0 if `mangled` isn't one. Longer output is cut at `capacity - 1` bytes, and the demangler stopped
/// there: a name of a few hundred bytes can stand for more text than memory holds.
/// Any thread; never a signal handler. `capacity` must be at least 1.
size_t granite_demangle_cplus(const char *_Nonnull mangled, char *_Nonnull out, size_t capacity);

/// As `granite_demangle_cplus`, for Rust: `_R…` (v0), and `_ZN…17h<hash>E` (legacy), whose hash is dropped.
size_t granite_demangle_rust(const char *_Nonnull mangled, char *_Nonnull out, size_t capacity);

/// As `granite_demangle_cplus`, for Swift (`$s…`), by the runtime's demangler: the form that Swift's own backtraces show,
/// `Node.oob(_:)`, where the runtime has it, else the full one. Returns 0 also if the runtime offers neither.
size_t granite_demangle_swift(const char *_Nonnull mangled, size_t length, char *_Nonnull out, size_t capacity);
