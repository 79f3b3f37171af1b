// Ends that libc, the CPU or the kernel make of a program's mistake, other than faults of memory.

#define _GNU_SOURCE
#undef NDEBUG  // the assertion is the case
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <error.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crash_probe_aborts.h"

#define KEPT __attribute__((noinline))
#define STAY __asm__ volatile("" ::: "memory")

KEPT int granite_probe_tcache_double_free(void) {
    void *volatile block = malloc(32);
    free(block);
    free(block);
    STAY;
    return 0;
}

KEPT int granite_probe_free_inside(void) {
    char *volatile block = malloc(256);
    free(block + 8);
    STAY;
    return 0;
}

KEPT int granite_probe_free_stack(void) {
    // The word below a block is its size (malloc.c): 0 is none.
    _Alignas(16) size_t room[8] = {0};
    void *volatile block = room + 2;
    free(block);
    STAY;
    return (int)room[0];
}

KEPT int granite_probe_overrun(void) {
    char *volatile block = malloc(2000);
    void *volatile neighbour = malloc(2000);
    memset(block, 'x', 2016);
    free(block);
    STAY;
    return neighbour != NULL;
}

KEPT int granite_probe_overrun_top(void) {
    // The block that ends at the top of the heap: its neighbour is the size of the rest.
    size_t *volatile block = malloc(40000);
    block[40000 / 8 + 1] = SIZE_MAX / 4;
    for (int i = 0; i < 64; i++) {
        void *volatile next = malloc(100000);
        (void)next;
    }
    STAY;
    return 0;
}

KEPT int granite_probe_assert(int value) {
    assert(value > 0 && "the value must be positive");
    STAY;
    return value;
}

KEPT int granite_probe_raise_abort(void) {
    raise(SIGABRT);
    STAY;
    return 0;
}

KEPT int granite_probe_kill_abort(void) {
    kill(getpid(), SIGABRT);
    STAY;
    return 0;
}

KEPT int granite_probe_error(void) {
    error(3, ENOENT, "cannot open %s", "settings.ini");
    STAY;
    return 0;
}

KEPT int granite_probe_divide_smallest(int divisor) {
    volatile int dividend = INT_MIN;
    volatile int by = divisor;
    int quotient = dividend;
#if defined(__x86_64__)
    // What a compiler makes of the division, if it does not see that it has no value.
    __asm__ volatile("cltd\n\tidivl %1" : "+a"(quotient) : "m"(by) : "edx", "cc");
#else
    raise(SIGFPE);
#endif
    return quotient;
}

KEPT int granite_probe_undefined(void) {
    __asm__ volatile("ud2");
    STAY;
    return 0;
}

KEPT int granite_probe_forbidden_call(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return -1;
    int value = (int)syscall(SYS_getpriority, 0, 0);
    STAY;
    return value;
}

KEPT int granite_probe_call_in(const char *library) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    int (*function)(void) = handle ? (int (*)(void))dlsym(handle, "granite_probe_library") : NULL;
    int value = function ? function() : -1;
    STAY;
    return value;
}
