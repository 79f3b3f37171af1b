// Speaks to the guardian: one connection, one message, no answer. Separate because a new child of fork(2) does it, too,
// where nothing may allocate or lock. A process in another network namespace finds no abstract name of ours, one in
// another root directory no path: they go on without a capture.

#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "preload.h"

/// Kept from the start: programs overwrite their environment to change their title in ps(1).
static struct sockaddr_un address;
static socklen_t address_length;

/// Call before any crash.
bool granite_hello_address(const char *text) {
    size_t length = strlen(text);
    if (length < 2 || length >= sizeof address.sun_path) return false;
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, text, length);
    bool abstract = text[0] == '@';
    if (abstract) address.sun_path[0] = 0;
    // An abstract name has no end but the length (unix(7)).
    address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
    return true;
}

/// Async-signal-safe: socket, setsockopt, connect (signal-safety(7)).
int granite_hello_connect(void) {
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0) return -1;
    // Waits only while the guardian's queue is full; one that hangs must not hang the program.
    struct timeval patience = {.tv_usec = 100000};
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    for (int attempt = 0; attempt < 4; attempt++) {
        if (connect(connection, (const struct sockaddr *)&address, address_length) == 0) return connection;
        if (errno != EINTR) break;
    }
    close(connection);
    return -1;
}

/// Async-signal-safe: clock_gettime, getpid, getppid, sendmsg (signal-safety(7)).
void granite_hello_send(int connection, enum granite_run_origin origin, int page_fd, int collector_end) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct granite_run_hello hello = {.magic = GRANITE_RUN_MAGIC,
                                      .version = GRANITE_RUN_VERSION,
                                      .origin = origin,
                                      .pid = (uint32_t)getpid(),
                                      .parent_pid = (uint32_t)getppid(),
                                      .started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec};
    const char *program = program_invocation_short_name;
    for (size_t i = 0; program && program[i] != 0 && i + 1 < sizeof hello.program; i++) hello.program[i] = program[i];

    int descriptors[2] = {page_fd, collector_end};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof descriptors)];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {&hello, sizeof hello};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof descriptors);
    memcpy(CMSG_DATA(rights), descriptors, sizeof descriptors);
    while (sendmsg(connection, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}
