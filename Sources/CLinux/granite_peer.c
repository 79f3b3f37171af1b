// Who is at the other end of a Unix socket, and how a process ended that is nobody's child here.

#define _GNU_SOURCE
#include "granite_peer.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/// <asm-generic/socket.h>, which is older than the kernel here and there.
enum { so_peerpidfd = 77 };

int granite_peer_process(int socket, pid_t *pid, uid_t *user) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -1;
    *pid = peer.pid;
    *user = peer.uid;
    return 0;
}

int granite_peer_pidfd(int socket) {
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    return getsockopt(socket, SOL_SOCKET, so_peerpidfd, &pidfd, &size) < 0 ? -1 : pidfd;
}

/// struct pidfd_info of <linux/pidfd.h>, its first version.
struct information {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
enum { tells_exit = 1 << 3 };

int granite_pidfd_wait_status(int pidfd, int *wait_status) {
    struct information information;
    memset(&information, 0, sizeof information);
    information.mask = tells_exit;
    if (ioctl(pidfd, _IOWR(0xFF, 11, struct information), &information) < 0) return 0;
    if (!(information.mask & tells_exit)) return 0;
    *wait_status = information.exit_code;
    return 1;
}

int granite_is_memory_file(int fd, off_t size) {
    struct stat status;
    // Only files in memory can be sealed.
    return fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == size;
}

int granite_is_message_socket(int fd) {
    int domain = 0, type = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_UNIX) return 0;
    size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}
