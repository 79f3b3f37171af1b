// A thread in each system call that waits. Whatever comes back is said on standard output; on SIGUSR1 all are
// interrupted.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void said(const char *what, long result) {
    char line[100];
    const char *how = result < 0 && errno == EINTR ? "interrupted" : "came back";
    int length = snprintf(line, sizeof line, "%s: %s\n", what, how);
    if (write(1, line, length) < 0) _exit(1);
}

static void *epoll_forever(void *argument) {
    struct epoll_event event;
    said("epoll_wait", epoll_wait(epoll_create1(0), &event, 1, -1));
    return argument;
}
static void *epoll_timed(void *argument) {
    struct epoll_event event;
    said("epoll_wait with a time-out", epoll_wait(epoll_create1(0), &event, 1, 170000));
    return argument;
}
static void *epoll_masked(void *argument) {
    struct epoll_event event;
    said("epoll_pwait", epoll_pwait(epoll_create1(0), &event, 1, -1, 0));
    return argument;
}
static void *poll_timed(void *argument) {
    said("poll", poll(0, 0, 170000));
    return argument;
}
static void *ppoll_timed(void *argument) {
    struct timespec limit = {170, 0};
    said("ppoll", ppoll(0, 0, &limit, 0));
    return argument;
}
static void *sleeping(void *argument) {
    struct timespec limit = {170, 0};
    said("nanosleep", nanosleep(&limit, 0));
    return argument;
}
static void *selecting(void *argument) {
    struct timeval limit = {170, 0};
    said("select", select(0, 0, 0, 0, &limit));
    return argument;
}
static void *semaphore_timed(void *argument) {
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 170;
    said("sem_timedwait", sem_timedwait(&semaphore, &limit));
    return argument;
}
static void *semaphore_forever(void *argument) {
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    said("sem_wait", sem_wait(&semaphore));
    return argument;
}
static void *futex_timed(void *argument) {
    int word = 0;
    struct timespec limit = {170, 0};
    said("futex", syscall(SYS_futex, &word, FUTEX_WAIT, 0, &limit, 0, 0));
    return argument;
}
static void *reading(void *argument) {
    int ends[2];
    char byte;
    said("read", pipe(ends) ? 0 : read(ends[0], &byte, 1));
    return argument;
}
static int set;
static void *semop_forever(void *argument) {
    struct sembuf take = {0, -1, 0};
    said("semop", semop(set, &take, 1));
    return argument;
}

static void noted(int signal) { (void)signal; }

int main(void) {
    void *(*const waits[])(void *) = {
        epoll_forever, epoll_timed,     epoll_masked,      poll_timed,  ppoll_timed, sleeping,
        selecting,     semaphore_timed, semaphore_forever, futex_timed, reading,     semop_forever,
    };
    enum { count = sizeof waits / sizeof *waits };
    pthread_t threads[count];
    alarm(180);
    set = semget(IPC_PRIVATE, 1, 0600);
    struct sigaction action = {.sa_handler = noted};
    sigaction(SIGUSR2, &action, 0);
    sigset_t asked;
    sigemptyset(&asked);
    pthread_sigmask(SIG_SETMASK, &asked, 0);  // whoever starts this may have blocked anything
    sigaddset(&asked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &asked, 0);
    for (int i = 0; i < count; i++) pthread_create(&threads[i], 0, waits[i], 0);
    // All wait when the state of each says so.
    for (int asleep = 0, i = 0; asleep < count && i < 20000; i++, usleep(1000)) {
        asleep = 0;
        DIR *tasks = opendir("/proc/self/task");
        for (struct dirent *task; tasks && (task = readdir(tasks));) {
            char path[300], text[256];
            snprintf(path, sizeof path, "/proc/self/task/%s/stat", task->d_name);
            FILE *file = fopen(path, "r");
            if (!file) continue;
            if (fgets(text, sizeof text, file) && strstr(text, ") S ")) asleep++;
            fclose(file);
        }
        if (tasks) closedir(tasks);
    }
    if (write(1, "ready\n", 6) < 0) return 1;
    int signal;
    sigwait(&asked, &signal);
    for (int i = 0; i < count; i++) pthread_kill(threads[i], SIGUSR2);
    semctl(set, 0, IPC_RMID);
    for (;;) pause();
}
