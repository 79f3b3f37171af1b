// Searches the classes of the process by type.__subclasses__: extension modules need not publish theirs.

#define _GNU_SOURCE
#include "type_search.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { max_lists = 256 };

struct search {
    const char *name;
    const char *last;           ///< component of the name
    PyObjectPointer subclasses; ///< of `type`, which no metaclass can replace
    void *interpreter;          ///< base address of the object that holds it
    void *found;                ///< with a reference
    int rank;  ///< of what was found
    bool ambiguous;
};

/// How well a type fits: 0 not at all, 1 by its last name, 2 by its module too, 3 by its whole name.
static int rank(const struct search *search, void *type) {
    const char *own = *granite_type_word(type, GRANITE_TYPE_NAME);
    if (strcmp(granite_last_component(own), search->last) != 0) return 0;
    if (!(granite_hooks_python.PyType_GetFlags(type) & GRANITE_TYPE_IS_ON_HEAP)) return 0;
    // A class that was written in Python is released by the interpreter's own function.
    Dl_info info;
    if (!dladdr(*granite_type_word(type, GRANITE_TYPE_DEALLOC), &info)) return 0;
    if (info.dli_fbase == search->interpreter) return 0;
    char full[256];
    granite_type_name(type, full, sizeof full);
    if (strcmp(full, search->name) == 0) return 3;
    // The crate's name is the library's, and most often the last of the module's.
    size_t crate = strcspn(search->name, ":.");
    if (crate == strlen(search->name)) return 1;
    const char *file = info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    if (file && strncmp(file + 1, search->name, crate) == 0 && file[1 + crate] == '.') return 2;
    return 1;
}

/// Looks at the classes that derive from `type`, and at those that derive from extension types among them.
static void search_below(struct search *search, void *type, int depth, int *lists) {
    const struct granite_hooks_python *py = &granite_hooks_python;
    if (++*lists > max_lists) return;
    PyObjectPointer list = py->PyObject_CallFunctionObjArgs(search->subclasses, type, NULL);
    if (!list) {
        py->PyErr_Clear();
        return;
    }
    ssize_t count = py->PyList_Size(list);
    for (ssize_t index = 0; index < count; index++) {
        void *candidate = py->PyList_GetItem(list, index);
        int own = rank(search, candidate);
        if (own > search->rank) {
            granite_release(search->found);
            py->Py_IncRef(candidate);
            search->found = candidate;
            search->rank = own;
            search->ambiguous = false;
        } else if (own > 0 && own == search->rank && candidate != search->found) {
            search->ambiguous = true;
        }
        Dl_info info;
        if (depth < 3 && (py->PyType_GetFlags(candidate) & GRANITE_TYPE_IS_ON_HEAP) &&
            dladdr(*granite_type_word(candidate, GRANITE_TYPE_DEALLOC), &info) && info.dli_fbase != search->interpreter)
            search_below(search, candidate, depth + 1, lists);
    }
    granite_release(list);
}

/// With the GIL held.
void *granite_find_type(const char *name) {
    Dl_info info;
    if (!granite_load_object_api() || !dladdr(granite_object_api.PyType_Type, &info)) return NULL;
    struct search search = {.name = name, .last = granite_last_component(name), .interpreter = info.dli_fbase};
    search.subclasses = granite_attribute(granite_object_api.PyType_Type, "__subclasses__");
    if (!search.subclasses || !*search.last) return NULL;
    int lists = 0;
    search_below(&search, granite_object_api.PyBaseObject_Type, 0, &lists);
    granite_release(search.subclasses);
    if (!search.ambiguous) return search.found;
    granite_release(search.found);
    return NULL;
}
