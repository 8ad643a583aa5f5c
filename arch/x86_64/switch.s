# Symmetric switch, called form (System V x86_64).
#
#   switch(rdi = from: *mut StackPointer, rsi = to: StackPointer, rdx = value, rcx = hook)
#       -> rax = value, rdx = hook
#
# Entered by `call`, left by `ret`: the return predictor stays in step, and two coroutines that
# are suspended at the same call site predict each other. Saves what System V lets a caller
# expect back: rbx rbp r12-r15, rsp and the return address. MXCSR and the x87 control word are
# not touched (docs/SAFETY.md, "Floating-point control").
#
#   higher   | return address | <- [CallFrame.rip]
#            | rbp            |
#            | rbx            |
#            | r12            |
#            | r13            |
#            | r14            |
#   lower    | r15            | <- saved stack pointer, CallFrame.r15
    .cfi_startproc
    push rbp
    .cfi_def_cfa_offset 16
    .cfi_offset rbp, -16
    push rbx
    .cfi_def_cfa_offset 24
    .cfi_offset rbx, -24
    push r12
    .cfi_def_cfa_offset 32
    .cfi_offset r12, -32
    push r13
    .cfi_def_cfa_offset 40
    .cfi_offset r13, -40
    push r14
    .cfi_def_cfa_offset 48
    .cfi_offset r14, -48
    push r15
    .cfi_def_cfa_offset 56
    .cfi_offset r15, -56
    mov [rdi], rsp
    mov rsp, rsi
    # From here on this is the other stack: the same layout, so the same rules.
    mov rax, rdx
    mov rdx, rcx
    pop r15
    .cfi_def_cfa_offset 48
    .cfi_restore r15
    pop r14
    .cfi_def_cfa_offset 40
    .cfi_restore r14
    pop r13
    .cfi_def_cfa_offset 32
    .cfi_restore r13
    pop r12
    .cfi_def_cfa_offset 24
    .cfi_restore r12
    pop rbx
    .cfi_def_cfa_offset 16
    .cfi_restore rbx
    pop rbp
    .cfi_def_cfa_offset 8
    .cfi_restore rbp
    ret
    .cfi_endproc
