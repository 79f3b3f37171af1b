// Searches the references to an object backwards, by gc.get_referrers, until they come round.

#define _GNU_SOURCE
#include "cycles.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { max_nodes = 64, max_depth = 24, max_types = 8 };

/// Objects that lead to the first one, nearest first. With the GIL held all the time nothing of it changes.
struct graph {
    PyObjectPointer nodes[max_nodes];  ///< with a reference each
    uint64_t refers_to[max_nodes];     ///< bit N: refers to node N
    int count;
};

/// Of this thread's work: on a busy machine the clock of the wall says little about it.
static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/// What everything hangs together by: behind it is the whole program, and no cause.
static bool is_terminal(PyObjectPointer object) {
    const struct granite_object_api *api = &granite_object_api;
    void *type = granite_type_of(object);
    if (type == api->PyModule_Type || type == granite_hooks_python.PyFunction_Type || type == api->PyCode_Type ||
        type == granite_hooks_python.PyCFunction_Type || granite_type_derives(type, api->PyType_Type))
        return true;
    // The globals of a module.
    return type == api->PyDict_Type && granite_hooks_python.PyDict_GetItemString(object, "__builtins__");
}

struct visit {
    const struct graph *graph;
    uint64_t found;
};

static int visit(PyObjectPointer object, void *argument) {
    struct visit *visit = argument;
    for (int node = 0; node < visit->graph->count; node++)
        if (visit->graph->nodes[node] == object) visit->found |= 1ull << node;
    return 0;
}

/// The nodes that an object refers to.
static uint64_t referents(const struct graph *graph, PyObjectPointer object) {
    granite_traverse traverse = (granite_traverse)*granite_type_word(granite_type_of(object), GRANITE_TYPE_TRAVERSE);
    struct visit state = {graph, 0};
    if (traverse) traverse(object, visit, &state);
    return state.found;
}

/// A method of the module gc without arguments.
static PyObjectPointer call(PyObjectPointer module, const char *name) {
    PyObjectPointer method = granite_attribute(module, name);
    PyObjectPointer result = method ? granite_hooks_python.PyObject_CallFunctionObjArgs(method, NULL) : NULL;
    granite_release(method);
    if (!result) granite_hooks_python.PyErr_Clear();
    return result;
}

/// The list of what refers to the nodes from `first` on; NULL if it cannot be had. `arguments` is what is passed, one
/// of the referrers.
static PyObjectPointer referrers(const struct graph *graph, int first, PyObjectPointer method,
                                 PyObjectPointer *arguments) {
    *arguments = granite_object_api.PyTuple_New(graph->count - first);
    if (!*arguments) return NULL;
    for (int node = first; node < graph->count; node++) {
        granite_hooks_python.Py_IncRef(graph->nodes[node]);
        granite_object_api.PyTuple_SetItem(*arguments, node - first, graph->nodes[node]);
    }
    return granite_hooks_python.PyObject_Call(method, *arguments, NULL);
}

/// `referrer=COUNT TYPE` for the list, without `arguments`.
static void add_types(PyObjectPointer list, PyObjectPointer arguments, struct granite_details *details) {
    void *types[max_types];
    int counts[max_types], used = 0;
    ssize_t length = granite_hooks_python.PyList_Size(list);
    for (ssize_t index = 0; index < length; index++) {
        PyObjectPointer object = granite_hooks_python.PyList_GetItem(list, index);
        if (object == arguments) continue;
        int slot = 0;
        while (slot < used && types[slot] != granite_type_of(object)) slot++;
        if (slot == used) {
            if (used == max_types) continue;
            types[used] = granite_type_of(object);
            counts[used++] = 0;
        }
        counts[slot]++;
    }
    for (; used > 0; used--) {
        int most = 0;
        for (int slot = 1; slot < used; slot++)
            if (counts[slot] > counts[most]) most = slot;
        char name[128];
        granite_type_name(types[most], name, sizeof name);
        granite_details_add(details, "referrer", "%d %s", counts[most], name);
        types[most] = types[used - 1];
        counts[most] = counts[used - 1];
    }
}

/// A shortest way of references from one node to another, which may be itself, in `path`: `from` first, `to` last. 0 if
/// there is none.
static int shortest_path(const struct graph *graph, int from, int to, int *path) {
    int previous[max_nodes], queue[max_nodes], head = 0, tail = 0;
    uint64_t seen = 0;
    for (queue[tail++] = from; head < tail; head++) {
        int node = queue[head];
        if (graph->refers_to[node] >> to & 1) {
            int length = 1;
            for (int step = node; step != from; step = previous[step]) length++;
            path[length] = to;
            for (int position = length - 1, step = node;; step = previous[step]) {
                path[position--] = step;
                if (position < 0) break;
            }
            return length + 1;
        }
        for (int next = 0; next < graph->count; next++) {
            if (!(graph->refers_to[node] >> next & 1) || (seen >> next & 1) || next == from) continue;
            seen |= 1ull << next;
            previous[next] = node;
            queue[tail++] = next;
        }
    }
    return 0;
}

/// One step: what the node is, and by what it holds the next.
static void add_step(const struct graph *graph, int node, int next, bool again, struct granite_details *details) {
    const struct granite_object_api *api = &granite_object_api;
    PyObjectPointer object = graph->nodes[node];
    void *type = granite_type_of(object), *next_type = granite_type_of(graph->nodes[next]);
    char what[224], name[160], by[80] = "";
    if (type == api->PyFrame_Type && granite_frame_place(object, name, sizeof name)) {
        snprintf(what, sizeof what, "frame %s", name);
        char local[64];
        if (granite_frame_local(object, graph->nodes[next], local, sizeof local))
            snprintf(by, sizeof by, "local %s", local);
        else if (next_type == api->PyFrame_Type)
            snprintf(by, sizeof by, "its caller");
    } else if (type == api->PyTraceBack_Type) {
        snprintf(what, sizeof what, "traceback");
        if (next_type == api->PyFrame_Type) snprintf(by, sizeof by, "its frame");
    } else {
        granite_type_name(type, name, sizeof name);
        const char *builtin = "builtins.";
        snprintf(what, sizeof what, "%s", strncmp(name, builtin, strlen(builtin)) == 0 ? name + strlen(builtin) : name);
        if (next_type == api->PyTraceBack_Type) snprintf(by, sizeof by, "its traceback");
    }
    granite_details_add(details, "held_by", "%s%s%s%s", what, again ? " again" : "", by[0] ? ", " : "", by);
}

/// Adds the nearest cycle that leads to the first node, and the way from there to it; false if there is none.
static bool add_cycle(const struct graph *graph, struct granite_details *details) {
    for (int start = 0; start < graph->count; start++) {
        int cycle[max_nodes + 1], way[max_nodes + 1], away = 0;
        int around = shortest_path(graph, start, start, cycle);
        if (!around || (start != 0 && !(away = shortest_path(graph, start, 0, way)))) continue;
        for (int step = 0; step + 1 < around; step++) add_step(graph, cycle[step], cycle[step + 1], false, details);
        for (int step = 0; step + 1 < away; step++) add_step(graph, way[step], way[step + 1], step == 0, details);
        return true;
    }
    return false;
}

/// Grows the graph by a step at a time until a cycle is in it.
static bool search(struct graph *graph, PyObjectPointer method, uint64_t *budget_ns, struct granite_details *details) {
    uint64_t longest = 0;
    for (int depth = 0, first = 0; depth < max_depth; depth++) {
        uint64_t at = now();
        if (longest > *budget_ns) return false;
        PyObjectPointer arguments;
        PyObjectPointer list = referrers(graph, first, method, &arguments);
        if (!list) granite_hooks_python.PyErr_Clear();
        int last = graph->count;
        ssize_t length = list ? granite_hooks_python.PyList_Size(list) : 0;
        if (depth == 0 && list) add_types(list, arguments, details);
        for (ssize_t index = 0; index < length; index++) {
            PyObjectPointer object = granite_hooks_python.PyList_GetItem(list, index);
            if (object == arguments || is_terminal(object)) continue;
            int node = 0;
            while (node < graph->count && graph->nodes[node] != object) node++;
            if (node == max_nodes) continue;
            if (node == graph->count) {
                granite_hooks_python.Py_IncRef(object);
                graph->nodes[graph->count++] = object;
                graph->refers_to[node] = 0;
            }
            graph->refers_to[node] |= referents(graph, object);
        }
        granite_release(list);
        granite_release(arguments);
        bool is_cycle = add_cycle(graph, details);
        uint64_t took = now() - at;
        if (took > longest) longest = took;
        *budget_ns -= took < *budget_ns ? took : *budget_ns;
        if (is_cycle) return true;
        if (graph->count == last) return false;
        first = last;
    }
    return false;
}

/// With the GIL held.
bool granite_describe_holders(PyObjectPointer object, uint64_t *budget_ns, struct granite_details *details) {
    if (!granite_load_object_api()) return false;
    PyObjectPointer gc = granite_hooks_python.PyImport_ImportModule("gc");
    PyObjectPointer method = granite_attribute(gc, "get_referrers");
    PyObjectPointer enabled = call(gc, "isenabled");
    bool found = false;
    if (method && enabled) {
        bool is_enabled = granite_object_api.PyObject_IsTrue(enabled) == 1;
        if (is_enabled) granite_release(call(gc, "disable"));
        struct graph graph = {.count = 1};
        granite_hooks_python.Py_IncRef(object);
        graph.nodes[0] = object;
        found = search(&graph, method, budget_ns, details);
        // None of these is the last reference: all were found in something that lives.
        for (int node = 0; node < graph.count; node++) granite_release(graph.nodes[node]);
        if (is_enabled) granite_release(call(gc, "enable"));
    } else {
        granite_hooks_python.PyErr_Clear();
    }
    granite_release(enabled);
    granite_release(method);
    granite_release(gc);
    return found;
}
