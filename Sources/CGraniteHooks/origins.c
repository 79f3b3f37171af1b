// Records who makes and releases objects of the watched types. A type belongs to one interpreter, and whoever makes or
// releases its objects holds that interpreter's GIL: it protects the records.

#define _GNU_SOURCE
#include "origins.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    bucket_count = 2 * GRANITE_MAX_RECORDS,
    bucket_mask = bucket_count - 1,
    /// Allocations after which what holds an old object is looked at, then after four times as many, and so on.
    first_look = 16,
    /// So many allocations record their whole native stack.
    full_stacks = 64,
    /// Releases within each other that are told apart; deeper ones are not known.
    max_releases = 8,
};

static struct granite_watch *watches[GRANITE_MAX_WATCHED_TYPES];
static uint32_t watch_count;
static granite_look look_at_holders;

/// The releases under way on a thread, the innermost last: one may cause others. Not on the stack: greenlets change
/// stacks in the middle of a release, and may end it before one that began later. Without the records themselves: a
/// library that is opened by dlopen(3) has some hundred bytes of initial-exec.
static __thread struct granite_release releases[max_releases] __attribute__((tls_model("initial-exec")));
static __thread uint32_t release_count __attribute__((tls_model("initial-exec")));

/// Addresses of objects are multiples of 16: the multiplication by 2^64 / golden ratio spreads them.
static uint32_t bucket_of(PyObjectPointer object) {
    return (uint32_t)(((uint64_t)(uintptr_t)object >> 4) * 0x9e3779b97f4a7c15ull >> 40) & bucket_mask;
}

/// The bucket that holds the object, or the free one where it would be. There is always a free one: half of them are.
static uint32_t find(const struct granite_watch *watch, PyObjectPointer object) {
    uint32_t bucket = bucket_of(object);
    while (watch->buckets[bucket] && watch->records[watch->buckets[bucket] - 1].object != object)
        bucket = (bucket + 1) & bucket_mask;
    return bucket;
}

/// With the GIL held.
const struct granite_record *granite_record_of(const struct granite_watch *watch, PyObjectPointer object) {
    uint32_t index = watch->buckets[find(watch, object)];
    return index ? &watch->records[index - 1] : NULL;
}

/// A record for the object, which has none; NULL if all are taken.
static struct granite_record *insert(struct granite_watch *watch, PyObjectPointer object) {
    uint32_t bucket = find(watch, object);
    uint32_t index = watch->buckets[bucket];
    if (!index) {
        if (watch->free) {
            index = watch->free;
            watch->free = watch->records[index - 1].origin.tid;
        } else if (watch->used < GRANITE_MAX_RECORDS) {
            index = ++watch->used;
        } else {
            return NULL;
        }
        watch->buckets[bucket] = index;
        watch->recorded++;
    }
    watch->records[index - 1].object = object;
    return &watch->records[index - 1];
}

/// Takes the object's record out, which stays as it is until it is given back; NULL if it has none.
static const struct granite_record *take(struct granite_watch *watch, PyObjectPointer object) {
    uint32_t hole = find(watch, object);
    uint32_t index = watch->buckets[hole];
    if (!index) return NULL;
    struct granite_record *record = &watch->records[index - 1];
    watch->recorded--;
    // What follows without a gap moves up if the hole is on its way from its own bucket: no mark of the deleted is
    // needed.
    uint32_t next = hole;
    for (;;) {
        next = (next + 1) & bucket_mask;
        if (!watch->buckets[next]) break;
        uint32_t home = bucket_of(watch->records[watch->buckets[next] - 1].object);
        if (((next - home) & bucket_mask) < ((next - hole) & bucket_mask)) continue;
        watch->buckets[hole] = watch->buckets[next];
        hole = next;
    }
    watch->buckets[hole] = 0;
    record->object = NULL;
    return record;
}

/// With the GIL held.
static void give_back(struct granite_watch *watch, const struct granite_record *record) {
    uint32_t index = (uint32_t)(record - watch->records);
    watch->records[index].origin.tid = watch->free;
    watch->free = index + 1;
}

/// With the GIL held.
struct granite_watch *granite_watch_of(void *type) {
    uint32_t count = __atomic_load_n(&watch_count, __ATOMIC_ACQUIRE);
    for (void *base = type; base; base = *granite_type_word(base, GRANITE_TYPE_BASE))
        for (uint32_t index = 0; index < count; index++)
            if (watches[index]->type == base) return watches[index];
    // Of several bases it may be another than the first that the functions come from.
    for (uint32_t index = 0; type && index < count; index++)
        if (granite_hooks_python.PyType_IsSubtype(type, watches[index]->type)) return watches[index];
    return NULL;
}

/// Where Python is; "" if it runs no function.
static const char *current_place(struct granite_watch *watch) {
    PyObjectPointer frame = granite_object_api.PyEval_GetFrame();
    struct granite_frame_position position;
    if (!granite_frame_position(frame, &position)) return "";
    for (int index = 0; index < GRANITE_KNOWN_PLACES; index++) {
        const struct granite_place *known = &watch->places[index];
        if (known->position.code == position.code && known->position.instruction == position.instruction)
            return known->text;
    }
    struct granite_place place = {.position = position};
    granite_frame_place(frame, place.text, sizeof place.text);
    granite_hooks_python.Py_IncRef(position.code);
    struct granite_place *oldest = &watch->places[watch->next_place];
    watch->next_place = (watch->next_place + 1) % GRANITE_KNOWN_PLACES;
    PyObjectPointer code = oldest->position.code;
    *oldest = place;
    granite_release(code);
    return oldest->text;
}

/// The first objects of a type, one of which the next report is about, get their stack by call frame information:
/// extension modules are built without frame pointers. Takes some microseconds each, and is glibc's own: no walk of
/// ours runs outside of a capture. Inlined: the innermost frame is the caller's.
static inline __attribute__((always_inline)) void capture_origin(const struct granite_watch *watch,
                                                                  struct granite_origin *origin) {
    granite_capture_origin(origin);
    if (watch->allocations > full_stacks) return;
    void *frames[GRANITE_MAX_CREATION_FRAMES];
    int count = backtrace(frames, GRANITE_MAX_CREATION_FRAMES);
    if (count <= (int)origin->frame_count) return;
    for (int index = 0; index < count; index++) origin->frames[index] = (uint64_t)(uintptr_t)frames[index];
    origin->frame_count = (uint32_t)count;
}

static void granite_watched_deallocate(PyObjectPointer object);

/// tp_alloc of watched types.
static PyObjectPointer granite_watched_allocate(void *type, ssize_t items) {
    struct granite_watch *watch = granite_watch_of(type);
    // Inherited by a type that ends its objects itself: a record would outlive them.
    if (*granite_type_word(type, GRANITE_TYPE_DEALLOC) != (void *)granite_watched_deallocate)
        return watch->allocate(type, items);
    if (++watch->allocations == watch->next_look) {
        watch->next_look *= 4;
        PyObjectPointer error[3];
        granite_hooks_python.PyErr_Fetch(&error[0], &error[1], &error[2]);
        look_at_holders(watch);
        granite_hooks_python.PyErr_Restore(error[0], error[1], error[2]);
    }
    // Before there is an object: making a frame object may start a collection, which must not find one without
    // contents.
    char place[sizeof watch->records->place];
    snprintf(place, sizeof place, "%s", current_place(watch));
    PyObjectPointer object = watch->allocate(type, items);
    if (!object) return NULL;
    struct granite_record *record = insert(watch, object);
    if (!record) {
        if (type == watch->type) watch->unrecorded++;
        return object;
    }
    capture_origin(watch, &record->origin);
    memcpy(record->place, place, sizeof place);
    return object;
}

/// With the GIL held.
static void begin_release(const struct granite_watch *watch, PyObjectPointer object,
                          const struct granite_record *record) {
    if (release_count == max_releases) return;
    releases[release_count++] = (struct granite_release){watch, object, record};
}

/// Most often the last one. With the GIL held.
static void end_release(const struct granite_watch *watch, PyObjectPointer object) {
    uint32_t index = release_count;
    while (index > 0 && (releases[index - 1].object != object || releases[index - 1].watch != watch)) index--;
    if (index == 0) return;
    for (; index < release_count; index++) releases[index - 1] = releases[index];
    release_count--;
}

/// tp_dealloc of watched types. What the type's own function does, in it the call of sys.unraisablehook, finds the
/// record.
static void granite_watched_deallocate(PyObjectPointer object) {
    struct granite_watch *watch = granite_watch_of(granite_type_of(object));
    const struct granite_record *record = take(watch, object);
    if (!record && watch->unrecorded > 0 && granite_type_of(object) == watch->type) watch->unrecorded--;
    // Nobody may find it in the collector's lists and take a reference to it while it goes, least of all the search for
    // referrers. Types should do so themselves; once more is as good, but for exceptions, which do so by a macro that
    // needs them tracked: all before 3.11, OSError and others ever since.
    unsigned long flags = granite_hooks_python.PyType_GetFlags(granite_type_of(object));
    if ((flags & GRANITE_TYPE_IS_COLLECTED) && !(flags & GRANITE_TYPE_IS_EXCEPTION))
        granite_object_api.PyObject_GC_UnTrack(object);
    begin_release(watch, object, record);
    watch->deallocate(object);
    end_release(watch, object);
    if (record) give_back(watch, record);
}

bool granite_releasing(struct granite_release *release) {
    if (release_count == 0) return false;
    *release = releases[release_count - 1];
    return true;
}

/// Whether the function is the interpreter's own: subtype_dealloc looks for the first base with another function than
/// itself, and would call ours for ever.
static bool is_interpreters(void *function) {
    Dl_info own, other;
    return !dladdr(granite_object_api.PyType_Type, &own) || !dladdr(function, &other) ||
           own.dli_fbase == other.dli_fbase;
}

/// With the GIL held, one thread at a time.
static struct granite_watch *begin_to_watch(void *type, granite_look look) {
    for (uint32_t index = 0; index < watch_count; index++)
        if (watches[index]->type == type) return watches[index];
    if (watch_count == GRANITE_MAX_WATCHED_TYPES || !granite_load_object_api()) return NULL;
    if (!(granite_hooks_python.PyType_GetFlags(type) & GRANITE_TYPE_IS_ON_HEAP)) return NULL;
    void **allocate_at = granite_type_word(type, GRANITE_TYPE_ALLOC);
    void **deallocate_at = granite_type_word(type, GRANITE_TYPE_DEALLOC);
    // The interpreter's own view of both slots is the proof of the offsets.
    if (!*allocate_at || granite_object_api.PyType_GetSlot(type, GRANITE_SLOT_ALLOC) != *allocate_at) return NULL;
    if (!*deallocate_at || granite_object_api.PyType_GetSlot(type, GRANITE_SLOT_DEALLOC) != *deallocate_at) return NULL;
    if (is_interpreters(*deallocate_at)) return NULL;
    // A finalizer may bring an object back to life whose record is gone, and which the collector follows no more.
    if (*granite_type_word(type, GRANITE_TYPE_FINALIZE)) return NULL;
    // Of a type and its base one is watched: which of the two functions calls the other is not known.
    for (uint32_t index = 0; index < watch_count; index++)
        if (granite_hooks_python.PyType_IsSubtype(type, watches[index]->type) ||
            granite_hooks_python.PyType_IsSubtype(watches[index]->type, type))
            return NULL;
    struct granite_watch *watch = calloc(1, sizeof *watch);
    if (!watch) return NULL;
    // Zero pages of the kernel: memory is used by what is recorded.
    watch->records = calloc(GRANITE_MAX_RECORDS, sizeof *watch->records);
    watch->buckets = calloc(bucket_count, sizeof *watch->buckets);
    if (!watch->records || !watch->buckets) {
        free(watch->records);
        free(watch->buckets);
        free(watch);
        return NULL;
    }
    watch->type = type;
    watch->allocate = (granite_allocate)*allocate_at;
    watch->deallocate = (granite_deallocate)*deallocate_at;
    watch->next_look = first_look;
    look_at_holders = look;
    granite_hooks_python.Py_IncRef(type);
    // Another interpreter with a GIL of its own may be looking through the list.
    watches[watch_count] = watch;
    __atomic_store_n(&watch_count, watch_count + 1, __ATOMIC_RELEASE);
    *allocate_at = (void *)granite_watched_allocate;
    *deallocate_at = (void *)granite_watched_deallocate;
    return watch;
}

/// With the GIL held.
struct granite_watch *granite_watch_type(void *type, granite_look look) {
    static bool is_busy;
    // Another interpreter with a GIL of its own is at it.
    if (__atomic_exchange_n(&is_busy, true, __ATOMIC_ACQUIRE)) return NULL;
    struct granite_watch *watch = begin_to_watch(type, look);
    __atomic_store_n(&is_busy, false, __ATOMIC_RELEASE);
    return watch;
}
