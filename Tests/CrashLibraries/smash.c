// A C extension that writes over its own frame, and is caught by the compiler's guard (-fstack-protector-all) or by the checked
// functions of glibc (-D_FORTIFY_SOURCE=2).

#include <string.h>

#define KEPT __attribute__((noinline))
#define STAY __asm__ volatile("" ::: "memory")

static const char *volatile text = "a text that is far longer than the eight bytes that were put aside for it";

#ifdef CHECKED
KEPT int copy_name(void) {
    char name[8];
    strcpy(name, text);
    STAY;
    return name[0];
}
#else
KEPT int copy_name(void) {
    char name[8];
    // Into the guard above the name, and not as far as the return address: its caller stays known.
    for (volatile int i = 0; i < 12; i++) ((volatile char *)name)[i] = text[i];
    STAY;
    return name[0];
}
#endif

KEPT int granite_probe_library(void) {
    int value = copy_name();
    STAY;
    return value + 1;
}
