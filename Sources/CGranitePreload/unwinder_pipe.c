// Moves the pipe that libunwind tests memory with out of the program's way, by interposing pipe2(2). Left at the lowest
// free numbers it would change those of the program's own files, and a shell that redirects one of them would have
// libunwind read from a file of the program's.

#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

/// The code whose pipes are moved.
static uintptr_t start;
static uintptr_t size;

/// Interposes pipe2(2). As safe as it was: fcntl(2) and close(2) are in the list of signal-safety(7), and libunwind
/// makes its pipe anew in a handler if the program closed it.
__attribute__((visibility("default"))) int pipe2(int ends[2], int flags) {
    int result = (int)syscall(SYS_pipe2, ends, flags);
    if (result != 0 || (uintptr_t)__builtin_return_address(0) - start >= size) return result;
    for (int i = 0; i < 2; i++) ends[i] = granite_preload_raise(ends[i]);
    return result;
}

/// Call before any crash. Nobody but the core runs until the next call.
void granite_unwinder_pipe_begin(void) { size = UINTPTR_MAX; }

/// Call before any crash. Keeps the code of libunwind.
static int find_unwinder(struct dl_phdr_info *module, size_t length, void *unused) {
    (void)length, (void)unused;
    if (!module->dlpi_name || !strstr(module->dlpi_name, "/libunwind.so.")) return 0;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
        start = module->dlpi_addr + segment->p_vaddr;
        size = segment->p_memsz;
    }
    return 1;
}

/// Call before any crash.
void granite_unwinder_pipe_end(void) {
    size = 0;
    dl_iterate_phdr(find_unwinder, NULL);
}
