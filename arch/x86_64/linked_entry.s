# First entry of a generator: a coroutine that lives below the one that resumes it.
#
# Reached by `call` from `resume`, on the parent's stack, whose pointer is rsp:
#   rdi = stack pointer of the coroutine, at the word after the entry address
#   rsi = value, rdx = link: the word that holds the parent's stack pointer while we run
#
# `init_linked` left, upwards from rdi + 8: root function, argument (16-aligned above them).
#
# The root function runs as root(rdi = argument, rsi = value) and returns the last value in rax.
# The way back to the parent is the `ret` that pairs with its `call`, with 0 in rdi in place
# of a stack pointer: there is nothing left to resume.
#
# While the coroutine runs, rbx holds the link. Its word is the parent's stack pointer, where
# `resume` laid a TokenFrame, so unwinders find the parent's registers there:
#     CFA = [rbx] + 24     rip at CFA-24, rbx at CFA-16, rbp at CFA-8
# gdb only follows frames whose addresses grow unless the frame is marked as a signal frame; then
# it looks the return address up as it stands, hence the nop that keeps it inside this function.
    .cfi_startproc
    .cfi_signal_frame
    mov [rdx], rsp
    lea rsp, [rdi + 8]
    mov rbx, rdx
    .cfi_escape 0x0f, 5, 0x73, 0x00, 0x06, 0x23, 0x18
    .cfi_offset rip, -24
    .cfi_offset rbx, -16
    .cfi_offset rbp, -8
    pop rax
    pop rdi
    xor ebp, ebp
    call rax
    nop
    mov rsp, [rbx]
    xor edi, edi
    .cfi_def_cfa rsp, 24
    ret
    .cfi_endproc
