// Crashes that Swift cannot make. Every function is kept out of line and does something after its call, so that its
// frame stays.

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "crash_probe.h"

#define KEPT __attribute__((noinline))
/// After a call: keeps it from becoming a jump.
#define STAY __asm__ volatile("" ::: "memory")

KEPT int granite_probe_null_read(void) {
    int *volatile address = NULL;
    int value = *(volatile int *)address;
    STAY;
    return value;
}

KEPT int granite_probe_null_write(void) {
    int *volatile address = (int *)8;
    *(volatile int *)address = 1;
    STAY;
    return 0;
}

KEPT int granite_probe_null_call(void) {
    int (*volatile function)(void) = NULL;
    int value = function();
    STAY;
    return value + 1;
}

KEPT int granite_probe_wild(void) {
    int *volatile address = (int *)0xdead4141deadbeefull;
    int value = *(volatile int *)address;
    STAY;
    return value;
}

static KEPT int abort_level2(void) {
    abort();
    STAY;
    return 0;
}

KEPT int granite_probe_abort(void) {
    int value = abort_level2();
    STAY;
    return value + 1;
}

KEPT int granite_probe_overflow(int depth) {
    volatile char room[512];
    room[0] = (char)depth;
    int value = granite_probe_overflow(depth + 1);
    STAY;
    return value + room[0];
}

KEPT int granite_probe_divide(int divisor) {
    volatile int dividend = 7;
    int value = dividend / divisor;
    STAY;
    return value;
}

KEPT int granite_probe_bus(void) {
    int file = memfd_create("cut", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, 8192) != 0) return -1;
    volatile char *bytes = mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED || ftruncate(file, 0) != 0) return -1;
    int value = bytes[4096];
    STAY;
    return value;
}

KEPT int granite_probe_trap(void) {
#if defined(__x86_64__)
    __asm__ volatile("int3");
#else
    __builtin_debugtrap();
#endif
    STAY;
    return 0;
}

KEPT int granite_probe_double_free(void) {
    // Larger than the tcache and fastbin sizes, with a neighbour, so that the second free is found at once (malloc.c,
    // _int_free).
    void *volatile block = malloc(2000);
    void *volatile neighbour = malloc(2000);
    free(block);
    free(block);
    STAY;
    return neighbour != NULL;
}

KEPT int granite_probe_break_page(void *start, size_t length) { return mprotect(start, length, PROT_NONE); }

KEPT int granite_probe_killed_by_child(void) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        kill(parent, SIGSEGV);
        _exit(0);
    }
    for (;;) pause();
}

KEPT int granite_probe_crash_in_fork(void) {
    pid_t child = fork();
    if (child == 0) _exit(granite_probe_null_read());
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return -1;
    return status;
}

static void end_with_9(int signal) { _exit(signal == SIGSEGV ? 9 : 1); }

KEPT int granite_probe_crash_in_fork_with_handler(void) {
    signal(SIGSEGV, end_with_9);
    return granite_probe_crash_in_fork();
}

KEPT int granite_probe_in_fork(void (*body)(void)) {
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return -1;
    return status;
}

static void (*foreign_body)(void);
static char *foreign_gap;

static KEPT void start_on_foreign_stack(void) {
    // The word at the frame pointer is the caller's (psABI 3.2.2, AAPCS64 6.4.6).
    void **frame = __builtin_frame_address(0);
    void *caller = frame[0];
    frame[0] = foreign_gap;
    foreign_body();
    frame[0] = caller;
    STAY;
}

KEPT void granite_probe_on_foreign_stack(void (*body)(void)) {
    enum { size = 256 << 10 };
    // The upper half may not be read, and lies below the stack of the first thread as all mappings do.
    char *stack = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack + size, size, PROT_NONE) != 0) _exit(70);
    foreign_gap = stack + size + 4096;
    foreign_body = body;
    ucontext_t here;
    ucontext_t there;
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = size;
    there.uc_link = &here;
    makecontext(&there, start_on_foreign_stack, 0);
    swapcontext(&here, &there);
}
