// Threads for the probe: asleep in libc, deaf to signals, inside the loader, or faulting together.

#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "crash_probe.h"

struct job {
    int (*body)(void);
    int result;
};

static void *run_job(void *value) {
    struct job *job = value;
    job->result = job->body();
    return NULL;
}

int granite_probe_on_thread(size_t stack_bytes, int (*body)(void)) {
    struct job job = {.body = body};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    if (pthread_create(&thread, &attributes, run_job, &job) != 0) return -1;
    pthread_join(thread, NULL);
    return job.result;
}

static sem_t begun;
static int silent_pipe[2];
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((noinline)) void sleep_for_ever(uintptr_t kind) {
    struct timespec hour = {3600, 0};
    char byte;
    for (;;) {
        switch (kind % 4) {
            case 0:
                nanosleep(&hour, NULL);
                break;
            case 1:
                pthread_mutex_lock(&held);
                break;
            case 2:
                (void)!read(silent_pipe[0], &byte, 1);
                break;
            default:
                pause();
                break;
        }
    }
}

static void *sleeper(void *kind) {
    pthread_setname_np(pthread_self(), "sleeper");
    sem_post(&begun);
    sleep_for_ever((uintptr_t)kind);
    return NULL;
}

int granite_probe_sleepers(int count) {
    sem_init(&begun, 0, 0);
    pthread_mutex_lock(&held);
    if (pipe(silent_pipe) != 0) return -1;
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, sleeper, (void *)(uintptr_t)i) != 0) return -1;
    }
    for (int i = 0; i < count; i++) sem_wait(&begun);
    return 0;
}

void granite_probe_forbid_queued_signals(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_SIGPENDING, &none);
}

static void *deaf(void *open) {
    uint64_t mask = UINT64_MAX;
    if (open) mask &= ~(1ull << ((uintptr_t)open - 1));
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    sem_post(&begun);
    sleep_for_ever(3);
    return NULL;
}

int granite_probe_deaf_thread(int open) {
    pthread_t thread;
    sem_init(&begun, 0, 0);
    if (pthread_create(&thread, NULL, deaf, (void *)(uintptr_t)open) != 0) return -1;
    sem_wait(&begun);
    return 0;
}

static void take_sample(int signal) { (void)signal; }

void granite_probe_default_profile_signal(void) { signal(SIGPROF, SIG_DFL); }

void granite_probe_take_profile_signal(void) { signal(SIGPROF, take_sample); }

int granite_probe_has_profile_signal(void) {
    struct sigaction action;
    return sigaction(SIGPROF, NULL, &action) == 0 && action.sa_handler == take_sample;
}

static int stay_in_callback(struct dl_phdr_info *information, size_t size, void *data) {
    (void)information;
    (void)size;
    (void)data;
    sem_post(&begun);
    sleep_for_ever(3);
    return 0;
}

static void *hold_loader(void *unused) {
    (void)unused;
    dl_iterate_phdr(stay_in_callback, NULL);
    return NULL;
}

int granite_probe_use_all_descriptors(void) {
    while (dup(0) >= 0) {
    }
    return 0;
}

int granite_probe_hold_dl_iterate_phdr(void) {
    pthread_t thread;
    sem_init(&begun, 0, 0);
    if (pthread_create(&thread, NULL, hold_loader, NULL) != 0) return -1;
    sem_wait(&begun);
    return 0;
}

static pthread_barrier_t start_line;

static void *fault_at_start(void *unused) {
    (void)unused;
    pthread_barrier_wait(&start_line);
    granite_probe_null_read();
    return NULL;
}

int granite_probe_two_at_once(void) {
    pthread_t threads[2];
    pthread_barrier_init(&start_line, NULL, 2);
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, fault_at_start, NULL);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    return 0;
}

static void *fault_when_set(void *word) {
    uint64_t all_but_segv = ~(1ull << (SIGSEGV - 1));
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all_but_segv, NULL, sizeof all_but_segv);
    sem_post(&begun);
    while (__atomic_load_n((const uint64_t *)word, __ATOMIC_ACQUIRE) == 0) sched_yield();
    granite_probe_null_read();
    return NULL;
}

int granite_probe_fault_when_set(const uint64_t *word) {
    pthread_t thread;
    sem_init(&begun, 0, 0);
    if (pthread_create(&thread, NULL, fault_when_set, (void *)word) != 0) return -1;
    sem_wait(&begun);
    return 0;
}
