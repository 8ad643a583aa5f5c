# First entry of a coroutine that has no parent to unwind to, token form.
#
# Reached by the jump of `token_switch`, which delivers rdx = value, rcx = hook. `token_init` left:
#
#   higher   | root function  |
#   lower    | argument       | <- rsp here, 16-aligned
#
# The root function runs as root(rdi = argument, rsi = value, rdx = hook) and returns the stack
# pointer to continue in rax and a hook for the arriving side in rdx. Going by call, coming back by
# ret and leaving by a jump keeps the return predictor in step.
#
# `.cfi_undefined rip` tells unwinders that this is the outermost frame: a backtrace ends here.
# The nop keeps the return address inside this function for debuggers that look it up as it is.
    .cfi_startproc
    .cfi_undefined rip
    mov rsi, rdx
    mov rdx, rcx
    pop rdi
    pop rax
    xor ebp, ebp
    call rax
    nop
    mov rsp, rax
    mov rcx, rdx
    xor edx, edx
    pop rax
    jmp rax
    .cfi_endproc
