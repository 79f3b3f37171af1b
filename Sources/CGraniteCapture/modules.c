// dl_iterate_phdr for the whole process. libunwind calls it in the handler, where the C library's takes the loader's
// lock: a deadlock if the lock is held by a parked thread. While frozen it serves a copy made before the crash.

#define _GNU_SOURCE
#include "modules.h"

#include <link.h>

#include "core.h"
#include "sanitizer.h"

struct granite_module_snapshot granite_module_snapshots[2];
uint32_t granite_module_current;
static bool frozen;

/// Async-signal-safe: an atomic store.
void granite_modules_freeze(bool freeze) { __atomic_store_n(&frozen, freeze, __ATOMIC_RELEASE); }

/// Interposes dl_iterate_phdr(3). Async-signal-safe while frozen.
__attribute__((visibility("default"))) int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *),
                                                           void *data) {
    if (!__atomic_load_n(&frozen, __ATOMIC_ACQUIRE))
        return granite_modules_next((granite_module_callback)callback, data);
    uint32_t current = __atomic_load_n(&granite_module_current, __ATOMIC_ACQUIRE);
    const struct granite_module_snapshot *snapshot = &granite_module_snapshots[current & 1];
    for (uint32_t i = 0; i < snapshot->count; i++) {
        struct dl_phdr_info module = snapshot->modules[i];
        int result = callback(&module, sizeof module, data);
        if (result != 0) return result;
    }
    return 0;
}
