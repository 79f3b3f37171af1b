// Knows which thread runs CPython's collector of cycles, and over which generations: what an object's release inside of
// it cannot say.

#ifndef GRANITE_COLLECTION_H
#define GRANITE_COLLECTION_H

#include "python_api.h"

/// Adds to gc.callbacks, unless it is there. False without an error set if it cannot. With the GIL held.
bool granite_collection_watch(void);

/// Adds `collector` and `generation`, if a collection is under way. Any thread.
void granite_collection_describe(struct granite_details *details);

#endif
