// Describes an object for a report: its type, who made it, what keeps its like alive. Puts together what types, origins
// and cycles tell.

#define _GNU_SOURCE
#include "describe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cycles.h"
#include "origins.h"
#include "type_search.h"

enum {
    /// What a search for holders may take, when a report is due, and before, while objects are made: a cycle is found
    /// in as many steps as it has, of some milliseconds each.
    look_budget_ns = 100000000,
    max_candidates = 4,
};

/// Not one that is being taken apart, nor what took its memory if nobody saw it go.
static bool is_whole(const struct granite_watch *watch, PyObjectPointer object) {
    return *(const int64_t *)object > 0 && granite_type_of(object) == watch->type;
}

/// Living objects of the type that were made long ago: the oldest, and some from all over the records. With the GIL
/// held.
static int candidates(const struct granite_watch *watch, PyObjectPointer *objects) {
    const struct granite_record *oldest = NULL;
    for (uint32_t index = 0; index < watch->used; index++) {
        const struct granite_record *record = &watch->records[index];
        if (!record->object || (oldest && record->origin.created_ns >= oldest->origin.created_ns)) continue;
        if (is_whole(watch, record->object)) oldest = record;
    }
    if (!oldest) return 0;
    int count = 0;
    objects[count++] = oldest->object;
    for (uint32_t part = 1; part < max_candidates; part++) {
        uint32_t index = (uint32_t)((uint64_t)watch->used * part / max_candidates);
        while (index < watch->used && (!watch->records[index].object || &watch->records[index] == oldest)) index++;
        if (index == watch->used) continue;
        PyObjectPointer object = watch->records[index].object;
        if (!is_whole(watch, object)) continue;
        if (object != objects[count - 1]) objects[count++] = object;
    }
    return count;
}

/// Fills watch->holders, if one of the candidates is held by a cycle; else with the direct referrers of the oldest.
/// With the GIL held.
static void look(struct granite_watch *watch) {
    if (strstr(watch->holders.text, "held_by=")) return;
    PyObjectPointer objects[max_candidates];
    int count = candidates(watch, objects);
    uint64_t budget_ns = look_budget_ns;
    // Nothing is freed before the search ends, which holds the GIL and runs no code of the application.
    for (int index = 0; index < count; index++) {
        struct granite_details holders = {.length = 0};
        granite_details_add(&holders, "referrers_of", "another");
        size_t empty = holders.length;
        bool is_cycle = granite_describe_holders(objects[index], &budget_ns, &holders);
        if (is_cycle || (watch->holders.length == 0 && holders.length > empty)) watch->holders = holders;
        if (is_cycle) return;
    }
}

/// Adds whole lines. Any thread.
static void append(struct granite_details *details, const struct granite_details *lines) {
    const char *line = lines->text;
    for (const char *end; (end = strchr(line, '\n')); line = end + 1) {
        size_t length = (size_t)(end - line) + 1;
        if (length >= sizeof details->text - details->length) return;
        memcpy(details->text + details->length, line, length);
        details->length += length;
        details->text[details->length] = 0;
    }
}

/// With the GIL held.
static void describe_origin(const struct granite_record *record, struct granite_details *details,
                            struct granite_owner *owner) {
    owner->known = true;
    owner->tid = record->origin.tid;
    owner->created_ns = record->origin.created_ns;
    // The first is our own function in place of tp_alloc.
    uint32_t count = record->origin.frame_count > 0 ? record->origin.frame_count - 1 : 0;
    memcpy(owner->frames, record->origin.frames + 1, count * sizeof *owner->frames);
    owner->frame_count = count;
    memcpy(owner->name, record->origin.thread_name, sizeof owner->name);
    owner->name[sizeof owner->name - 1] = 0;
    bool is_alive = syscall(SYS_tgkill, getpid(), record->origin.tid, 0) == 0;
    granite_details_add(details, "owner_state", is_alive ? "alive" : "ended");
    if (record->place[0]) granite_details_add(details, "created_in", "%s", record->place);
}

/// Whether a type has the last component of a name that Rust or Python gives it.
static bool has_name(void *type, const char *type_name) {
    const char *own = *granite_type_word(type, GRANITE_TYPE_NAME);
    return strcmp(granite_last_component(own), granite_last_component(type_name)) == 0;
}

/// Whether the message's type is the one that is watched.
static bool is_named(const struct granite_watch *watch, void *type, const char *type_name) {
    return type ? granite_type_derives(type, watch->type) : has_name(watch->type, type_name);
}

/// The type of an instance is a type of interest, that of a function or a class is not.
static bool is_instance(PyObjectPointer object) {
    void *type = granite_type_of(object);
    return type != granite_hooks_python.PyFunction_Type && type != granite_hooks_python.PyCFunction_Type &&
           !granite_type_derives(type, granite_object_api.PyType_Type);
}

/// With the GIL held.
void granite_describe_object(PyObjectPointer object, void *type, bool unsendable, const char *type_name,
                             struct granite_details *details, struct granite_owner *owner) {
    *owner = (struct granite_owner){0};
    if (!type_name) type_name = "";
    if (!granite_load_object_api()) {
        if (type_name[0]) granite_details_add(details, "type", "%s", type_name);
        return;
    }
    // Some versions of PyO3 tell of the type where they cannot tell of the object.
    if (object && granite_type_derives(granite_type_of(object), granite_object_api.PyType_Type)) {
        type = object;
        object = NULL;
    }
    if (!type && object) type = granite_type_of(object);
    // It is the message that knows what is bound to a thread; what was at hand may be another object.
    if (type && unsendable && !has_name(type, type_name)) type = object = NULL;
    struct granite_release release = {0};
    if (!granite_releasing(&release) || !is_named(release.watch, type, type_name))
        release = (struct granite_release){0};
    if (!type && release.watch) type = release.watch->type;
    PyObjectPointer found = !type && unsendable ? granite_find_type(type_name) : NULL;
    if (found) type = found;
    char name[256] = "";
    if (type) granite_type_name(type, name, sizeof name);
    // A Rust class of which nobody said its module claims to be a builtin.
    bool is_told = type_name[0] && (!type || !unsendable || strncmp(name, "builtins.", 9) == 0);
    if (is_told || name[0]) granite_details_add(details, "type", "%s", is_told ? type_name : name);

    struct granite_watch *watch = type ? granite_watch_of(type) : NULL;
    bool is_unwatched = !watch && type && unsendable;
    if (is_unwatched) granite_watch_type(type, look);
    granite_release(found);  // a watch keeps its own
    if (is_unwatched) return;
    if (!watch) {
        // A count of nothing: it is being taken apart, and may be touched no more.
        uint64_t budget_ns = look_budget_ns;
        if (object && *(const int64_t *)object > 0 && is_instance(object))
            granite_describe_holders(object, &budget_ns, details);
        return;
    }
    const struct granite_record *record = release.record;
    if (!record && object && object != release.object) record = granite_record_of(watch, object);
    if (record) describe_origin(record, details, owner);
    // Those that were made before it was watched are not counted: of none, nothing is said.
    if (granite_living(watch) > 0) granite_details_add(details, "living", "%u", granite_living(watch));
    look(watch);
    append(details, &watch->holders);
}

/// With the GIL held.
bool granite_origin_known(void *type) {
    struct granite_release release;
    return granite_releasing(&release) && release.record && (!type || granite_type_derives(type, release.watch->type));
}

/// With the GIL held.
void granite_watch_named_types(void) {
    static enum { unknown, some, none } left;
    static time_t looked_at;
    if (left == unknown) left = getenv("GRANITE_WATCH_TYPES") ? some : none;
    if (left == none) return;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    if (time.tv_sec == looked_at) return;
    looked_at = time.tv_sec;
    const char *names = getenv("GRANITE_WATCH_TYPES");
    bool all = true;
    while (names && *names) {
        size_t length = strcspn(names, ",");
        char name[128];
        if (length > 0 && length < sizeof name) {
            memcpy(name, names, length);
            name[length] = 0;
            void *type = granite_find_type(name);
            if (type)
                granite_watch_type(type, look);
            else
                all = false;
            granite_release(type);
        }
        names += length + (names[length] == ',');
    }
    if (all) left = none;
}
