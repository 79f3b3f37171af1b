// Takes the copy of the loaded modules' list that modules.c serves in a handler. Nothing here runs after a crash.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

#include "core.h"
#include "modules.h"

typedef int (*iterate_function)(granite_module_callback, void *);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/// Call before any crash: dlsym locks and may allocate.
int granite_modules_next(granite_module_callback callback, void *data) {
    static iterate_function next;
    iterate_function function = __atomic_load_n(&next, __ATOMIC_ACQUIRE);
    if (!function) {
        function = (iterate_function)dlsym(RTLD_NEXT, "dl_iterate_phdr");
        if (!function) return 0;
        __atomic_store_n(&next, function, __ATOMIC_RELEASE);
    }
    return function(callback, data);
}

/// Call before any crash. The first module tells the loader's counters (dl_iterate_phdr(3)); stops there unless
/// something changed.
static int keep_module(void *information, size_t size, void *data) {
    (void)size;
    struct granite_module_snapshot *snapshot = data;
    const struct dl_phdr_info *module = information;
    if (snapshot->count == 0) {
        const struct granite_module_snapshot *current = &granite_module_snapshots[granite_module_current & 1];
        if (current->count != 0 && current->loaded == module->dlpi_adds && current->unloaded == module->dlpi_subs)
            return 1;
        snapshot->loaded = module->dlpi_adds;
        snapshot->unloaded = module->dlpi_subs;
    }
    if (snapshot->count < granite_max_modules) snapshot->modules[snapshot->count++] = *module;
    return 0;
}

/// Call before any crash.
void granite_capture_refresh_modules(void) {
    pthread_mutex_lock(&lock);
    uint32_t other = (granite_module_current + 1) & 1;
    granite_module_snapshots[other].count = 0;
    if (granite_modules_next(keep_module, &granite_module_snapshots[other]) == 0) {
        __atomic_store_n(&granite_module_current, other, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lock);
}

/// Async-signal-safe: a store. Nobody else runs in a new child.
void granite_modules_forget_lock(void) { lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; }
