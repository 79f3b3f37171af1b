// The stack of a throw, at a price that a program which throws all the time can pay.

#ifndef GRANITE_THROW_STACK_H
#define GRANITE_THROW_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "throw_unwinder.h"

/// One throw that is under way on the calling thread.
struct granite_throw_place {
    const struct granite_unwinder_functions *unwinder;
    uintptr_t caller;  ///< return address into what raises
    uintptr_t frame;   ///< stack pointer of what raises, at its call
    uint64_t now_ns;   ///< CLOCK_MONOTONIC
    bool is_rare;      ///< a whole stack each time
};

/// Return addresses, `caller` first; at most `capacity` and GRANITE_MAX_THROW_FRAMES. All of the stack as far as the unwinder knows it,
/// unless the thread throws all the time: then as much as is sure to be the same as a moment ago, and where it was thrown in any case.
__attribute__((visibility("hidden"))) uint32_t granite_throw_stack(const struct granite_throw_place *place,
                                                                   uint64_t *frames, uint32_t capacity);

#endif
