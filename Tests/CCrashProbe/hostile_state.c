// Hostile states of the process: see hostile_probe.h.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_probe.h"
#include "hostile_probe.h"

#define KEPT __attribute__((noinline))
#define STAY __asm__ volatile("")  // keeps a call from becoming a jump

static void *volatile sink;

/// A free chunk whose neighbour in the list of the arena is at address 16: malloc faults as it takes it out.
static void break_unsorted_list(void) {
    void **volatile chunk = malloc(2000);
    sink = malloc(2000);
    free((void *)chunk);
    chunk[1] = (void *)16;
}

KEPT int granite_hostile_fault_in_malloc(void) {
    if (granite_probe_sleepers(1) != 0) return 70;  // with one thread alone malloc takes no lock
    break_unsorted_list();
    sink = malloc(3000);
    STAY;
    return 0;
}

static volatile int may_allocate;

static void *allocate_when_told(void *unused) {
    while (!may_allocate) sched_yield();
    sink = malloc(5000);
    return unused;
}

KEPT int granite_hostile_fault_in_contended_malloc(void) {
    mallopt(M_ARENA_MAX, 1);
    pthread_t thread;
    if (pthread_create(&thread, NULL, allocate_when_told, NULL) != 0) return 70;
    break_unsorted_list();
    may_allocate = 1;
    sink = malloc(3000);
    STAY;
    return 0;
}

KEPT int granite_hostile_abort_in_malloc(void) {
    if (granite_probe_sleepers(1) != 0) return 70;
    // The last chunk's neighbour is the arena's top: its size says more than the arena has.
    void *volatile last = malloc(100000);
    size_t usable = malloc_usable_size(last);
    *(size_t *)((char *)last + usable) = SIZE_MAX & ~(size_t)7;
    sink = malloc(120000);
    STAY;
    return 0;
}

static void *open_library(void *library) {
    sched_yield();
    return dlopen(library, RTLD_NOW);
}

KEPT int granite_hostile_dlopen(const char *library) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, open_library, (void *)library) != 0) return 70;
    dlopen(library, RTLD_NOW);
    fprintf(stderr, "%s\n", dlerror());
    pthread_join(thread, NULL);
    return 71;
}

static void fault_in_handler(int signal) {
    (void)signal;
    granite_probe_null_read();
    STAY;
}

static void abort_in_handler(int signal) {
    (void)signal;
    granite_probe_abort();
    STAY;
}

static KEPT int raise_with(void (*handler)(int), int flags) {
    struct sigaction action = {.sa_flags = flags};
    action.sa_handler = handler;
    sigfillset(&action.sa_mask);
    if (sigaction(SIGUSR1, &action, NULL) != 0) return 70;
    raise(SIGUSR1);
    STAY;
    return 0;
}

KEPT int granite_hostile_fault_in_handler(int flags) {
    int result = raise_with(fault_in_handler, flags);
    STAY;
    return result;
}

KEPT int granite_hostile_abort_in_masked_handler(void) {
    int result = raise_with(abort_in_handler, 0);
    STAY;
    return result;
}

KEPT int granite_hostile_crash_after_fork(void) {
    if (granite_probe_crash_in_fork() != SIGSEGV) return 70;
    int result = granite_probe_null_write();
    STAY;
    return result;
}

static KEPT void crash_at_exit(void) {
    granite_probe_null_read();
    STAY;
}

int granite_hostile_crash_at_exit(void) { return atexit(crash_at_exit); }

static pthread_barrier_t start_line;

static void *end_somehow(void *number) {
    static int (*const ends[])(void) = {granite_probe_null_read, granite_probe_bus, granite_probe_abort,
                                        granite_probe_null_write, granite_probe_trap};
    pthread_barrier_wait(&start_line);
    ends[(uintptr_t)number % 5]();
    return NULL;
}

int granite_hostile_many_at_once(int count) {
    pthread_barrier_init(&start_line, NULL, (unsigned)count);
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, end_somehow, (void *)(uintptr_t)i) != 0) return 70;
    }
    for (;;) pause();
}

KEPT int granite_hostile_fault_with_all_blocked(void) {
    sigset_t all;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, NULL) != 0 || sigprocmask(SIG_BLOCK, &all, NULL) != 0) return 70;
    int result = granite_probe_null_read();
    STAY;
    return result;
}

KEPT int granite_hostile_fault_with_all_blocked_raw(void) {
    uint64_t all = UINT64_MAX;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    int result = granite_probe_null_read();
    STAY;
    return result;
}

KEPT int granite_hostile_fault_without_descriptors(void) {
    if (granite_probe_sleepers(3) != 0) return 70;
    closefrom(3);
    int result = granite_probe_null_read();
    STAY;
    return result;
}

KEPT int granite_hostile_fault_with_other_descriptors(const char *path) {
    int file = open(path, O_RDWR);
    if (file < 0 || dup2(file, 10) < 0 || dup2(file, 11) < 0) return 70;
    int result = granite_probe_null_read();
    STAY;
    return result;
}

static size_t address_space_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (file && fscanf(file, "%lu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

KEPT int granite_hostile_fault_at_address_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = address_space_bytes() + (150 << 10);  // a stack of 128 KiB fits, 72 KiB more do not
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 70;
    int result = granite_probe_on_thread(128 << 10, granite_probe_null_read);
    STAY;
    return result == -1 ? 71 : result;
}

KEPT int granite_hostile_fault_at_file_limit(void) {
    struct rlimit none = {0, RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &none) != 0) return 70;
    int result = granite_probe_null_read();
    STAY;
    return result;
}

static void fault_there(void) {
    granite_probe_null_read();
    STAY;
}

static void overflow_there(void) {
    granite_probe_overflow(0);
    STAY;
}

KEPT int granite_hostile_fault_on_coroutine(void) {
    granite_probe_on_foreign_stack(fault_there);
    STAY;
    return 0;
}

KEPT int granite_hostile_overflow_on_coroutine(void) {
    granite_probe_on_foreign_stack(overflow_there);
    STAY;
    return 0;
}

KEPT int granite_hostile_wild_stack_pointer(void) {
#if defined(__x86_64__)
    __asm__ volatile("movq $0x12345678, %%rsp\n\tpushq %%rax" ::: "memory");
#else
    __asm__ volatile("mov x0, #0x5678\n\tmov sp, x0\n\tstr x0, [sp, #-16]!" ::: "x0", "memory");
#endif
    return 0;
}

KEPT int granite_hostile_overflow_without_alternate_stack(void) {
    stack_t off = {.ss_flags = SS_DISABLE};
    if (sigaltstack(&off, NULL) != 0) return 70;
    int result = granite_probe_overflow(0);
    STAY;
    return result;
}

/// An alternate stack with this much more than a signal frame needs. Returns 0 or an exit status.
static int take_small_alternate_stack(size_t more) {
    size_t size = getauxval(51 /* AT_MINSIGSTKSZ */) + more;
    stack_t small = {.ss_size = size};
    // A page below that may not be touched shows who needs more.
    char *memory = mmap(NULL, (size + 8191) & ~(size_t)4095, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, 4096, PROT_NONE) != 0) return 70;
    small.ss_sp = memory + 4096;
    return sigaltstack(&small, NULL) != 0 ? 71 : 0;
}

KEPT int granite_hostile_overflow_with_small_alternate_stack(void) {
    int error = take_small_alternate_stack(4096);
    if (error != 0) return error;
    int result = granite_probe_overflow(0);
    STAY;
    return result;
}

KEPT int granite_hostile_dump_with_small_alternate_stack(uint64_t word) {
    enum { more = 2048 };
    int error = take_small_alternate_stack(more);
    if (error != 0) return error;
    siginfo_t information;
    memset(&information, 0, sizeof information);
    information.si_code = SI_QUEUE;
    information.si_pid = getpid();
    information.si_uid = getuid();
    information.si_value.sival_ptr = (void *)(uintptr_t)word;
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMAX - 4, &information) != 0) return 72;
    stack_t now;
    STAY;
    return sigaltstack(NULL, &now) == 0 && now.ss_size == getauxval(51) + more ? 0 : 73;
}

static int fault_in_clone(void *unused) {
    (void)unused;
    granite_probe_null_read();
    STAY;
    return 0;
}

KEPT int granite_hostile_fault_in_clone(void) {
    enum { size = 256 << 10 };
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return 70;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    if (clone(fault_in_clone, stack + size, flags, NULL) < 0) return 71;
    for (;;) pause();
}

static volatile int errno_watched, errno_changed;

static void *watch_errno(void *stop) {
    errno = 4321;
    while (!*(volatile int *)stop) {
        errno_watched = 1;
        if (errno != 4321) errno_changed = 1;
    }
    return NULL;
}

int granite_hostile_errno_is_kept(void (*capture)(void)) {
    static volatile int stop;
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch_errno, (void *)&stop) != 0) return 70;
    while (!errno_watched) sched_yield();
    errno = 1234;
    capture();
    int kept = errno == 1234;
    stop = 1;
    pthread_join(thread, NULL);
    return kept && !errno_changed ? 0 : 1;
}

int granite_hostile_allocate_as_in_capture(void) {
    sigset_t all;
    sigfillset(&all);
    // The signals of faults stay open, as in the handler: the wrapper sees to it.
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    sink = malloc(10);
    return 0;
}

int granite_hostile_python(const char *library_and_script) {
    const char *newline = strchr(library_and_script, '\n');
    if (!newline) return 70;
    char library[1024];
    snprintf(library, sizeof library, "%.*s", (int)(newline - library_and_script), library_and_script);
    void *python = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    if (!python) return 71;
    void (*initialize)(int) = (void (*)(int))dlsym(python, "Py_InitializeEx");
    int (*run)(const char *, void *) = (int (*)(const char *, void *))dlsym(python, "PyRun_SimpleStringFlags");
    int (*finalize)(void) = (int (*)(void))dlsym(python, "Py_FinalizeEx");
    if (!initialize || !run || !finalize) return 72;
    initialize(0);
    if (run(newline + 1, NULL) != 0) return 73;
    return finalize();
}
