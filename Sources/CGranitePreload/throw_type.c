// Reads the type of a C++ exception out of the header in front of it (Itanium C++ ABI: Exception Handling, 2.2.1), as
// libstdc++ (unwind-cxx.h) and libc++abi (cxa_exception.h) lay it out.

#include "throw_type.h"

#include <granite_crash_page.h>
#include <stddef.h>

/// Vendor and language, then 0 for an exception and 1 for one that shares the object of another (2.2.2).
static const uint64_t gnu_class = 0x474e5543432b2b00;    // "GNUCC++\0"
static const uint64_t clang_class = 0x434c4e47432b2b00;  // "CLNGC++\0"
static const uint64_t rust_class = 0x4d4f5a0052555354;   // "MOZ\0RUST"
/// Bytes in this order in current Rust, as a number in older (library/panic_unwind/src/gcc.rs).
static const uint64_t rust_class_in_bytes = 0x54535552005a4f4d;

/// What both runtimes have in front of every exception, from where they agree.
struct header {
    /// libc++abi: the object's own header counts references here, a dependent one has its primary object.
    const void *clang_primary;
    /// libstdc++: a dependent exception has its primary object here.
    const void *type;
    void (*destructor)(void *);
    void (*unexpected_handler)(void);
    void (*terminate_handler)(void);
    void *next;
    int handler_count;  ///< negative once `throw;` raised it again
    int handler_switch_value;
    const void *action_record;
    const void *language_specific_data;
    const void *catch_temporary;
    void *adjusted;
};

/// Of 64 bits, where neither runtime needs padding before the exception.
_Static_assert(sizeof(struct header) == 88, "header layout");

/// Async-signal-safe.
static const struct header *header_before(const void *exception) { return (const struct header *)exception - 1; }

/// Async-signal-safe. std::type_info: its virtual table, then its name, which begins with `*` if addresses tell such types apart.
static const char *name_of(const void *type) {
    const char *name = type ? ((const char *const *)type)[1] : NULL;
    if (!name) return "";
    return *name == '*' ? name + 1 : name;
}

/// Async-signal-safe.
struct granite_thrown granite_throw_describe(const struct _Unwind_Exception *exception) {
    uint64_t class = exception->exception_class;
    struct granite_thrown thrown = {.language = GRANITE_THROW_OTHER, .type = ""};
    if (class == rust_class || class == rust_class_in_bytes) thrown.language = GRANITE_THROW_RUST;
    bool is_dependent = (class & 0xff) == 1;
    bool is_gnu = (class & ~0xffull) == gnu_class;
    if ((!is_gnu && (class & ~0xffull) != clang_class) || (class & 0xff) > 1) return thrown;
    const struct header *header = header_before(exception);
    thrown.language = GRANITE_THROW_CPLUSPLUS;
    thrown.is_again = is_dependent || header->handler_count < 0;
    thrown.object = exception + 1;
    if (is_dependent) thrown.object = is_gnu ? header->type : header->clang_primary;
    // An object stands behind its own exception.
    const struct _Unwind_Exception *primary = (const struct _Unwind_Exception *)thrown.object - 1;
    thrown.type = name_of(header_before(primary)->type);
    return thrown;
}
