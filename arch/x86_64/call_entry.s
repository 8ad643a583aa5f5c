# First entry of a coroutine that has no parent to unwind to, called form.
#
# Reached by the `ret` of `call_switch`, which delivers rax = value, rdx = hook; otherwise as
# token_entry.s. It is left as `call_switch` is: registers popped, then `ret`.
    .cfi_startproc
    .cfi_undefined rip
    mov rsi, rax
    pop rdi
    pop rax
    xor ebp, ebp
    call rax
    nop
    mov rsp, rax
    xor eax, eax
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
    .cfi_endproc
