// Linux system calls that the Glibc module does not show to Swift. Thin: each returns what the kernel returns, with errno.

#ifndef GRANITE_LINUX_H
#define GRANITE_LINUX_H

#include <stddef.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

/// memfd_create(2) with MFD_CLOEXEC | MFD_ALLOW_SEALING. -1 and errno on failure.
int granite_memfd_create(const char *_Nonnull name);
/// Seals a memfd against shrinking, growing and further sealing (fcntl(2) F_ADD_SEALS).
int granite_memfd_seal(int fd);
/// pidfd_open(2); the descriptor is close-on-exec and becomes readable when the process ends.
int granite_pidfd_open(pid_t pid);
/// accept4(2) with SOCK_NONBLOCK | SOCK_CLOEXEC; the address is not wanted.
int granite_accept(int fd);
/// epoll_pwait2(2) with a time-out in nanoseconds; negative waits without limit. Falls back to epoll_wait (rounding up to a
/// millisecond) where the kernel lacks it.
int granite_epoll_wait(int epoll, struct epoll_event *_Nonnull events, int capacity, int64_t timeout_ns);
/// eventfd(2) with EFD_CLOEXEC | EFD_NONBLOCK.
int granite_eventfd(void);
/// environ(7): NAME=value strings, NULL-terminated. Read it before any thread may change the environment.
char *_Nullable *_Nonnull granite_environment(void);
/// posix_spawn_file_actions_addclosefrom_np(3): the child has no descriptor from `first` on. Returns an errno value.
int granite_spawn_close_from(posix_spawn_file_actions_t *_Nonnull actions, int first);
/// How many processors the calling thread may run on (sched_getaffinity(2)); 0 if that cannot be found out.
int granite_usable_processors(void);
/// gettid(2).
pid_t granite_gettid(void);
/// CLOCK_MONOTONIC in nanoseconds, by the vdso: no system call.
uint64_t granite_monotonic_ns(void);
/// CLOCK_REALTIME in nanoseconds, by the vdso: no system call.
uint64_t granite_realtime_ns(void);
/// futex(2) FUTEX_WAIT_PRIVATE: sleeps while *word == expected.
void granite_futex_wait(const uint32_t *_Nonnull word, uint32_t expected);
/// futex(2) FUTEX_WAKE_PRIVATE: wakes one sleeper.
void granite_futex_wake(const uint32_t *_Nonnull word);
/// sendmsg(2) of one message with up to 4 descriptors (SCM_RIGHTS), MSG_NOSIGNAL. -1 and errno on failure.
ssize_t granite_send_with_descriptors(int socket, const void *_Nonnull bytes, size_t length, const int *_Nullable descriptors,
                                      int count);
/// recvmsg(2) of one message with MSG_CMSG_CLOEXEC; at most 4 descriptors are stored and their number in *count.
/// 0 = the peer closed; -1 and errno on failure; EMSGSIZE if the message did not fit.
ssize_t granite_receive_with_descriptors(int socket, void *_Nonnull bytes, size_t capacity, int *_Nonnull descriptors,
                                         int *_Nonnull count);

#endif
