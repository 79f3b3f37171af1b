// What a loaded C++ library sees of the unwinder.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "crash_probe.h"

int granite_probe_throw_in(const char *library) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return -1;
    int (*probe)(void) = (int (*)(void))dlsym(handle, "probe");
    int value = probe ? probe() : -1;
    __asm__ volatile("" ::: "memory");  // keeps the call from becoming a jump
    return value;
}

int granite_probe_raise_binds_to_libgcc(const char *library) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return -1;
    // The library exports the address that it was bound to.
    void *(*address)(void) = (void *(*)(void))dlsym(handle, "raise_address");
    Dl_info information;
    if (!address || dladdr(address(), &information) == 0) return -1;
    return strstr(information.dli_fname, "libgcc_s") != NULL;
}
