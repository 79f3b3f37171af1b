// The unwinder that a thrower would have called without us. Separate from the recording of throws: a process may have several.

#ifndef GRANITE_THROW_UNWINDER_H
#define GRANITE_THROW_UNWINDER_H

#include <stdint.h>
#include <unwind.h>

struct granite_unwinder_functions {
    _Unwind_Reason_Code (*raise)(struct _Unwind_Exception *);
    /// These are NULL if its library cannot be opened.
    _Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn, void *);
    uintptr_t (*get_ip)(struct _Unwind_Context *);
    uintptr_t (*get_cfa)(struct _Unwind_Context *);
};

/// The unwinder of the code that `caller` lies in. Locks the dynamic linker where it is not known yet: once for each place that
/// throws, of the first 32, and each time at others, if there was no unwinder in the program from the start. `raise` is NULL if there is none.
__attribute__((visibility("hidden"))) struct granite_unwinder_functions granite_throw_unwinder(uintptr_t caller);

/// Call before any throw: finds the program's own unwinder.
__attribute__((visibility("hidden"))) void granite_throw_unwinder_load(void);

#endif
