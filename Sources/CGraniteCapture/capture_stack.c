// A stack of its own for captures in a signal handler: the thread's alternate stack may be the program's, and as small
// as a signal frame (faulthandler's, Sentry's), or none.

#define _GNU_SOURCE
#include <signal.h>

#include "arch.h"
#include "core.h"

enum { capture_bytes = 256 << 10, nested_bytes = 128 << 10 };

static char capture_stack[capture_bytes] __attribute__((aligned(64)));
/// For faults in the capture: the signal frame of the first one, on the thread's alternate stack, must stay whole.
static char nested_stack[nested_bytes] __attribute__((aligned(64)));

/// Async-signal-safe: sigaltstack(2) is one kernel entry. The return from the signal handler restores the thread's own
/// (sigreturn(2), uc_stack).
void granite_run_on_capture_stack(void (*body)(void *), void *argument) {
    stack_t nested = {.ss_sp = nested_stack, .ss_size = sizeof nested_stack};
    granite_arch_call_on_stack(body, argument, capture_stack + capture_bytes, &nested);
}
