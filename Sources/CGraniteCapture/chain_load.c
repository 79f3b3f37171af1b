// Finds the code of abort(3), so that a handler can tell an abort from a mere raise(3).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "chain.h"

/// Call before any crash: dlsym and dladdr1 lock.
void granite_chain_load(void) {
    void *address = dlsym(RTLD_DEFAULT, "abort");
    Dl_info module;
    const ElfW(Sym) *symbol = NULL;
    if (!address || dladdr1(address, &module, (void **)&symbol, RTLD_DL_SYMENT) == 0 || !symbol) return;
    granite_abort_start = (uintptr_t)address;
    granite_abort_end = (uintptr_t)address + symbol->st_size + 1;  // it does not return: its last call may end it
}
