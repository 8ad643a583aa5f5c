//! The called switch preserves every register that its caller may expect back.
//!
//! Rust code alone would not notice a lost one, because the compiler keeps little in them across a
//! call. So an assembly function fills each with a pattern of its own, switches, and compares; the
//! other side does the same with other patterns.

use core::arch::naked_asm;

use super::{Leave, StackPointer, call_init, call_switch};

const ROUNDS: usize = 1000;

/// What both sides share.
#[derive(Debug, Default)]
struct Pair {
    here: StackPointer,
    there: StackPointer,
    /// Bits that differed after a switch.
    lost: usize,
}

/// Switches from `from` to `to` with patterns made of `seed` in every callee-saved register;
/// returns 0 if all were still there when the switch came back.
///
/// # Safety
///
/// As [`call_switch`].
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn probe(from: *mut StackPointer, to: StackPointer, seed: usize) -> usize {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdx",
        "lea rbx, [rdx + 1]",
        "lea rbp, [rdx + 2]",
        "lea r12, [rdx + 3]",
        "lea r13, [rdx + 4]",
        "lea r14, [rdx + 5]",
        "lea r15, [rdx + 6]",
        "xor edx, edx",
        "xor ecx, ecx",
        "call {switch}",
        "mov rcx, [rsp]",
        "xor eax, eax",
        "lea rdx, [rcx + 1]",
        "xor rbx, rdx",
        "or rax, rbx",
        "lea rdx, [rcx + 2]",
        "xor rbp, rdx",
        "or rax, rbp",
        "lea rdx, [rcx + 3]",
        "xor r12, rdx",
        "or rax, r12",
        "lea rdx, [rcx + 4]",
        "xor r13, rdx",
        "or rax, r13",
        "lea rdx, [rcx + 5]",
        "xor r14, rdx",
        "or rax, r14",
        "lea rdx, [rcx + 6]",
        "xor r15, rdx",
        "or rax, r15",
        "pop rdx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        switch = sym call_switch,
    )
}

/// As on x86_64: x19 to x29 and the low halves of v8 to v15.
///
/// # Safety
///
/// As [`call_switch`].
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn probe(from: *mut StackPointer, to: StackPointer, seed: usize) -> usize {
    naked_asm!(
        "sub sp, sp, #176",
        "stp x19, x20, [sp, #0]",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp x29, x30, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "str x2, [sp, #160]",
        "add x19, x2, #1",
        "add x20, x2, #2",
        "add x21, x2, #3",
        "add x22, x2, #4",
        "add x23, x2, #5",
        "add x24, x2, #6",
        "add x25, x2, #7",
        "add x26, x2, #8",
        "add x27, x2, #9",
        "add x28, x2, #10",
        "add x29, x2, #11",
        "add x9, x2, #12",
        "fmov d8, x9",
        "add x9, x2, #13",
        "fmov d9, x9",
        "add x9, x2, #14",
        "fmov d10, x9",
        "add x9, x2, #15",
        "fmov d11, x9",
        "add x9, x2, #16",
        "fmov d12, x9",
        "add x9, x2, #17",
        "fmov d13, x9",
        "add x9, x2, #18",
        "fmov d14, x9",
        "add x9, x2, #19",
        "fmov d15, x9",
        "mov x2, #0",
        "mov x3, #0",
        "bl {switch}",
        "ldr x2, [sp, #160]",
        "mov x0, #0",
        "add x9, x2, #1",
        "eor x9, x9, x19",
        "orr x0, x0, x9",
        "add x9, x2, #2",
        "eor x9, x9, x20",
        "orr x0, x0, x9",
        "add x9, x2, #3",
        "eor x9, x9, x21",
        "orr x0, x0, x9",
        "add x9, x2, #4",
        "eor x9, x9, x22",
        "orr x0, x0, x9",
        "add x9, x2, #5",
        "eor x9, x9, x23",
        "orr x0, x0, x9",
        "add x9, x2, #6",
        "eor x9, x9, x24",
        "orr x0, x0, x9",
        "add x9, x2, #7",
        "eor x9, x9, x25",
        "orr x0, x0, x9",
        "add x9, x2, #8",
        "eor x9, x9, x26",
        "orr x0, x0, x9",
        "add x9, x2, #9",
        "eor x9, x9, x27",
        "orr x0, x0, x9",
        "add x9, x2, #10",
        "eor x9, x9, x28",
        "orr x0, x0, x9",
        "add x9, x2, #11",
        "eor x9, x9, x29",
        "orr x0, x0, x9",
        "fmov x10, d8",
        "add x9, x2, #12",
        "eor x9, x9, x10",
        "orr x0, x0, x9",
        "fmov x10, d9",
        "add x9, x2, #13",
        "eor x9, x9, x10",
        "orr x0, x0, x9",
        "fmov x10, d10",
        "add x9, x2, #14",
        "eor x9, x9, x10",
        "orr x0, x0, x9",
        "fmov x10, d11",
        "add x9, x2, #15",
        "eor x9, x9, x10",
        "orr x0, x0, x9",
        "fmov x10, d12",
        "add x9, x2, #16",
        "eor x9, x9, x10",
        "orr x0, x0, x9",
        "fmov x10, d13",
        "add x9, x2, #17",
        "eor x9, x9, x10",
        "orr x0, x0, x9",
        "fmov x10, d14",
        "add x9, x2, #18",
        "eor x9, x9, x10",
        "orr x0, x0, x9",
        "fmov x10, d15",
        "add x9, x2, #19",
        "eor x9, x9, x10",
        "orr x0, x0, x9",
        "ldp x19, x20, [sp, #0]",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp x29, x30, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "add sp, sp, #176",
        "ret",
        switch = sym call_switch,
    )
}

/// # Safety
///
/// - `argument` is the address of a [`Pair`] whose other side is suspended in `here`.
unsafe extern "C" fn root(argument: usize, _value: usize, _hook: usize) -> Leave {
    let pair = argument as *mut Pair;
    for round in 0..ROUNDS {
        // SAFETY: the other side waits in `here`; it keeps the pair alive and does not touch it
        // while this side runs.
        unsafe {
            let lost = probe(&raw mut (*pair).there, (*pair).here, 0x5a5a_0000_0000 + round * 64);
            (*pair).lost |= lost;
        }
    }
    // SAFETY: as above.
    Leave { to: unsafe { (*pair).here }, hook: 0 }
}

#[test]
#[cfg_attr(
    any(kcoro_asan, kcoro_tsan, kcoro_valgrind),
    ignore = "the bare switch tells no tool of its stack"
)]
fn callee_saved_registers_survive() {
    let mut stack = vec![0_u128; 4096];
    let top = stack.as_mut_ptr_range().end as usize;
    let pair = Box::into_raw(Box::<Pair>::default());
    // SAFETY:
    // - `top` is 16-aligned and the bytes below it are the stack's own until it is dropped, below.
    // - Each side continues the other where it is suspended, in turn; `root` ends in the last one.
    // - The pair is freed once, after the other side ended.
    let lost = unsafe {
        (*pair).there = call_init(top, root, pair as usize);
        for round in 0..=ROUNDS {
            let lost = probe(&raw mut (*pair).here, (*pair).there, 0xa5a5_0000_0000 + round * 64);
            (*pair).lost |= lost;
        }
        Box::from_raw(pair).lost
    };
    drop(stack);
    assert_eq!(lost, 0, "bits {lost:#x} changed");
}
