// libiberty's demanglers, stopped when the output is full; and the Swift runtime's.
#include "granite_demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

struct output {
    char *text;
    size_t length;
    size_t limit;
    jmp_buf full;
};

// libiberty's call-back cannot refuse text, and substitutions double it, so that only a jump ends the work. Nothing but
// the stack is lost by it: cp-demangle.c keeps its state in variable-length arrays; rust-demangle.c allocates for the
// length of one Unicode identifier, which is then leaked.
static void append(const char *text, size_t length, void *opaque) {
    struct output *output = opaque;
    size_t room = output->limit - output->length;
    size_t taken = length < room ? length : room;
    memcpy(output->text + output->length, text, taken);
    output->length += taken;
    if (taken < length) longjmp(output->full, 1);
}

typedef int (*demangler)(const char *, int, demangle_callbackref, void *);

// Recursion stays limited: DMGL_NO_RECURSE_LIMIT is not set.
static size_t demangle(demangler function, const char *mangled, char *out, size_t capacity) {
    struct output output = {.text = out, .length = 0, .limit = capacity - 1};
    if (setjmp(output.full) == 0 && !function(mangled, DMGL_PARAMS | DMGL_ANSI, append, &output)) output.length = 0;
    out[output.length] = 0;
    return output.length;
}

size_t granite_demangle_cplus(const char *mangled, char *out, size_t capacity) {
    return demangle(cplus_demangle_v3_callback, mangled, out, capacity);
}

size_t granite_demangle_rust(const char *mangled, char *out, size_t capacity) {
    return demangle(rust_demangle_callback, mangled, out, capacity);
}

// Both are exported by libswiftCore: swift_demangle is what `swift demangle` documents, the other is what swift-backtrace
// calls (stdlib/public/runtime/Backtrace.cpp). Weak, because a future runtime may lack either.
extern char *_swift_backtrace_demangle(const char *name, size_t length, char *out, size_t *out_size) __attribute__((weak));
extern char *swift_demangle(const char *name, size_t length, char *out, size_t *out_size, uint32_t flags) __attribute__((weak));

size_t granite_demangle_swift(const char *mangled, size_t length, char *out, size_t capacity) {
    size_t size = capacity;
    char *result = NULL;
    if (_swift_backtrace_demangle)
        result = _swift_backtrace_demangle(mangled, length, out, &size);
    else if (swift_demangle)
        result = swift_demangle(mangled, length, out, &size, 0);
    if (!result) return 0;
    // Both cut at the capacity; neither promises the NUL.
    out[capacity - 1] = 0;
    return strlen(out);
}
