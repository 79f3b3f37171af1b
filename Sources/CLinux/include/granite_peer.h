// Who is at the other end of a Unix socket, and how a process ended that is nobody's child here.

#ifndef GRANITE_PEER_H
#define GRANITE_PEER_H

#include <sys/types.h>

/// The process that connected (SO_PEERCRED of unix(7)): its pid as it is seen from here, 0 if it is not, and its
/// effective user. 0, or -1 and errno.
int granite_peer_process(int socket, pid_t *_Nonnull pid, uid_t *_Nonnull user);

/// A pidfd of the process that connected (SO_PEERPIDFD): no other's, even if that has ended and its pid was given
/// away. -1 and errno where the kernel lacks it (before Linux 6.5), or the process was reaped.
int granite_peer_pidfd(int socket);

/// The wait status of a process that has ended, reaped or not (PIDFD_GET_INFO, since Linux 6.15). 1, or 0 if the
/// kernel does not tell.
int granite_pidfd_wait_status(int pidfd, int *_Nonnull wait_status);

/// Whether the descriptor is a file in memory (memfd_create(2)) of that size: reading it never waits. 1 or 0.
int granite_is_memory_file(int fd, off_t size);

/// Whether the descriptor is a connected Unix socket that keeps message borders (SOCK_SEQPACKET). 1 or 0.
int granite_is_message_socket(int fd);

#endif
