/* A cursor that belongs to its thread, used on another one: what granite_bind.h tells of it. C99, or C++.

   cc -g -fno-omit-frame-pointer -pthread -I ../../Sources/CGraniteCapture/include cursor.c -o cursor
   granite-crash run -- ./cursor

   Without Granite it runs all the same: every call of the header does nothing. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "granite_bind.h"

struct cursor {
    struct granite_bound bound;
    int row;
};

static struct cursor *cursor_open(void) {
    struct cursor *cursor = (struct cursor *)calloc(1, sizeof *cursor);
    if (!cursor) abort();
    granite_bind(&cursor->bound, "database cursor");
    granite_annotate("cursor", "opened");
    return cursor;
}

/* Refuses on another thread than the cursor's; the first refusal makes a report. */
static int cursor_next(struct cursor *cursor) {
    if (!granite_check(&cursor->bound)) return -1;
    return ++cursor->row;
}

static void cursor_close(struct cursor *cursor) {
    granite_drop(&cursor->bound);
    free(cursor);
}

static void *worker(void *value) {
    struct cursor *cursor = (struct cursor *)value;
    printf("on another thread: row %d\n", cursor_next(cursor));
    cursor_close(cursor);
    return NULL;
}

int main(void) {
    struct cursor *cursor = cursor_open();
    pthread_t thread;
    printf("on its own thread: row %d\n", cursor_next(cursor));
    if (pthread_create(&thread, NULL, worker, cursor) != 0) return 1;
    pthread_join(thread, NULL);
    return 0;
}
