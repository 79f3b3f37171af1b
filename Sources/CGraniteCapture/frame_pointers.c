// Return addresses by frame pointers: nanoseconds, for the creation stacks of ThreadBound values.

#define _GNU_SOURCE
#include "frame_pointers.h"

#include "granite_capture.h"

/// Set when the thread starts. In the executable, so access is one instruction, without __tls_get_addr.
static __thread uintptr_t stack_top;

/// Async-signal-safe.
void granite_frame_pointers_begin(const void *top) { stack_top = (uintptr_t)top; }

/// Async-signal-safe: reads only between this frame and the thread's first, which is mapped stack.
__attribute__((noinline)) uint32_t granite_capture_frame_pointers(uint64_t *frames, uint32_t capacity) {
    // A frame is {caller's frame pointer, return address} on x86_64 (psABI 3.2.2) and aarch64 (AAPCS64 6.4.6).
    const uintptr_t *frame = __builtin_frame_address(0);
    uint32_t count = 0;
    while (count < capacity) {
        uint64_t address = frame[1];
        if (address < 4096) break;
        frames[count++] = address;
        uintptr_t next = frame[0];
        if (next <= (uintptr_t)frame || next % sizeof(uintptr_t) != 0 || next > stack_top) break;
        frame = (const uintptr_t *)next;
    }
    return count;
}
