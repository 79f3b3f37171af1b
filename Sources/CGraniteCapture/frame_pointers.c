// Return addresses by frame pointers: nanoseconds, for the creation stacks of ThreadBound values.

#define _GNU_SOURCE
#include "frame_pointers.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "granite_capture.h"
#include "system.h"

/// Larger frames are possible, and end the walk.
enum { max_frame_bytes = 1 << 20 };

/// Set when the thread starts. Initial-exec: no __tls_get_addr, which may allocate.
static __thread uintptr_t stack_top __attribute__((tls_model("initial-exec")));
static __thread uintptr_t stack_bottom __attribute__((tls_model("initial-exec")));

/// Async-signal-safe.
void granite_frame_pointers_begin(const void *top, size_t size) {
    stack_top = (uintptr_t)top;
    stack_bottom = stack_top > size ? stack_top - size : 0;
}

/// Async-signal-safe.
bool granite_stack_is_own(uint64_t address) { return address >= stack_bottom && address < stack_top; }

/// Walks from `frame`, a frame of the calling thread: {caller's frame pointer, return address} on x86_64 (psABI 3.2.2)
/// and aarch64 (AAPCS64 6.4.6). Async-signal-safe: reads only between this frame and the thread's first, which is
/// mapped stack. A coroutine's stack is another, with anything between the two: there the walk has one frame.
static inline uint32_t walk(const uintptr_t *frame, uint64_t *frames, uint32_t capacity) {
    bool on_own_stack = (uintptr_t)frame >= stack_bottom && (uintptr_t)frame <= stack_top;
    uint32_t count = 0;
    while (count < capacity) {
        uint64_t address = frame[1];
        if (address < 4096) break;
        frames[count++] = address;
        uintptr_t next = frame[0];
        if (!on_own_stack || next - (uintptr_t)frame > max_frame_bytes) break;
        if (next <= (uintptr_t)frame || next % sizeof(uintptr_t) != 0 || next > stack_top) break;
        frame = (const uintptr_t *)next;
    }
    return count;
}

/// Async-signal-safe.
__attribute__((noinline)) uint32_t granite_capture_frame_pointers(uint64_t *frames, uint32_t capacity) {
    return walk(__builtin_frame_address(0), frames, capacity);
}

/// Async-signal-safe. The coarse clock: a load instead of reading the processor's counter.
__attribute__((noinline)) void granite_capture_origin(struct granite_origin *origin) {
    const struct granite_thread_home *home = granite_capture_thread_home();
    origin->tid = home->tid;
    origin->thread = home->id;
    memcpy(origin->thread_name, home->name, sizeof origin->thread_name);
    origin->created_ns = granite_clock_ns(CLOCK_REALTIME_COARSE);
    origin->frame_count = walk(__builtin_frame_address(0), origin->frames, GRANITE_MAX_CREATION_FRAMES);
}
