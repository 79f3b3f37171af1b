// What C, C++ and Rust code calls of Granite: values that belong to one thread, breadcrumbs, and a report now. One file without others:
// copy it beside your sources. C99, C++98 and later, GCC or Clang.
//
// Nothing has to be linked. The functions bind by weak references when the program starts or the extension is loaded: under
// `granite-crash run -- …`, and in an extension that a worker of `granite serve` has loaded. Everywhere else each call does nothing, and
// granite_check is true. A weak reference of a statically linked program (-static), or of a program built with -fno-pie -no-pie, is bound
// when it is linked, and that is to nothing: build it as PIE, the default of most systems, or make the calls in a shared library.
//
// From other languages: look the functions granite_bound_* up by dlsym(RTLD_DEFAULT, …), and call none that is not there.

#ifndef GRANITE_BIND_H
#define GRANITE_BIND_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(GRANITE_BIND_DEFINES)
#define GRANITE_BIND_WEAK __attribute__((weak))
#else
#define GRANITE_BIND_WEAK
#endif

/// Binds a value to a thread; put it into the value. All zeros: bound to none. The content is the library's.
struct granite_bound {
    const char *label;
    uint64_t state[23];
};

/// The functions behind those below. `bound` and texts must not be NULL.
GRANITE_BIND_WEAK void granite_bound_bind(struct granite_bound *bound, const char *label);
GRANITE_BIND_WEAK int granite_bound_check(const struct granite_bound *bound);
GRANITE_BIND_WEAK void granite_bound_drop(struct granite_bound *bound);
GRANITE_BIND_WEAK void granite_bound_annotate(const char *category, const char *message);
GRANITE_BIND_WEAK void granite_bound_report(const char *subject, const char *message);

#ifndef GRANITE_BIND_DEFINES

/// The value belongs to the calling thread from here on. Some tens of nanoseconds: the stack is kept by frame pointers (compile with
/// -fno-omit-frame-pointer, or it has one frame). `label` names the value in reports and must live as long as it: a literal.
static inline void granite_bind(struct granite_bound *bound, const char *label) {
    if (granite_bound_bind) granite_bound_bind(bound, label);
}

/// Before a use: 1 on the thread that the value belongs to. Elsewhere the mistake is reported, once and then counted, and 0 is
/// returned, or the program ended where GRANITE_THREAD_BOUND=abort is in the environment.
static inline int granite_check(const struct granite_bound *bound) {
    return granite_bound_check ? granite_bound_check(bound) : 1;
}

/// Before the value is released. On another thread than its own the mistake is reported as by granite_check. The value is bound to none
/// afterwards.
static inline void granite_drop(struct granite_bound *bound) {
    if (granite_bound_drop) granite_bound_drop(bound);
}

/// Leaves a breadcrumb: reports show the last 64. `category` is a word of at most 23 bytes, `message` has at most 215. No system call.
static inline void granite_annotate(const char *category, const char *message) {
    if (granite_bound_annotate) granite_bound_annotate(category, message);
}

/// Makes a report of all threads now, and goes on. From the same place and of the same subject again it is only counted. Blocks for
/// some milliseconds; not for signal handlers.
static inline void granite_report(const char *subject, const char *message) {
    if (granite_bound_report) granite_bound_report(subject, message);
}

#endif

#ifdef __cplusplus
}
#endif

#endif
