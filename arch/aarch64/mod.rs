//! aarch64, AAPCS64. Only what differs from `arch/x86_64` is explained here.
//!
//! LLVM does not let assembly clobber x19 and x29, so the token form stores those two by hand;
//! `clobber_abi("C")` covers v8-v15 whole and x30. Landing points of indirect jumps are `hint`
//! encoded BTI instructions, which older CPUs execute as no-ops. Return addresses signed by
//! PAC-RET stay valid, because a stack never moves.
//!
//! # Invariants
//!
//! As for x86_64: one form per stack, and balanced `blr`/`ret` or `br` throughout.

use core::arch::{asm, naked_asm};
use core::mem::{offset_of, size_of};

/// Name of this CPU family, for reports.
pub const NAME: &str = "aarch64";

/// The address at which a suspended context's frame begins. 0 means "not suspended".
pub type StackPointer = usize;

/// What the token form leaves on a suspended stack.
///
/// ```text
///   higher   | x19 x29 |
///   lower    | pc  -   | <- saved stack pointer
/// ```
#[repr(C)]
#[derive(Debug)]
pub(crate) struct TokenFrame {
    pub(crate) pc: usize,
    pub(crate) unused: usize,
    pub(crate) x19: usize,
    pub(crate) x29: usize,
}

/// What the called form leaves on a suspended stack; drawn in `switch.s`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct CallFrame {
    pub(crate) x19: usize,
    pub(crate) x20: usize,
    pub(crate) x21_x28: [usize; 8],
    pub(crate) x29: usize,
    pub(crate) x30: usize,
    pub(crate) d8_d15: [u64; 8],
}

const _: () = {
    assert!(offset_of!(TokenFrame, pc) == 0);
    assert!(offset_of!(TokenFrame, x19) == 16);
    assert!(offset_of!(TokenFrame, x29) == 24);
    // The unwind rule in linked_entry.s: CFA = frame + 32.
    assert!(size_of::<TokenFrame>() == 32);
    assert!(offset_of!(CallFrame, x19) == 0);
    assert!(offset_of!(CallFrame, x21_x28) == 16);
    assert!(offset_of!(CallFrame, x29) == 80);
    assert!(offset_of!(CallFrame, x30) == 88);
    assert!(offset_of!(CallFrame, d8_d15) == 96);
    assert!(size_of::<CallFrame>() == 160);
};

/// The function a fresh context starts in: `(argument, value, hook) -> Leave`.
pub type Root = unsafe extern "C" fn(usize, usize, usize) -> super::Leave;

/// The function a fresh generator starts in: `(argument, value) -> last value`.
pub type LinkedRoot = unsafe extern "C" fn(usize, usize) -> usize;

/// Writes the first frame of the called form below `top`.
///
/// # Safety
///
/// - `top` is 16-aligned and at least 192 bytes below it are writable and owned by the caller.
/// - `root` never unwinds and returns the stack pointer of a context suspended in the same form.
pub unsafe fn call_init(top: usize, root: Root, argument: usize) -> StackPointer {
    let frame = (top - size_of::<CallFrame>()) as *mut CallFrame;
    // SAFETY: the frame lies in the bytes below `top` that the caller owns; `top` is 16-aligned.
    unsafe {
        frame.write(CallFrame {
            x19: argument,
            x20: root as usize,
            x21_x28: [0; 8],
            x29: 0,
            x30: call_entry as *const () as usize,
            d8_d15: [0; 8],
        });
    }
    frame as StackPointer
}

/// Writes the first frame of the token form below `top`.
///
/// # Safety
///
/// As [`call_init`].
#[inline(always)]
pub unsafe fn token_init(top: usize, root: Root, argument: usize) -> StackPointer {
    let sp = top - 32;
    // SAFETY: the four words lie in the bytes below `top` that the caller owns.
    unsafe {
        (sp as *mut [usize; 4]).write([
            token_entry as *const () as usize,
            0,
            argument,
            root as usize,
        ]);
    }
    sp
}

/// Writes the first frame of a generator below `top`.
///
/// # Safety
///
/// As [`call_init`]; `root` never unwinds.
#[inline(always)]
pub unsafe fn init_linked(top: usize, root: LinkedRoot, argument: usize) -> StackPointer {
    let sp = top - 32;
    // SAFETY: the four words lie in the bytes below `top` that the caller owns.
    unsafe {
        (sp as *mut [usize; 4]).write([
            linked_entry as *const () as usize,
            0,
            root as usize,
            argument,
        ]);
    }
    sp
}

/// Saves the running context in `from` and continues `to`; returns what the next switch back
/// carries: `(value, hook)`.
///
/// # Safety
///
/// - `to` was written by [`call_init`] or by an earlier `call_switch`, and has not been continued
///   since.
/// - `from` is valid for writes until this context is continued.
/// - No reference derived from thread-local storage is live across the call if this context may be
///   continued on another thread.
#[unsafe(naked)]
pub unsafe extern "C" fn call_switch(
    from: *mut StackPointer,
    to: StackPointer,
    value: usize,
    hook: usize,
) -> super::Arrival {
    naked_asm!(include_str!("switch.s"))
}

/// As [`call_switch`], in the token form: `to` was written by [`token_init`] or by an earlier
/// `token_switch`.
///
/// # Safety
///
/// As [`call_switch`].
#[inline(always)]
pub unsafe fn token_switch(
    from: *mut StackPointer,
    to: StackPointer,
    value: usize,
    hook: usize,
) -> super::Arrival {
    let (value_back, hook_back);
    // SAFETY: the caller vouches for both contexts. Everything the compiler may hold in a register
    // is declared lost, except x19 and x29, which are stored here and loaded after arrival.
    unsafe {
        asm!(
            "sub sp, sp, #32",
            "stp x19, x29, [sp, #16]",
            "adr x9, 2f",
            "str x9, [sp]",
            "mov x9, sp",
            "str x9, [x0]",
            "mov sp, x1",
            "ldr x16, [sp]",
            "br x16",
            "2:",
            "hint #38",
            "ldp x19, x29, [sp, #16]",
            "add sp, sp, #32",
            inout("x0") from => _,
            inout("x1") to => _,
            inout("x2") value => value_back,
            inout("x3") hook => hook_back,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
            out("x25") _, out("x26") _, out("x27") _, out("x28") _,
            clobber_abi("C"),
        );
    }
    super::Arrival { value: value_back, hook: hook_back }
}

/// Resumes a generator; returns the value that it suspends with and its new stack pointer, or the
/// value that its root function returned and 0.
///
/// # Safety
///
/// - `sp` was written by [`init_linked`] or came out of an earlier `resume` of the same generator,
///   and has not been used since.
/// - `link` is a word that belongs to that generator and outlives the call.
#[inline(always)]
pub unsafe fn resume(
    sp: StackPointer,
    link: *mut StackPointer,
    value: usize,
) -> (usize, StackPointer) {
    let (value_back, sp_back);
    // SAFETY: as in `token_switch`; the other side stores x30 in this side's TokenFrame and comes
    // back by the `ret` that pairs with this `blr`, with sp as it was before.
    unsafe {
        asm!(
            "sub sp, sp, #32",
            "stp x19, x29, [sp, #16]",
            "ldr x16, [x0]",
            "blr x16",
            "ldp x19, x29, [sp, #16]",
            "add sp, sp, #32",
            inout("x0") sp => sp_back,
            inout("x1") value => value_back,
            inout("x2") link => _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
            out("x25") _, out("x26") _, out("x27") _, out("x28") _,
            clobber_abi("C"),
        );
    }
    (value_back, sp_back)
}

/// Suspends the running generator with `value`; returns the value of the next `resume`.
///
/// # Safety
///
/// - Runs on the generator's own stack, and `link` is the word that its `resume` was given.
#[inline(always)]
pub unsafe fn suspend(link: *mut StackPointer, value: usize) -> usize {
    let value_back;
    // SAFETY: `*link` is the stack pointer of the parent inside `resume`, where its pc lies. The
    // next `resume` branches to the pc stored here, with its own sp and with this frame in x0.
    unsafe {
        asm!(
            "sub sp, sp, #32",
            "stp x19, x29, [sp, #16]",
            "adr x9, 2f",
            "str x9, [sp]",
            "mov x0, sp",
            "ldr x9, [x2]",
            "mov sp, x9",
            "ldr x30, [sp]",
            "ret",
            "2:",
            "hint #38",
            "str x30, [sp]",
            "mov x9, sp",
            "str x9, [x2]",
            "mov sp, x0",
            "ldp x19, x29, [sp, #16]",
            "add sp, sp, #32",
            inout("x2") link => _,
            inout("x1") value => value_back,
            out("x0") _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
            out("x25") _, out("x26") _, out("x27") _, out("x28") _,
            clobber_abi("C"),
        );
    }
    value_back
}

/// # Safety
///
/// - It is continued, not called: by the first switch to a frame that `call_init` has laid.
#[unsafe(naked)]
unsafe extern "C" fn call_entry() {
    naked_asm!(include_str!("call_entry.s"))
}

/// # Safety
///
/// - As `call_entry`, for `token_init`.
#[unsafe(naked)]
unsafe extern "C" fn token_entry() {
    naked_asm!(include_str!("token_entry.s"))
}

/// # Safety
///
/// - As `call_entry`, for `init_linked`.
#[unsafe(naked)]
unsafe extern "C" fn linked_entry() {
    naked_asm!(include_str!("linked_entry.s"))
}

/// Floating-point control: FPCR.
#[inline]
pub(crate) fn fp_control() -> u64 {
    let word;
    // SAFETY: it only reads a register.
    unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) }
    word
}

/// Sets what [`fp_control`] read.
///
/// # Safety
///
/// - Rust code that runs until the value is put back must not depend on the default rounding and
///   masks: the value came from [`fp_control`] on a thread in which foreign code set it up.
#[inline]
pub(crate) unsafe fn set_fp_control(word: u64) {
    // SAFETY: the caller vouches for the value.
    unsafe { asm!("msr fpcr, {}", in(reg) word, options(nostack, preserves_flags)) }
}

/// Brings the cache line of a suspended frame closer before it is continued.
#[inline(always)]
pub fn prefetch(sp: StackPointer) {
    // SAFETY: a prefetch has no effect that a program can observe, whatever the address.
    unsafe {
        asm!("prfm pldl1keep, [{0}]", "prfm pldl1keep, [{0}, #64]", in(reg) sp,
             options(nostack, preserves_flags, readonly));
    }
}

// One pointer per thread, reached without the compiler's knowledge; see arch/x86_64.
core::arch::global_asm!(
    ".pushsection .tbss.kcoro_0_1_core,\"awT\",@nobits",
    ".p2align 3",
    ".globl kcoro_0_1_core",
    ".hidden kcoro_0_1_core",
    ".type kcoro_0_1_core,@object",
    ".size kcoro_0_1_core,8",
    "kcoro_0_1_core:",
    ".zero 8",
    ".popsection",
);

/// This thread's word, zero in a fresh thread. Read afresh at every call.
#[inline(always)]
pub(crate) fn thread_word() -> usize {
    let word;
    // SAFETY: initial-exec access to the thread-local defined above; it only reads.
    unsafe {
        asm!(
            "mrs {0}, tpidr_el0",
            "adrp {1}, :gottprel:kcoro_0_1_core",
            "ldr {1}, [{1}, :gottprel_lo12:kcoro_0_1_core]",
            "ldr {0}, [{0}, {1}]",
            out(reg) word,
            out(reg) _,
            options(nostack, preserves_flags, readonly),
        );
    }
    word
}

/// Sets this thread's word.
#[inline]
pub(crate) fn set_thread_word(word: usize) {
    // SAFETY: initial-exec access to the thread-local defined above, which nothing else uses.
    unsafe {
        asm!(
            "mrs {0}, tpidr_el0",
            "adrp {1}, :gottprel:kcoro_0_1_core",
            "ldr {1}, [{1}, :gottprel_lo12:kcoro_0_1_core]",
            "str {2}, [{0}, {1}]",
            out(reg) _,
            out(reg) _,
            in(reg) word,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
pub(crate) mod tests;
