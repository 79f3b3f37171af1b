// Finds the function that _Unwind_RaiseException would have been bound to: in the program's own scope, else in that of the library
// that throws, which was opened by dlopen(3) together with its unwinder.

#define _GNU_SOURCE
#include "throw_unwinder.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/// Libraries that throw, one entry for each place of theirs that raises: __cxa_throw, rust_panic.
enum { max_callers = 32 };

static struct {
    uintptr_t caller;  ///< 0 = not used yet; stored last, with release order
    struct granite_unwinder_functions functions;
} known[max_callers];
static uint32_t known_count;
static struct granite_unwinder_functions of_program;
static bool is_of_program;

/// Locks the dynamic linker. The library of `raise` stays loaded from now on.
static struct granite_unwinder_functions complete(void *raise) {
    struct granite_unwinder_functions functions = {.raise = (_Unwind_Reason_Code(*)(struct _Unwind_Exception *))raise};
    Dl_info library;
    if (!raise || dladdr(raise, &library) == 0) return functions;
    void *handle = dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    if (!handle || dlsym(handle, "_Unwind_RaiseException") != raise) return functions;
    functions.get_ip = (uintptr_t(*)(struct _Unwind_Context *))dlsym(handle, "_Unwind_GetIP");
    functions.get_cfa = (uintptr_t(*)(struct _Unwind_Context *))dlsym(handle, "_Unwind_GetCFA");
    if (functions.get_ip && functions.get_cfa)
        functions.backtrace = (_Unwind_Reason_Code(*)(_Unwind_Trace_Fn, void *))dlsym(handle, "_Unwind_Backtrace");
    return functions;
}

/// Locks the dynamic linker. A handle's scope is the library and what it needs: where a library that was opened by dlopen(3) has
/// its unwinder from.
static void *find(uintptr_t caller) {
    void *raise = dlsym(RTLD_NEXT, "_Unwind_RaiseException");
    Dl_info library;
    if (!raise && dladdr((void *)caller, &library) != 0) {
        void *handle = dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
        if (handle) {
            raise = dlsym(handle, "_Unwind_RaiseException");
            dlclose(handle);  // it is running, so it stays; complete() keeps the library of the unwinder
        }
        // A program that calls it has it in its own scope, where we come first.
        if (raise == (void *)&_Unwind_RaiseException) raise = NULL;
    }
    if (!raise) {
        void *handle = dlopen("libgcc_s.so.1", RTLD_LAZY | RTLD_NOLOAD);
        if (handle) raise = dlsym(handle, "_Unwind_RaiseException");
    }
    return raise;
}

/// Call before any throw.
void granite_throw_unwinder_load(void) {
    void *raise = dlsym(RTLD_NEXT, "_Unwind_RaiseException");
    if (!raise) {
        dlerror();  // what was not found is no error of the program's
        return;
    }
    of_program = complete(raise);
    __atomic_store_n(&is_of_program, true, __ATOMIC_RELEASE);
}

/// See the header. Keeps errno.
struct granite_unwinder_functions granite_throw_unwinder(uintptr_t caller) {
    if (__atomic_load_n(&is_of_program, __ATOMIC_ACQUIRE)) return of_program;
    for (uint32_t i = 0; i < max_callers; i++) {
        if (__atomic_load_n(&known[i].caller, __ATOMIC_ACQUIRE) == caller) return known[i].functions;
    }
    int saved_errno = errno;
    struct granite_unwinder_functions functions = complete(find(caller));
    dlerror();  // what was asked for in vain is no error of the program's
    errno = saved_errno;
    if (!functions.raise) return functions;
    if (__atomic_load_n(&known_count, __ATOMIC_RELAXED) >= max_callers) return functions;
    uint32_t index = __atomic_fetch_add(&known_count, 1, __ATOMIC_RELAXED);
    if (index < max_callers) {
        known[index].functions = functions;
        __atomic_store_n(&known[index].caller, caller, __ATOMIC_RELEASE);
    }
    return functions;
}
