// Finds what holds an object: its direct referrers by type, and the cycle of references that only the collector of
// cycles can free.

#ifndef GRANITE_CYCLES_H
#define GRANITE_CYCLES_H

#include "object_api.h"

/// Adds `referrer` lines, and `held_by` lines if a cycle is found. False if there is no cycle, or none was found within
/// the budget of the thread's processor time, from which what it took is subtracted; a step of the search looks at the
/// whole heap, and is not begun if the longest one so far says that it would take more. Runs no code of the application
/// but its audit hooks. No collection begins meanwhile: the object lives on. Leaves no error. With the GIL held.
bool granite_describe_holders(PyObjectPointer object, uint64_t *budget_ns, struct granite_details *details);

#endif
