// Stage D: copies of memory in the page's snapshot area, by pwrite(2) from the address itself. The kernel checks every
// address: a bad one is EFAULT or a short count (write(2)), never a fault of ours.

#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arch.h"
#include "core.h"

enum {
    alignment = 64,
    source_page_bytes = 4096,
    largest_alternate_stack = 4 << 20,
    code_bytes_around = 256,
    bytes_before_register = 256,
    bytes_after_register = 768,
    guard_reach = 16 << 20,  // a stack pointer may lie this far below its stack: overflow by a large frame
};

static uint64_t next_offset;

/// Async-signal-safe.
void granite_snapshot_reset(void) { next_offset = GRANITE_SNAPSHOT_OFFSET; }

/// Async-signal-safe. Where the page has no descriptor any more: stores into its mapping, page by page of the source; a
/// fault comes back to the guard. Returns how many bytes were copied.
static size_t copy_guarded(char *to, const char *from, size_t length) {
    static volatile size_t done;  // outlives siglongjmp
    done = 0;
    if (sigsetjmp(granite_core.guard, 0) == 0) {
        granite_core.guarded = true;
        while (done < length) {
            size_t rest = source_page_bytes - ((uintptr_t)from + done) % source_page_bytes;
            if (rest > length - done) rest = length - done;
            memcpy(to + done, from + done, rest);
            done += rest;
        }
    }
    granite_core.guarded = false;
    return done;
}

/// Async-signal-safe: pwrite (signal-safety(7)).
uint64_t granite_snapshot_append(const void *bytes, size_t length, size_t *copied) {
    uint64_t offset = next_offset;
    uint64_t room = GRANITE_PAGE_FILE_SIZE - offset;
    if (length > room) {
        granite_core.page->capture.flags |= GRANITE_CAPTURE_SNAPSHOT_FULL;
        length = room;
    }
    *copied = 0;
    if (!granite_core.page_is_writable) {
        if (granite_core.snapshot_area)
            *copied = copy_guarded(granite_core.snapshot_area + (offset - GRANITE_SNAPSHOT_OFFSET), bytes, length);
        next_offset = offset + *copied;
        return offset;
    }
    while (*copied < length) {
        ssize_t written =
            pwrite(granite_core.page_fd, (const char *)bytes + *copied, length - *copied, (off_t)(offset + *copied));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break;
        *copied += (size_t)written;
    }
    next_offset = offset + *copied;
    return offset;
}

/// Async-signal-safe. Copies [address, address + length) as far as it is readable, with a record of it.
static void copy_segment(uint64_t address, uint64_t length, uint32_t kind) {
    struct granite_capture *capture = &granite_core.page->capture;
    if (length == 0) return;
    if (length > UINT32_MAX) length = UINT32_MAX;
    if (capture->segment_count >= GRANITE_MAX_SEGMENTS) {
        capture->flags |= GRANITE_CAPTURE_SNAPSHOT_FULL;
        return;
    }
    next_offset = (next_offset + alignment - 1) & ~(uint64_t)(alignment - 1);
    if (next_offset >= GRANITE_PAGE_FILE_SIZE) {
        next_offset = GRANITE_PAGE_FILE_SIZE;
        capture->flags |= GRANITE_CAPTURE_SNAPSHOT_FULL;
        return;
    }
    size_t copied = 0;
    uint64_t offset = granite_snapshot_append((const void *)(uintptr_t)address, length, &copied);
    if (copied == 0) return;
    struct granite_segment *segment = &granite_core.page->segments[capture->segment_count];
    *segment = (struct granite_segment){.address = address, .offset = offset, .length = (uint32_t)copied, .kind = kind};
    __atomic_store_n(&capture->segment_count, capture->segment_count + 1, __ATOMIC_RELEASE);
}

/// Async-signal-safe. From the red zone below the stack pointer to the end of its mapping, at most `limit` bytes. A stack
/// above the limit loses its middle: the innermost three quarters tell what failed, the outermost quarter how it began.
static void copy_stack(uint64_t stack_pointer, uint64_t limit) {
    uint64_t start = (stack_pointer - GRANITE_ARCH_RED_ZONE) & ~(uint64_t)7;
    const struct granite_mapping *mapping = granite_mapping_at(start, guard_reach);
    if (!mapping) {
        copy_segment(start, limit,
                     GRANITE_SEGMENT_STACK);  // without maps, or a wild pointer: as far as the kernel reads
        return;
    }
    if (start < mapping->start) start = mapping->start;  // the pointer lies in the guard page: a stack overflow
    uint64_t length = mapping->end - start;
    if (length <= limit) {
        copy_segment(start, length, GRANITE_SEGMENT_STACK);
        return;
    }
    uint64_t outermost = (limit / 4) & ~(uint64_t)7;
    copy_segment(start, limit - outermost, GRANITE_SEGMENT_STACK);
    copy_segment(mapping->end - outermost, outermost, GRANITE_SEGMENT_STACK);
}

/// Async-signal-safe. The readable part of [address - before, address + after) that is in the mapping of `address`.
static void copy_around(uint64_t address, uint64_t before, uint64_t after, uint32_t kind) {
    const struct granite_mapping *mapping = granite_mapping_at(address, 0);
    if (!mapping) return;
    uint64_t start = address - mapping->start > before ? address - before : mapping->start;
    uint64_t end = mapping->end - address > after ? address + after : mapping->end;
    copy_segment(start, end - start, kind);
}

/// Async-signal-safe. What the crashed thread's registers point to, without its stack, which is copied already.
static void copy_near_registers(const struct granite_thread *thread) {
    const struct granite_mapping *stack =
        granite_mapping_at(thread->registers[GRANITE_ARCH_STACK_POINTER], guard_reach);
    for (int i = 0; i < GRANITE_ARCH_REGISTERS; i++) {
        if (i == GRANITE_ARCH_STACK_POINTER || i == GRANITE_ARCH_PROGRAM_COUNTER) continue;
        if (stack && granite_mapping_at(thread->registers[i], 0) == stack) continue;
        copy_around(thread->registers[i], bytes_before_register, bytes_after_register, GRANITE_SEGMENT_NEAR_REGISTER);
    }
}

/// Async-signal-safe. A thread that crashed in a handler on its alternate stack has another one below it. The kernel put
/// that stack's pointer into the signal frame, which names the alternate stack (rt_sigframe, uc_stack).
static void copy_interrupted_stack(const ucontext_t *context, uint64_t stack_pointer) {
    uint64_t bottom = (uint64_t)(uintptr_t)context->uc_stack.ss_sp;
    uint64_t size = context->uc_stack.ss_size;
    if (size > largest_alternate_stack || stack_pointer < bottom || stack_pointer - bottom >= size) return;
    const struct granite_mapping *mapping = granite_mapping_at(stack_pointer, 0);
    if (!mapping || bottom + size > mapping->end || size < sizeof(ucontext_t)) return;
    uint64_t last = bottom + size - offsetof(ucontext_t, uc_mcontext) - sizeof context->uc_mcontext;
    for (uint64_t address = (stack_pointer + 7) & ~(uint64_t)7; address <= last; address += 8) {
        const ucontext_t *found = (const ucontext_t *)(uintptr_t)address;
        if (found->uc_link || found->uc_stack.ss_sp != context->uc_stack.ss_sp || found->uc_stack.ss_size != size)
            continue;
        uint64_t registers[GRANITE_ARCH_REGISTERS];
        granite_arch_store_registers(found, registers);
        uint64_t interrupted = registers[GRANITE_ARCH_STACK_POINTER];
        if (interrupted >= bottom && interrupted - bottom < size) continue;  // a handler within a handler
        copy_stack(interrupted, granite_core.crashed_stack_bytes);
        return;
    }
}

/// Async-signal-safe. What matters most comes first: the snapshot area may fill up.
void granite_snapshot_take(const ucontext_t *interrupted) {
    struct granite_crash_page *page = granite_core.page;
    const struct granite_thread *crashed = &page->threads[0];
    granite_snapshot_reset();
    granite_mappings_read();
    const struct granite_mapping *vdso = granite_mapping_vdso();
    if (vdso) copy_segment(vdso->start, vdso->end - vdso->start, GRANITE_SEGMENT_VDSO);
    copy_stack(crashed->registers[GRANITE_ARCH_STACK_POINTER], granite_core.crashed_stack_bytes);
    if (interrupted) copy_interrupted_stack(interrupted, crashed->registers[GRANITE_ARCH_STACK_POINTER]);
    copy_around(crashed->registers[GRANITE_ARCH_PROGRAM_COUNTER], code_bytes_around, code_bytes_around,
                GRANITE_SEGMENT_CODE);
    if (granite_core.level >= GRANITE_LEVEL_FULL) copy_near_registers(crashed);
    uint32_t count = page->capture.thread_count;
    for (uint32_t i = 1; i < count && i < GRANITE_MAX_THREADS; i++) {
        if (__atomic_load_n(&page->threads[i].state, __ATOMIC_ACQUIRE) != GRANITE_THREAD_PARKED) continue;
        copy_stack(page->threads[i].registers[GRANITE_ARCH_STACK_POINTER], granite_core.stack_bytes);
    }
}
