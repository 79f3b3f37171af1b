// Makes crash pages and maps them. Separate from install.c because a child of fork(2) does so too, where nothing may
// allocate or lock.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core.h"

/// Async-signal-safe: getrlimit(2). ftruncate(2) beyond RLIMIT_FSIZE does not only fail: SIGXFSZ kills.
static bool may_make_whole_file(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur >= GRANITE_PAGE_FILE_SIZE;
}

/// Async-signal-safe: system calls.
int granite_capture_make_page(uint32_t level) {
    if (!may_make_whole_file()) {
        errno = EFBIG;
        return -1;
    }
    int fd = memfd_create("granite-crash-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    struct granite_crash_page *page = MAP_FAILED;
    if (ftruncate(fd, GRANITE_PAGE_FILE_SIZE) == 0) {
        page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (page == MAP_FAILED) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    page->magic = GRANITE_PAGE_MAGIC;
    page->version = GRANITE_PAGE_VERSION;
    page->header_size = sizeof *page;
    page->level = level;
    munmap(page, sizeof *page);
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return fd;
}

/// Async-signal-safe: getrlimit(2), mmap(2). Address space only, nothing is touched. Without it a process that closed
/// the page has no stacks in its report; one whose address space is limited needs all of it for itself.
static char *map_snapshot_area(int fd) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) return NULL;
    char *area = mmap(NULL, GRANITE_SNAPSHOT_CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                      GRANITE_SNAPSHOT_OFFSET);
    return area == MAP_FAILED ? NULL : area;
}

/// Async-signal-safe: fstat, mmap, munmap.
int granite_page_map(int fd, struct granite_crash_page *place) {
    struct stat status;
    if (fstat(fd, &status) != 0) return errno;
    if ((uint64_t)status.st_size < GRANITE_PAGE_FILE_SIZE) return EINVAL;
    // MAP_POPULATE: a store in a handler must not wait for memory. Most children of fork(2) call execve(2) at once, and
    // would pay for nothing.
    int flags = place ? MAP_SHARED : MAP_SHARED | MAP_POPULATE;
    struct granite_crash_page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (page == MAP_FAILED) return errno;
    if (page->magic != GRANITE_PAGE_MAGIC || page->version != GRANITE_PAGE_VERSION ||
        page->header_size != sizeof *page) {
        munmap(page, sizeof *page);
        return EPROTO;
    }
    if (place) {
        if (mremap(page, sizeof *page, sizeof *page, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
            int error = errno;
            munmap(page, sizeof *page);
            return error;
        }
        page = place;
    }
    granite_core.page = page;
    granite_core.page_fd = fd;
    granite_core.page_identity = granite_descriptor_identify(fd);
    granite_core.snapshot_area = map_snapshot_area(fd);
    return 0;
}
