// First entry of a generator: a coroutine that lives below the one that resumes it.
//
// Reached by `blr` from `resume`, on the parent's stack:
//   x0 = stack pointer of the coroutine, x1 = value, x2 = link, x30 = where the parent goes on
//
// `init_linked` left, upwards from x0: entry, unused, root function, argument.
//
// While the coroutine runs, x19 holds the link, whose word is the parent's stack pointer, where
// `resume` laid a TokenFrame:  CFA = [x19] + 32,  pc at CFA-32, x19 at CFA-16, x29 at CFA-8.
    .cfi_startproc
    .cfi_signal_frame
    hint #38
    str x30, [sp]
    mov x9, sp
    str x9, [x2]
    mov sp, x0
    mov x19, x2
    .cfi_escape 0x0f, 5, 0x83, 0x00, 0x06, 0x23, 0x20
    .cfi_offset x30, -32
    .cfi_offset x19, -16
    .cfi_offset x29, -8
    ldp x9, x0, [sp, #16]
    add sp, sp, #32
    mov x29, xzr
    blr x9
    nop
    mov x1, x0
    mov x0, xzr
    ldr x9, [x19]
    mov sp, x9
    .cfi_def_cfa sp, 32
    ldr x30, [sp]
    ret
    .cfi_endproc
