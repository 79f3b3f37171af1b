// Linux system calls that the Glibc module does not show to Swift.

#define _GNU_SOURCE
#include "granite_linux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { max_descriptors = 4 };

int granite_memfd_create(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }

int granite_memfd_seal(int fd) { return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL); }

int granite_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int granite_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int granite_queue_to_thread(pid_t process, pid_t thread, int signal, uint64_t value) {
    siginfo_t information;
    memset(&information, 0, sizeof information);
    information.si_signo = signal;
    information.si_code = SI_QUEUE;
    information.si_pid = getpid();
    information.si_uid = getuid();
    information.si_value.sival_ptr = (void *)(uintptr_t)value;
    return (int)syscall(SYS_rt_tgsigqueueinfo, process, thread, signal, &information);
}

int64_t granite_peer_user(int socket) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? (int64_t)peer.uid : -1;
}

int granite_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int granite_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t timeout_ns) {
    if (timeout_ns < 0) return epoll_wait(epoll, events, capacity, -1);
    if (timeout_ns == 0) return epoll_wait(epoll, events, capacity, 0);
    struct timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    long ready = syscall(SYS_epoll_pwait2, epoll, events, capacity, &limit, NULL, 0);
    if (ready >= 0 || errno != ENOSYS) return (int)ready;
    return epoll_wait(epoll, events, capacity, (int)((timeout_ns + 999999) / 1000000));
}

int granite_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

char **granite_environment(void) { return environ; }

int granite_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

int granite_usable_processors(void) {
    // More processors than cpu_set_t has bits are EINVAL: then the answer is unknown, not wrong.
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

pid_t granite_gettid(void) { return (pid_t)syscall(SYS_gettid); }

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t granite_monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t granite_realtime_ns(void) { return clock_ns(CLOCK_REALTIME); }

void granite_futex_wait(const uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void granite_futex_wake(const uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

ssize_t granite_send_with_descriptors(int socket, const void *bytes, size_t length, const int *descriptors, int count) {
    if (count < 0 || count > max_descriptors) {
        errno = EINVAL;
        return -1;
    }
    union {
        char bytes[CMSG_SPACE(max_descriptors * sizeof(int))];
        struct cmsghdr alignment;
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, (size_t)count * sizeof(int));
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t granite_receive_with_descriptors(int socket, void *bytes, size_t capacity, int *descriptors, int *count) {
    union {
        char bytes[CMSG_SPACE(max_descriptors * sizeof(int))];
        struct cmsghdr alignment;
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t received;
    do received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    *count = 0;
    if (received < 0) return received;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t bytes_of_descriptors = header->cmsg_len - CMSG_LEN(0);
        *count = (int)(bytes_of_descriptors / sizeof(int));
        memcpy(descriptors, CMSG_DATA(header), bytes_of_descriptors);
    }
    if (message.msg_flags & MSG_TRUNC) {
        for (int i = 0; i < *count; i++) close(descriptors[i]);
        *count = 0;
        errno = EMSGSIZE;
        return -1;
    }
    return received;
}

int granite_accept_peer(int fd, char *text, uint16_t *port) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } peer;
    socklen_t length = sizeof peer;
    text[0] = 0;
    *port = 0;
    int connection = accept4(fd, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection < 0) return connection;
    if (peer.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &peer.v4.sin_addr, text, GRANITE_ADDRESS_CAPACITY);
        *port = ntohs(peer.v4.sin_port);
    } else if (peer.any.sa_family == AF_INET6) {
        if (IN6_IS_ADDR_V4MAPPED(&peer.v6.sin6_addr))
            inet_ntop(AF_INET, &peer.v6.sin6_addr.s6_addr[12], text, GRANITE_ADDRESS_CAPACITY);
        else
            inet_ntop(AF_INET6, &peer.v6.sin6_addr, text, GRANITE_ADDRESS_CAPACITY);
        *port = ntohs(peer.v6.sin6_port);
    }
    return connection;
}

int granite_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int granite_epoll_add(int epoll, int fd, uint32_t events, const void *data) {
    struct epoll_event event = {.events = events, .data.ptr = (void *)data};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int granite_epoll_remove(int epoll, int fd) {
    struct epoll_event ignored = {0};
    return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &ignored);
}

ssize_t granite_send_two(int socket, const void *first, size_t first_length, const void *second, size_t second_length) {
    struct iovec parts[2] = {{(void *)first, first_length}, {(void *)second, second_length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t granite_send_file(int socket, int file, int64_t offset, size_t length) {
    off_t position = offset;
    ssize_t sent;
    do sent = sendfile(socket, file, &position, length);
    while (sent < 0 && errno == EINTR);
    return sent;
}

int granite_temporary_file(const char *directory) {
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/granite-body-XXXXXX", directory) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    return fd;
}

int granite_wait_writable(int fd, int timeout_ms) {
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    return poll(&one, 1, timeout_ms);
}

struct granite_semaphore {
    sem_t value;
};

granite_semaphore *granite_semaphore_create(void) {
    granite_semaphore *semaphore = malloc(sizeof *semaphore);
    if (!semaphore) abort();
    sem_init(&semaphore->value, 0, 0);
    return semaphore;
}

void granite_semaphore_destroy(granite_semaphore *semaphore) {
    sem_destroy(&semaphore->value);
    free(semaphore);
}

void granite_semaphore_post(granite_semaphore *semaphore) { sem_post(&semaphore->value); }

void granite_semaphore_wait(granite_semaphore *semaphore) {
    while (sem_wait(&semaphore->value) < 0 && errno == EINTR) continue;
}

int granite_semaphore_wait_for(granite_semaphore *semaphore, int64_t timeout_ns) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ns / 1000000000;
    until.tv_nsec += timeout_ns % 1000000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int result;
    do result = sem_clockwait(&semaphore->value, CLOCK_MONOTONIC, &until);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

struct thread_start {
    void (*body)(void *);
    void *argument;
};

static void *run_thread(void *pointer) {
    struct thread_start start = *(struct thread_start *)pointer;
    free(pointer);
    start.body(start.argument);
    return NULL;
}

int granite_thread_start(unsigned long *thread, const char *name, void (*body)(void *), void *argument) {
    static const int elsewhere[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM, SIGWINCH, SIGPIPE};
    struct thread_start *start = malloc(sizeof *start);
    if (!start) return ENOMEM;
    *start = (struct thread_start){body, argument};
    sigset_t blocked, before;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) sigaddset(&blocked, elsewhere[i]);
    // The mask is inherited: block before, restore after, so that no signal can reach the new thread in between.
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int error = pthread_create(thread, NULL, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        free(start);
        return error;
    }
    pthread_setname_np(*thread, name);
    return 0;
}

void granite_thread_join(unsigned long thread) { pthread_join(thread, NULL); }
