/* Uses granite_bind.h as a program does that was not written for Granite; C and C++. Ends with 0 if all calls answer as they should:
   `bind under` with the capture in the process, page at descriptor 10, `bind alone` without. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "granite_bind.h"

struct cursor {
    struct granite_bound bound;
    int rows;
};

struct options {
    int page_fd;
    int memory_socket;
    uint32_t level, park_deadline_ms, serve_deadline_ms;
    size_t stack_bytes, crashed_stack_bytes;
};

static int install(void) {
    struct options options = {10, -1, 1, 20000, 0, 0, 0};
    union {
        void *address;
        int (*call)(const struct options *);
    } function;
    function.address = dlsym(RTLD_DEFAULT, "granite_capture_install");
    return function.address ? function.call(&options) : -1;
}

static int checked_elsewhere = -1;

static void *elsewhere(void *value) {
    struct cursor *cursor = (struct cursor *)value;
    int i;
    for (i = 0; i < 5; i++) checked_elsewhere = granite_check(&cursor->bound);
    granite_drop(&cursor->bound);
    return NULL;
}

int main(int count, char **words) {
    int alone = count > 1 && strcmp(words[1], "alone") == 0;
    struct cursor cursor = {{NULL, {0}}, 3};
    pthread_t thread;
    if (!alone && install() != 0) return 10;
    if (!granite_check(&cursor.bound)) return 11;
    granite_bind(&cursor.bound, "database cursor");
    granite_annotate("bind", "the cursor is open");
    if (!granite_check(&cursor.bound)) return 12;
    if (pthread_create(&thread, NULL, elsewhere, &cursor) != 0) return 13;
    pthread_join(thread, NULL);
    if (checked_elsewhere != alone) return 14;
    if (!granite_check(&cursor.bound)) return 15;
    granite_report("the end", "all is done");
    return cursor.rows == 3 ? 0 : 16;
}
