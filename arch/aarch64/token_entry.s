// First entry of a coroutine that has no parent to unwind to, token form.
//
// Reached by the jump of `token_switch`, which delivers x2 = value, x3 = hook. `token_init` left:
//
//   higher   | argument, root function |
//   lower    | entry, unused           | <- sp here, 16-aligned
    .cfi_startproc
    .cfi_undefined x30
    hint #38
    mov x1, x2
    mov x2, x3
    ldp x0, x9, [sp, #16]
    add sp, sp, #32
    mov x29, xzr
    mov x30, xzr
    blr x9
    nop
    mov sp, x0
    mov x3, x1
    mov x2, xzr
    ldr x16, [sp]
    br x16
    .cfi_endproc
