// Opens libunwind by dlopen, privately: linked, its _Unwind_* functions would take over C++ and Rust exceptions of the
// whole process. Without it the core works, only stage C stays empty.

#define _GNU_SOURCE
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <ucontext.h>

#include "core.h"

// The header spells its functions by target, e.g. unw_step = _ULx86_64_step. The strings follow the macros.
#define SPELL(name) #name
#define SYMBOL(name) SPELL(name)

/// Call before any crash. A walk resolves and initializes all that a later one needs.
static void warm_up(void) {
    ucontext_t context;
    unw_cursor_t cursor;
    if (getcontext(&context) != 0) return;
    if (granite_unwinder.initialize(&cursor, &context, UNW_INIT_SIGNAL_FRAME) != 0) return;
    for (int i = 0; i < GRANITE_MAX_HANDLER_FRAMES; i++) {
        uint64_t pointer = 0;
        granite_unwinder.get_register(&cursor, UNW_REG_IP, &pointer);
        if (granite_unwinder.step(&cursor) <= 0) break;
    }
}

/// Call before any crash.
void granite_walk_load(void) {
    void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    struct granite_unwinder unwinder = {
        .initialize = (int (*)(void *, void *, int))dlsym(library, SYMBOL(unw_init_local2)),
        .step = (int (*)(void *))dlsym(library, SYMBOL(unw_step)),
        .get_register = (int (*)(void *, int, uint64_t *))dlsym(library, SYMBOL(unw_get_reg)),
    };
    int (*set_caching_policy)(void *, int) = (int (*)(void *, int))dlsym(library, SYMBOL(unw_set_caching_policy));
    void **address_space = (void **)dlsym(library, SYMBOL(unw_local_addr_space));
    if (!unwinder.initialize || !unwinder.step || !unwinder.get_register || !set_caching_policy || !address_space)
        return;
    // The shared cache has a lock that a parked thread may hold, the one per thread would be allocated at first use: no
    // cache.
    set_caching_policy(*address_space, UNW_CACHE_NONE);
    granite_unwinder = unwinder;
    warm_up();
}
