// Faults of the memory management unit. Every function is kept out of line and does something after its fault, so that its frame stays.

#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crash_probe_memory.h"

#define KEPT __attribute__((noinline))
#define STAY __asm__ volatile("" ::: "memory")

struct node {
    char bytes[0x48];
    int field;
};

KEPT int granite_probe_null_field(void) {
    struct node *volatile node = NULL;
    int value = *(volatile int *)&node->field;
    STAY;
    return value;
}

KEPT int granite_probe_null_copy(void) {
    char copy[16] = {0};
    void *to = copy;
    const void *from = NULL;
    size_t count = sizeof copy;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return copy[3];
}

KEPT int granite_probe_null_virtual(void) {
    int (**volatile table)(void) = NULL;
    int value = table[2]();
    STAY;
    return value + 1;
}

KEPT int granite_probe_unmapped(void) {
    int *volatile address = (int *)0x123456789abcull;
    int value = *(volatile int *)address;
    STAY;
    return value;
}

KEPT int granite_probe_use_after_unmap(void) {
    char *volatile bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(bytes, 4096);
    int value = *(volatile char *)bytes;
    STAY;
    return value;
}

KEPT int granite_probe_past_end(void) {
    // Three pages, of which the last two are given back: what follows is a hole.
    char *bytes = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(bytes + 4096, 2 * 4096);
    long *volatile word = (long *)bytes;
    long value = ((volatile long *)word)[4096 / 8 + 1];
    STAY;
    return (int)value;
}

KEPT int granite_probe_poisoned(void) {
    struct node *volatile node = (struct node *)0x00000000deadbeefull;
    *(volatile int *)&node->field = 1;
    STAY;
    return 0;
}

KEPT int granite_probe_text_as_pointer(void) {
    struct {
        char name[8];
        int *next;
    } volatile record = {"", NULL};
    memcpy((char *)&record, "Content-Type: te", 16);  // eight bytes longer than the name
    int value = *(volatile int *)record.next;
    STAY;
    return value;
}

KEPT int granite_probe_wild_write(void) {
    int *volatile address = (int *)0x8000000000001234ull;
    *(volatile int *)address = 1;
    STAY;
    return 0;
}

KEPT int granite_probe_wild_call(void) {
    int (*volatile function)(void) = (int (*)(void))0xdead4141deadbeefull;
    int value = function();
    STAY;
    return value + 1;
}

static unsigned char data[64] = {0xc3};

KEPT int granite_probe_execute_data(void) {
    int (*volatile function)(void) = (int (*)(void))(uintptr_t)data;
    int value = function();
    STAY;
    return value + 1;
}

KEPT int granite_probe_write_constant(void) {
    char *volatile text = (char *)(uintptr_t)gnu_get_libc_version();  // a literal of libc's
    *(volatile char *)text = '3';
    STAY;
    return 0;
}

KEPT int granite_probe_misaligned_vector(void) {
    _Alignas(16) char room[48] = {0};
    char *volatile odd = room + 1;
    char *place = odd;
    __asm__ volatile("movaps %%xmm0, (%0)" : : "r"(place) : "memory");
    STAY;
    return room[2];
}

KEPT int granite_probe_return_to_garbage(void) {
    ((void *volatile *)__builtin_frame_address(0))[1] = (void *)0x4141414140ull;
    STAY;
    return 0;
}

KEPT int granite_probe_return_to_text(void) {
    // Eight of the bytes that an unbounded copy wrote.
    memcpy((char *)__builtin_frame_address(0) + 8, "AAAABBBB", 8);
    STAY;
    return 0;
}

KEPT int granite_probe_cut_file(void) {
    char path[] = "/tmp/granite-probe-XXXXXX";
    int file = mkstemp(path);
    if (file < 0 || ftruncate(file, 8192) != 0) return -1;
    volatile char *bytes = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, file, 0);
    int cut = ftruncate(file, 100);
    unlink(path);
    if (bytes == MAP_FAILED || cut != 0) return -1;
    int value = bytes[5000];
    STAY;
    return value;
}

KEPT int granite_probe_ping(int depth) {
    volatile char room[256];
    room[0] = (char)depth;
    int value = granite_probe_pong(depth + 1);
    STAY;
    return value + room[0];
}

KEPT int granite_probe_pong(int depth) {
    volatile char room[256];
    room[0] = (char)depth;
    int value = granite_probe_ping(depth + 1);
    STAY;
    return value + room[0];
}
