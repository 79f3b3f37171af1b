// What differs between processors: registers, thread pointer, traps. One file per architecture, chosen here.

#ifndef GRANITE_ARCH_H
#define GRANITE_ARCH_H

#if defined(__x86_64__)
#include "arch_x86_64.h"
#elif defined(__aarch64__)
#include "arch_aarch64.h"
#else
#error "Granite knows the registers of x86_64 and aarch64 only"
#endif

_Static_assert(GRANITE_ARCH_REGISTERS <= GRANITE_MAX_REGISTERS, "a thread's registers fit into the page");

#endif
