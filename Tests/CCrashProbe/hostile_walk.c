// Random register contexts for the handler's walk. Checked in with its generator, so that a seed tells the run again.

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "crash_probe.h"
#include "hostile_probe.h"

static uint64_t state;

/// xorshift64* (Vigna, 2016).
static uint64_t next(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

enum { garbage_bytes = 256 << 10, most_ranges = 256 };

static uint64_t *garbage;
static struct {
    uint64_t start, end;
} code[most_ranges];
static int code_count;

/// Executable mappings: program counters that have call frame information.
static void read_code(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (maps && code_count < most_ranges && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char permissions[8];
        if (sscanf(line, "%lx-%lx %7s", &start, &end, permissions) == 3 && permissions[2] == 'x' && end > start) {
            code[code_count].start = start;
            code[code_count++].end = end;
        }
    }
    if (maps) fclose(maps);
}

static uint64_t any_code(void) {
    if (code_count == 0) return next();
    int index = (int)(next() % (uint64_t)code_count);
    return code[index].start + next() % (code[index].end - code[index].start);
}

static uint64_t any_stack(uint64_t real) {
    switch (next() % 8) {
        case 0: return next();                                                     // non-canonical, mostly
        case 1: return next() >> 17;                                               // user half
        case 2: return next() % 65536;                                             // near null
        case 3: return real + (next() % 65536 & ~(uint64_t)7);                     // the real stack
        case 4: return (uint64_t)(uintptr_t)garbage + garbage_bytes - next() % 64;  // the end of the garbage
        case 5: return any_code();                                                 // code as stack
        default: return (uint64_t)(uintptr_t)garbage + (next() % garbage_bytes & ~(uint64_t)7);
    }
}

/// Words that look like frames: pointers further up, return addresses, and what is none.
static void fill_garbage(void) {
    for (int i = 0; i < garbage_bytes / 8; i++) {
        switch (next() % 6) {
            case 0: garbage[i] = any_code(); break;
            case 1: garbage[i] = (uint64_t)(uintptr_t)&garbage[i] + next() % 512 * 8; break;
            case 2: garbage[i] = (uint64_t)(uintptr_t)garbage + next() % garbage_bytes; break;  // loops, too
            case 3: garbage[i] = next(); break;
            case 4: garbage[i] = next() % 4096; break;
            default: garbage[i] = any_code(); break;
        }
    }
}

static void randomize(ucontext_t *context) {
#if defined(__x86_64__)
    greg_t *registers = context->uc_mcontext.gregs;
    uint64_t real = (uint64_t)registers[REG_RSP];
    if (next() % 4 == 0) {  // a whole context with one thing wrong goes far
        static const int one[] = {REG_RBP, REG_RSP, REG_RBX, REG_RIP};
        int which = one[next() % 4];
        if (which == REG_RSP) {
            registers[which] += (greg_t)(next() % 4096 & ~(uint64_t)7);
        } else {
            registers[which] = (greg_t)(which == REG_RIP ? any_code() : any_stack(real));
        }
        return;
    }
    for (int i = REG_R8; i <= REG_RCX; i++) {
        if (next() % 2) registers[i] = (greg_t)(next() % 3 ? any_stack(real) : next());
    }
    registers[REG_RBP] = (greg_t)any_stack(real);
    registers[REG_RSP] = (greg_t)any_stack(real);
    registers[REG_RIP] = (greg_t)(next() % 8 ? any_code() : any_stack(real));
#else
    uint64_t real = context->uc_mcontext.sp;
    for (int i = 0; i < 31; i++) context->uc_mcontext.regs[i] = any_stack(real);
    context->uc_mcontext.sp = any_stack(real);
    context->uc_mcontext.pc = next() % 8 ? any_code() : any_stack(real);
#endif
}

static volatile int never_returns;

/// Interposes mincore(2), by which libunwind asks whether an address is mapped.
__attribute__((visibility("default"))) int mincore(void *address, size_t length, unsigned char *pages) {
    while (never_returns) {
    }
    return (int)syscall(SYS_mincore, address, length, pages);
}

int granite_hostile_fault_with_hanging_unwinder(void) {
    never_returns = 1;
    int result = granite_probe_null_read();
    __asm__ volatile("");
    return result;
}

int granite_hostile_walk_random(uint64_t seed, uint32_t count, uint32_t (*walk)(const void *context)) {
    state = seed ? seed : 1;
    garbage = mmap(NULL, garbage_bytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (garbage == MAP_FAILED || mprotect((char *)garbage + garbage_bytes, 4096, PROT_NONE) != 0) return 70;
    read_code();
    ucontext_t here;
    if (getcontext(&here) != 0) return 71;
    uint64_t slowest_ns = 0;
    uint64_t total_ns = 0;
    uint64_t frames = 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i % 64 == 0) fill_garbage();
        ucontext_t context = here;
        randomize(&context);
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        uint32_t found = walk(&context);
        clock_gettime(CLOCK_MONOTONIC, &after);
        uint64_t took_ns = (uint64_t)((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec);
        if (took_ns > slowest_ns) slowest_ns = took_ns;
        total_ns += took_ns;
        frames += found;
        if (found > most) most = found;
    }
    fprintf(stderr, "%u walks: %llu frames, at most %u, mean %llu ns, slowest %llu ns\n", count,
            (unsigned long long)frames, most, (unsigned long long)(count ? total_ns / count : 0),
            (unsigned long long)slowest_ns);
    return 0;
}
