// Walks the stack of a throw with the unwinder that is about to do the same, at most so often; in between it looks at the words
// where the last walk found return addresses. Frame pointers would not do: the C++ runtime keeps none.

#include "throw_stack.h"

#include <granite_capture.h>
#include <stddef.h>

/// A walk costs some microseconds: at this rate, less than a thousandth of the thread's time. A thread that throws now and then may
/// walk each time.
static const uint64_t token_interval_ns = 10000000;
enum { most_tokens = 16 };

/// The innermost frames, which the unwinder is going to walk whoever catches: what raises, and what throws.
enum { certain_frames = 2 };
/// Frames of ours, and the unwinder's, below `caller`.
enum { max_own_frames = 12 };

struct walk {
    uint64_t tokens_updated_ns;
    uint64_t tokens;
    uintptr_t frame;
    uint32_t count;
    uint64_t frames[GRANITE_MAX_THROW_FRAMES];
    uint64_t slots[GRANITE_MAX_THROW_FRAMES];  ///< where on the stack the return address lies, 0 = that is not known
};

/// Initial-exec: no __tls_get_addr, which may allocate.
static __thread struct walk last __attribute__((tls_model("initial-exec")));

struct step {
    const struct granite_throw_place *place;
    uint32_t skipped;
};

/// Called by the unwinder for each frame.
static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *value) {
    struct step *step = value;
    uint64_t address = step->place->unwinder->get_ip(context);
    if (last.count == 0 && address != step->place->caller) {
        return ++step->skipped < max_own_frames ? _URC_NO_REASON : _URC_NORMAL_STOP;
    }
    if (address == 0) return _URC_NORMAL_STOP;
    uint64_t slot = 0;
    uint64_t stack_pointer = step->place->unwinder->get_cfa(context);
    bool is_own = granite_stack_is_own(stack_pointer);
#if defined(__x86_64__)
    // The return address is the word below the caller's stack pointer (System V psABI 3.2.2).
    slot = stack_pointer - sizeof(uint64_t);
    if (!is_own || *(const uint64_t *)slot != address) slot = 0;
#endif
    last.slots[last.count] = slot;
    last.frames[last.count] = address;
    last.count++;
    if (last.count == GRANITE_MAX_THROW_FRAMES) return _URC_NORMAL_STOP;
    // Beyond the handler nobody may have walked before: only on a stack whose end is known.
    return is_own || last.count < certain_frames ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

/// A token bucket, full when a thread throws for the first time.
static bool take_token(uint64_t now_ns) {
    uint64_t earned = (now_ns - last.tokens_updated_ns) / token_interval_ns;
    if (earned > 0) {
        last.tokens_updated_ns = earned > most_tokens ? now_ns : last.tokens_updated_ns + earned * token_interval_ns;
        last.tokens = last.tokens + earned > most_tokens ? most_tokens : last.tokens + earned;
    }
    if (last.tokens == 0) return false;
    last.tokens--;
    return true;
}

/// How many frames of the last walk are those of this throw: each return address is where it was, and all inside it.
static uint32_t unchanged(const struct granite_throw_place *place) {
    if (last.count == 0 || last.frame != place->frame || last.frames[0] != place->caller) return 0;
    if (!granite_stack_is_own(place->frame)) return 0;
    uint32_t count = 1;
    while (count < last.count && last.slots[count] > place->frame &&
           *(const uint64_t *)last.slots[count] == last.frames[count])
        count++;
    return count;
}

uint32_t granite_throw_stack(const struct granite_throw_place *place, uint64_t *frames, uint32_t capacity) {
    uint32_t count = unchanged(place);
    bool is_whole = count > 0 && count == last.count;
    if (!is_whole && place->unwinder->backtrace && (place->is_rare || take_token(place->now_ns))) {
        struct step step = {.place = place};
        last.count = 0;
        place->unwinder->backtrace(visit, &step);
        last.frame = place->frame;
        count = last.count;
    }
    if (count > capacity) count = capacity;
    for (uint32_t i = 0; i < count; i++) frames[i] = last.frames[i];
    if (count >= certain_frames || capacity < certain_frames) return count;
    frames[0] = place->caller;
#if defined(__x86_64__)
    // What raises has a frame of one size at this place, so that its own return address lies as far away as the last time.
    if (last.count >= certain_frames && last.frames[0] == place->caller && last.slots[1] > last.frame &&
        granite_stack_is_own(place->frame)) {
        frames[1] = *(const uint64_t *)(place->frame + (last.slots[1] - last.frame));
        return certain_frames;
    }
#endif
    return 1;
}
