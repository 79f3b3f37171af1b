// The program's handler is asked before its process is declared dead.

#ifndef GRANITE_CHAIN_H
#define GRANITE_CHAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#pragma GCC visibility push(hidden)

/// A signal that the program's handler is being asked about. Kept by the thread, not in our handler's frame: what a
/// handler that left by siglongjmp(3) had there may be overwritten.
struct granite_chained {
    uint64_t frame;  ///< of our handler, as an address
    int signal;
    const ucontext_t *context;
    const siginfo_t *information;
    bool defers;             ///< its action has no SA_NODEFER: the kernel would kill by another fault of this signal
    uint64_t stack_pointer;  ///< of the interrupted code; tells whether `context` is still what it was
};

/// Async-signal-safe. The program's handler, asked about `signal` on this thread, raised it again by itself
/// (faulthandler, Sentry): what that handler was given. NULL if this is a signal of its own.
const struct granite_chained *granite_chain_raised(int signal, const siginfo_t *information, const ucontext_t *context);

/// Async-signal-safe but for what the program's handler does. True: the signal was the program's business, and it goes
/// on. False: nobody wants it, or the handler did not help, and the process is to be captured.
bool granite_chain_run(int signal, siginfo_t *information, ucontext_t *context);

/// chain_load.c. Call before any crash. Finds abort(3).
void granite_chain_load(void);
/// The code of abort(3), 0 if it is not known.
extern uintptr_t granite_abort_start;
extern uintptr_t granite_abort_end;

#pragma GCC visibility pop

#endif
