// x86_64: registers in DWARF order, the thread pointer and the trap words of an interrupted thread.
// Include after <ucontext.h> with _GNU_SOURCE, through arch.h.

#ifndef GRANITE_ARCH_X86_64_H
#define GRANITE_ARCH_X86_64_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "granite_crash_page.h"

/// System V psABI for x86-64, figure 3.36: rax rdx rcx rbx rsi rdi rbp rsp r8..r15, then the return address column.
enum { GRANITE_ARCH_REGISTERS = 17, GRANITE_ARCH_STACK_POINTER = 7, GRANITE_ARCH_PROGRAM_COUNTER = 16 };

/// int3 leaves rip behind the instruction, so running it again does not trap again (Intel SDM vol. 3, 6.15: trap
/// class).
enum { GRANITE_ARCH_TRAP_REPEATS = false };

/// Bytes below the stack pointer that a leaf function may use (psABI, red zone).
enum { GRANITE_ARCH_RED_ZONE = 128 };

/// Async-signal-safe. Copies the interrupted registers, in DWARF order.
static inline void granite_arch_store_registers(const ucontext_t *context, uint64_t *registers) {
    static const int order[GRANITE_ARCH_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                                      REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                                      REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    for (int i = 0; i < GRANITE_ARCH_REGISTERS; i++) registers[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
}

/// Async-signal-safe. The word at fs:0 is the thread control block's own address (psABI, TLS variant II).
static inline uint64_t granite_arch_thread_pointer(void) {
    uint64_t pointer;
    __asm__("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
}

/// Async-signal-safe. The processor's exception number, see sigcontext in <asm/sigcontext.h>.
static inline uint32_t granite_arch_trap_number(const ucontext_t *context) {
    return (uint32_t)context->uc_mcontext.gregs[REG_TRAPNO];
}

/// Async-signal-safe. For a page fault: bit 1 = write, bit 4 = instruction fetch (Intel SDM vol. 3, 4.7).
static inline uint64_t granite_arch_error_code(const ucontext_t *context) {
    return (uint64_t)context->uc_mcontext.gregs[REG_ERR];
}

/// Async-signal-safe. Calls `body(argument)` on the stack that ends at `top` (16-byte aligned), after it gave the thread
/// `alternate` by sigaltstack(2): the kernel refuses that while the thread is on its alternate stack.
static inline void granite_arch_call_on_stack(void (*body)(void *), void *argument, char *top, const stack_t *alternate) {
    register void *first __asm__("rdi") = (void *)alternate;
    register long second __asm__("rsi") = 0;
    register void *third __asm__("rdx") = argument;  // a system call changes rax, rcx and r11 only
    long number = 131;                               // sigaltstack
    // rbx outlives the call (psABI 3.2.1); the frame pointer finds this frame again.
    __asm__ volatile(
        "movq %%rsp, %%rbx\n\t"
        "movq %[top], %%rsp\n\t"
        "syscall\n\t"
        "movq %%rdx, %%rdi\n\t"
        "callq *%[body]\n\t"
        "movq %%rbx, %%rsp"
        : "+a"(number), "+r"(first), "+r"(second), "+r"(third)
        : [body] "r"(body), [top] "r"(top)
        : "rbx", "rcx", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
          "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

#endif
