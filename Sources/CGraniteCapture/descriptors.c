// Whether our descriptors are still ours. A program that closes all it did not open (closefrom(3), os.closerange) closes
// the page and the memory socket, and may give their numbers to files of its own.

#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/stat.h>

#include "core.h"
#include "system.h"

/// Async-signal-safe: fstat (signal-safety(7)).
struct granite_descriptor granite_descriptor_identify(int descriptor) {
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0) return (struct granite_descriptor){0, 0};
    return (struct granite_descriptor){.device = status.st_dev, .inode = status.st_ino};
}

/// Async-signal-safe.
bool granite_descriptor_is(int descriptor, struct granite_descriptor expected) {
    struct granite_descriptor now = granite_descriptor_identify(descriptor);
    return now.inode != 0 && now.inode == expected.inode && now.device == expected.device;
}

/// Async-signal-safe: prlimit(2). RLIMIT_FSIZE: a write beyond it raises SIGXFSZ, which would be what the process dies of.
static bool may_write_whole_file(void) {
    struct rlimit64 limit;
    if (syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) != 0) return true;
    return limit.rlim_cur >= GRANITE_PAGE_FILE_SIZE;
}

/// Async-signal-safe.
void granite_descriptors_check(void) {
    granite_core.page_is_writable =
        granite_descriptor_is(granite_core.page_fd, granite_core.page_identity) && may_write_whole_file();
    granite_core.socket_is_usable = granite_descriptor_is(granite_core.memory_socket, granite_core.socket_identity);
}
