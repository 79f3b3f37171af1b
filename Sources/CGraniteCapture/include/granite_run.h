// How a process under `granite-crash run` makes itself known. The preloaded library says hello to the guardian once a
// process image: after execve(2), and after a fork(2) that goes on without one. The guardian never answers.

#ifndef GRANITE_RUN_H
#define GRANITE_RUN_H

#include <stdint.h>

/// Environment of every process under capture: the guardian's socket, SOCK_SEQPACKET, `@name` for an abstract one
/// (unix(7)), else a path. The library leaves the process alone if it is unset or nobody listens.
#define GRANITE_RUN_SOCKET_VARIABLE "GRANITE_RUN_SOCKET"
/// "GRANRUN1" in memory order on a little-endian machine.
#define GRANITE_RUN_MAGIC 0x314e55524e415247ull
#define GRANITE_RUN_VERSION 1

enum granite_run_origin {
    GRANITE_RUN_EXEC = 1,  ///< the library was loaded with a new program
    GRANITE_RUN_FORK = 2,  ///< a child of fork(2)
};

/// One message on a connection of its own. SCM_RIGHTS brings two descriptors: the crash page (a memfd of
/// GRANITE_PAGE_FILE_SIZE bytes) and the collector's end of the memory socket (SOCK_SEQPACKET). The guardian takes the
/// pid from SO_PEERCRED, which cannot be forged, and closes the connection.
struct granite_run_hello {
    uint64_t magic;
    uint32_t version;
    uint32_t origin;     ///< enum granite_run_origin
    uint32_t pid;        ///< as the process sees it: its own pid namespace
    uint32_t parent_pid;
    uint64_t started_ns; ///< CLOCK_MONOTONIC
    char program[64];    ///< program_invocation_short_name, truncated, NUL-terminated
};

_Static_assert(sizeof(struct granite_run_hello) == 96, "hello layout");

#endif
