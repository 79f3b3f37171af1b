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

#endif
