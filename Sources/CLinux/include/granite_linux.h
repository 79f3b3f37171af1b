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
/// pidfd_send_signal(2): reaches the process that the descriptor was opened for or none. 0, or -1 and errno (ESRCH once it was reaped).
int granite_pidfd_send_signal(int pidfd, int signal);
/// rt_tgsigqueueinfo(2) with SI_QUEUE: `signal` with `value` to one thread of another process. 0, or -1 and errno: ESRCH without such a
/// thread, EPERM for a process of another user, EAGAIN when its queue of signals is full.
int granite_queue_to_thread(pid_t process, pid_t thread, int signal, uint64_t value);
/// The user of a Unix socket's peer when it connected (SO_PEERCRED of unix(7)); -1 and errno on failure.
int64_t granite_peer_user(int socket);
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
/// accept4(2) with SOCK_NONBLOCK | SOCK_CLOEXEC, and who connected: the address as text without port ("127.0.0.1", "::1", an
/// IPv4-mapped address as IPv4; "" on a Unix socket) into `text` (GRANITE_ADDRESS_CAPACITY bytes), its port (0 on a Unix socket).
int granite_accept_peer(int fd, char *_Nonnull text, uint16_t *_Nonnull port);
enum { GRANITE_ADDRESS_CAPACITY = 64 };
/// epoll_create1(2), close-on-exec.
int granite_epoll_create(void);
/// epoll_ctl(2) EPOLL_CTL_ADD with a pointer as the event's data. 0, or -1 and errno.
int granite_epoll_add(int epoll, int fd, uint32_t events, const void *_Nullable data);
/// epoll_ctl(2) EPOLL_CTL_DEL.
int granite_epoll_remove(int epoll, int fd);
/// sendmsg(2) of two parts in one call, MSG_NOSIGNAL | MSG_DONTWAIT; EINTR is retried. -1 and errno on failure.
ssize_t granite_send_two(int socket, const void *_Nullable first, size_t first_length, const void *_Nullable second,
                         size_t second_length);
/// sendfile(2) from an offset, without moving the descriptor's own; EINTR is retried. 0 = the file ended; -1 and errno on failure.
ssize_t granite_send_file(int socket, int file, int64_t offset, size_t length);
/// An unlinked file in `directory` for reading and writing: O_TMPFILE, or mkstemp(3) and unlink(2) where the file system lacks it.
int granite_temporary_file(const char *_Nonnull directory);
/// poll(2) of one descriptor for writing. 1 = writable or broken (a write tells which), 0 = timed out, -1 and errno (EINTR not retried).
int granite_wait_writable(int fd, int timeout_ms);
/// A counting semaphore; never freed by anybody but granite_semaphore_destroy.
typedef struct granite_semaphore granite_semaphore;
granite_semaphore *_Nonnull granite_semaphore_create(void);
void granite_semaphore_destroy(granite_semaphore *_Nonnull semaphore);
/// sem_post(3). Async-signal-safe.
void granite_semaphore_post(granite_semaphore *_Nonnull semaphore);
/// sem_wait(3), EINTR retried.
void granite_semaphore_wait(granite_semaphore *_Nonnull semaphore);
/// sem_clockwait(3) on the monotonic clock, EINTR retried. 1 = posted, 0 = timed out.
int granite_semaphore_wait_for(granite_semaphore *_Nonnull semaphore, int64_t timeout_ns);
/// Starts a joinable thread with a name of at most 15 bytes and the signals blocked that a process handles on its main thread (INT, TERM,
/// HUP, QUIT, USR1, USR2, CHLD, ALRM, WINCH, PIPE): those of a crash stay open. 0 or an errno.
int granite_thread_start(unsigned long *_Nonnull thread, const char *_Nonnull name, void (*_Nonnull body)(void *_Nullable),
                         void *_Nullable argument);
/// pthread_join(3).
void granite_thread_join(unsigned long thread);

#endif
