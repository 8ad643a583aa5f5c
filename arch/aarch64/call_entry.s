// First entry of a coroutine that has no parent to unwind to, called form.
//
// Reached by the `ret` of `call_switch`, which delivers x0 = value, x1 = hook; `call_init` left
// argument and root function in x19 and x20 of the first frame. It is left as `call_switch` is.
    .cfi_startproc
    .cfi_undefined x30
    hint #38
    mov x2, x1
    mov x1, x0
    mov x0, x19
    mov x29, xzr
    mov x30, xzr
    blr x20
    nop
    mov sp, x0
    mov x0, xzr
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .cfi_endproc
