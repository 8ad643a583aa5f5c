// Symmetric switch, called form (AAPCS64). Differences from x86_64: the return address is a
// register (x30), the low halves of v8-v15 belong to the caller, x18 is the platform's.
//
//   switch(x0 = from, x1 = to, x2 = value, x3 = hook) -> x0 = value, x1 = hook
//
//   higher   | d14 d15 |
//            | d12 d13 |
//            | d10 d11 |
//            | d8  d9  |
//            | x29 x30 |
//            | x27 x28 |
//            | x25 x26 |
//            | x23 x24 |
//            | x21 x22 |
//   lower    | x19 x20 | <- saved stack pointer, CallFrame.x19
    .cfi_startproc
    hint #34
    sub sp, sp, #160
    .cfi_def_cfa_offset 160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    .cfi_offset x19, -160
    .cfi_offset x20, -152
    .cfi_offset x21, -144
    .cfi_offset x22, -136
    .cfi_offset x23, -128
    .cfi_offset x24, -120
    .cfi_offset x25, -112
    .cfi_offset x26, -104
    .cfi_offset x27, -96
    .cfi_offset x28, -88
    .cfi_offset x29, -80
    .cfi_offset x30, -72
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    // From here on this is the other stack: the same layout, so the same rules.
    mov x0, x2
    mov x1, x3
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
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    add sp, sp, #160
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
