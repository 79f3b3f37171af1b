// Knows who made the living objects of a few types: those whose objects were released on a wrong thread, and those that
// the operator named. Creation is recorded from then on, as the type's tp_alloc and tp_dealloc are called.

#ifndef GRANITE_ORIGINS_H
#define GRANITE_ORIGINS_H

#include <granite_capture.h>

#include "object_api.h"

enum {
    GRANITE_MAX_WATCHED_TYPES = 8,
    /// Living objects of one type whose creation is kept; of more, the count alone.
    GRANITE_MAX_RECORDS = 16384,
    /// Places of creation whose text is kept for the next object: to make it takes longer than all else.
    GRANITE_KNOWN_PLACES = 4,
};

/// A place in Python code, as text.
struct granite_place {
    struct granite_frame_position position;  ///< with a reference to the code
    char text[96];
};

/// How an object was made.
struct granite_record {
    PyObjectPointer object;  ///< no reference; NULL = the record is free
    struct granite_origin origin;
    char place[sizeof(((struct granite_place *)0)->text)];  ///< of the Python function that ran, "" if there was none
};

/// A watched type. All of it is written with the GIL held that its objects are made under.
struct granite_watch {
    void *type;  ///< with a reference, for ever
    granite_allocate allocate;      ///< the type's own functions
    granite_deallocate deallocate;
    struct granite_record *records;  ///< GRANITE_MAX_RECORDS
    uint32_t *buckets;               ///< open addressing: index of the record + 1, or 0
    uint32_t used;                   ///< records that were ever used
    uint32_t free;                   ///< index + 1 of the first free one of those, linked by origin.tid
    uint32_t recorded;
    uint32_t unrecorded;      ///< living, but made while all records were taken
    uint64_t allocations;     ///< since it is watched
    uint64_t next_look;       ///< at so many allocations, what holds an old object is looked at
    struct granite_place places[GRANITE_KNOWN_PLACES];
    uint32_t next_place;  ///< to be replaced next
    struct granite_details holders;  ///< what was found: `referrer`, `referrers_of` and `held_by` lines
};

/// Looks at what holds an old object of the type, and fills `holders`. May run while the collector does: what that is
/// about to take apart is in none of its lists, and then no holder is found. Leaves no error. With the GIL held.
typedef void (*granite_look)(struct granite_watch *watch);

/// Begins to watch a type, or finds the watch that is. NULL if it is not a type on the heap with functions of its own
/// for creation and release, has a finalizer (tp_finalize), too many types are watched, or another interpreter begins
/// at the same time. A type whose release asks whether it is still the type's own (Py_TRASHCAN_BEGIN) releases long
/// chains by recursion from then on: PyO3's do not ask. Leaves no error. With the GIL held.
struct granite_watch *granite_watch_type(void *type, granite_look look);

/// The watch of a type or of its nearest base; NULL if there is none. With the GIL held.
struct granite_watch *granite_watch_of(void *type);

/// An object that is being released.
struct granite_release {
    const struct granite_watch *watch;
    PyObjectPointer object;
    const struct granite_record *record;  ///< NULL if its creation was not seen
};

/// What the calling thread is releasing now, the innermost; false if that is no object of a watched type.
bool granite_releasing(struct granite_release *release);

/// The record of a living object; NULL if there is none. With the GIL held.
const struct granite_record *granite_record_of(const struct granite_watch *watch, PyObjectPointer object);

/// Living objects of the type that were made since it is watched; once more than GRANITE_MAX_RECORDS were alive at a
/// time, a lower bound.
static inline uint32_t granite_living(const struct granite_watch *watch) { return watch->recorded + watch->unrecorded; }

#endif
