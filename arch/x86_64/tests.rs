//! What the register test needs of this CPU: a call with patterns in every callee-saved register.

use core::arch::naked_asm;

/// The registers that a caller expects back: rbx, rbp, r12-r15.
pub(crate) const KEPT: usize = 6;

/// Calls `function` with the four words of `arguments` and `before` in the callee-saved registers;
/// writes what they hold afterwards to `after`.
///
/// # Safety
///
/// - `function` may be called with these arguments, as `extern "C"`.
/// - `before` and `after` are valid; `after` until this call returns.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_with_patterns(
    function: usize,
    arguments: *const [usize; 4],
    before: *const [u64; KEPT],
    after: *mut [u64; KEPT],
) -> usize {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 24",
        "mov [rsp], rcx",
        "mov rax, rdi",
        "mov rbx, [rdx]",
        "mov rbp, [rdx + 8]",
        "mov r12, [rdx + 16]",
        "mov r13, [rdx + 24]",
        "mov r14, [rdx + 32]",
        "mov r15, [rdx + 40]",
        "mov rdi, [rsi]",
        "mov rdx, [rsi + 16]",
        "mov rcx, [rsi + 24]",
        "mov rsi, [rsi + 8]",
        "call rax",
        "mov rcx, [rsp]",
        "mov [rcx], rbx",
        "mov [rcx + 8], rbp",
        "mov [rcx + 16], r12",
        "mov [rcx + 24], r13",
        "mov [rcx + 32], r14",
        "mov [rcx + 40], r15",
        "add rsp, 24",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}
