// Has the entry of our audit hook freed by the allocator that made it. CPython makes it at once, before Py_Initialize
// chooses another (PYTHONMALLOC=debug, -X dev), and frees it at the end by the one in place then: a fatal error.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

#include "preload.h"

/// PyMemAllocatorEx of CPython's pymem.h.
struct allocator {
    void *context;
    void *(*allocate)(void *, size_t);
    void *(*allocate_zeroed)(void *, size_t, size_t);
    void *(*reallocate)(void *, void *, size_t);
    void (*release)(void *, void *);
};
enum { raw_domain = 0 };
typedef void (*allocator_function)(int domain, struct allocator *);

static allocator_function get_allocator;
static allocator_function set_allocator;
static struct allocator first;  ///< that makes the entry
static struct allocator last;   ///< in place when CPython frees it
static void *entry;

/// Call before any crash. What is asked for while the hook is added is the entry.
static void *make_entry(void *context, size_t size) { return entry = first.allocate(context, size); }

/// As free(3). In the place of the last allocator's.
static void release(void *context, void *memory) {
    if (memory != entry || !memory) {
        last.release(context, memory);
        return;
    }
    entry = NULL;
    first.release(first.context, memory);
}

/// Call before any crash, before Py_Initialize.
bool granite_python_add_hook(granite_add_hook_function add, granite_audit_function hook) {
    get_allocator = (allocator_function)dlsym(RTLD_DEFAULT, "PyMem_GetAllocator");
    set_allocator = (allocator_function)dlsym(RTLD_DEFAULT, "PyMem_SetAllocator");
    if (!get_allocator || !set_allocator) return false;
    get_allocator(raw_domain, &first);
    struct allocator noting = first;
    noting.allocate = make_entry;
    set_allocator(raw_domain, &noting);
    int result = add(hook, NULL);
    set_allocator(raw_domain, &first);
    return result == 0;
}

/// With the GIL held, by the hook when all hooks are about to be freed. Other threads may allocate meanwhile: but for
/// `release` the allocator stays what it is.
void granite_python_before_clear(void) {
    if (!entry) return;
    get_allocator(raw_domain, &last);
    if (last.release == first.release && last.context == first.context) return;
    struct allocator knowing = last;
    knowing.release = release;
    set_allocator(raw_domain, &knowing);
}
