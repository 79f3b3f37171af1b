// The copies of the loaded modules' list: written before a crash, read in the handler.

#ifndef GRANITE_MODULES_H
#define GRANITE_MODULES_H

#include <link.h>
#include <stdint.h>

enum { granite_max_modules = 1024 };

struct granite_module_snapshot {
    uint32_t count;
    unsigned long long loaded;    ///< dlpi_adds when it was taken
    unsigned long long unloaded;  ///< dlpi_subs
    struct dl_phdr_info modules[granite_max_modules];
};

/// Two, so that one is whole while the other is written; granite_module_current tells which.
extern struct granite_module_snapshot granite_module_snapshots[2] __attribute__((visibility("hidden")));
extern uint32_t granite_module_current __attribute__((visibility("hidden")));

#endif
