// aarch64: registers in DWARF order, the thread pointer and the trap words of an interrupted thread.
// Written after the documents; nothing of it has run yet. Include after <ucontext.h> with _GNU_SOURCE, through arch.h.

#ifndef GRANITE_ARCH_AARCH64_H
#define GRANITE_ARCH_AARCH64_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "granite_crash_page.h"

/// DWARF for the Arm 64-bit architecture, table 4: x0..x30, sp, pc.
enum { GRANITE_ARCH_REGISTERS = 33, GRANITE_ARCH_STACK_POINTER = 31, GRANITE_ARCH_PROGRAM_COUNTER = 32 };

/// brk leaves pc at the instruction: running it again traps again.
enum { GRANITE_ARCH_TRAP_REPEATS = true };

/// AAPCS64 has no red zone.
enum { GRANITE_ARCH_RED_ZONE = 0 };

/// Async-signal-safe. Copies the interrupted registers, in DWARF order.
static inline void granite_arch_store_registers(const ucontext_t *context, uint64_t *registers) {
    for (int i = 0; i < 31; i++) registers[i] = context->uc_mcontext.regs[i];
    registers[GRANITE_ARCH_STACK_POINTER] = context->uc_mcontext.sp;
    registers[GRANITE_ARCH_PROGRAM_COUNTER] = context->uc_mcontext.pc;
}

/// Async-signal-safe. tpidr_el0 holds the thread pointer (AAPCS64).
static inline uint64_t granite_arch_thread_pointer(void) {
    uint64_t pointer;
    __asm__("mrs %0, tpidr_el0" : "=r"(pointer));
    return pointer;
}

/// Async-signal-safe. The kernel gives no exception number here; the page's field stays 0.
static inline uint32_t granite_arch_trap_number(const ucontext_t *context) {
    (void)context;
    return 0;
}

/// Async-signal-safe. The exception syndrome lies in an extension record of the signal frame (<asm/sigcontext.h>,
/// esr_context).
static inline uint64_t granite_arch_error_code(const ucontext_t *context) {
    enum { esr_magic = 0x45535201 };
    struct record {
        uint32_t magic;
        uint32_t size;
        uint64_t value;
    };
    const uint8_t *records = (const uint8_t *)context->uc_mcontext.__reserved;
    for (uint32_t offset = 0; offset + sizeof(struct record) <= sizeof context->uc_mcontext.__reserved;) {
        const struct record *record = (const struct record *)(records + offset);
        if (record->magic == esr_magic) return record->value;
        if (record->magic == 0 || record->size == 0) break;
        offset += record->size;
    }
    return 0;
}

/// Async-signal-safe. Calls `body(argument)` on the stack that ends at `top` (16-byte aligned), after it gave the thread
/// `alternate` by sigaltstack(2): the kernel refuses that while the thread is on its alternate stack.
static inline void granite_arch_call_on_stack(void (*body)(void *), void *argument, char *top, const stack_t *alternate) {
    register const void *first __asm__("x0") = alternate;
    register long second __asm__("x1") = 0;
    register long number __asm__("x8") = 132;  // sigaltstack
    // x19 to x21 outlive the call (AAPCS64 6.1.1).
    __asm__ volatile(
        "mov x19, sp\n\t"
        "mov x20, %[body]\n\t"
        "mov x21, %[argument]\n\t"
        "mov sp, %[top]\n\t"
        "svc #0\n\t"
        "mov x0, x21\n\t"
        "blr x20\n\t"
        "mov sp, x19"
        : "+r"(first), "+r"(second), "+r"(number)
        : [body] "r"(body), [argument] "r"(argument), [top] "r"(top)
        : "x2", "x3", "x4", "x5", "x6", "x7", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x19", "x20",
          "x21", "x30", "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20",
          "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

#endif
