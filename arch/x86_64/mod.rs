//! x86_64, System V: the reference for the contract of [`crate::arch`].
//!
//! Two forms of every switch. The *called* form is a naked function that saves the registers which
//! the ABI lets a caller expect back. The *token* form is inline assembly that declares every
//! register clobbered, so that the compiler spills exactly what is live at that one site; only
//! what LLVM does not let assembly clobber (rbx, rbp) is pushed by hand. The jump at the end of
//! the token form is one of many copies, which gives the branch predictor a history per site.
//!
//! # Invariants
//!
//! 1. A saved [`StackPointer`] points at a complete frame of the form that saved it: the form is
//!    fixed by the caller, who never mixes `call_*` and `token_*` on one stack.
//! 2. The called form pairs `call` with `ret`; the token form leaves by `pop` and `jmp`; `resume`
//!    pairs `call` with the `ret` of `suspend`. Any other pairing shifts the return predictor.
//!
//! Source: the clobber-everything switch is described in "Stackful Coroutine Made Fast" (Photon)
//! and goes back to libfringe; the parent-linked unwind rule is DWARF 5, section 6.4.

use core::arch::{asm, naked_asm};
use core::mem::{offset_of, size_of};

/// Name of this CPU family, for reports.
pub const NAME: &str = "x86_64";

/// The address at which a suspended context's frame begins. 0 means "not suspended".
pub type StackPointer = usize;

/// What the token form leaves on a suspended stack, from the stack pointer upwards.
///
/// ```text
///   higher   | rbp |
///            | rbx |
///   lower    | rip | <- saved stack pointer
/// ```
#[repr(C)]
#[derive(Debug)]
pub(crate) struct TokenFrame {
    pub(crate) rip: usize,
    pub(crate) rbx: usize,
    pub(crate) rbp: usize,
}

/// What the called form leaves on a suspended stack; drawn in `switch.s`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct CallFrame {
    pub(crate) r15: usize,
    pub(crate) r14: usize,
    pub(crate) r13: usize,
    pub(crate) r12: usize,
    pub(crate) rbx: usize,
    pub(crate) rbp: usize,
    pub(crate) rip: usize,
}

const _: () = {
    assert!(offset_of!(TokenFrame, rip) == 0);
    assert!(offset_of!(TokenFrame, rbx) == 8);
    assert!(offset_of!(TokenFrame, rbp) == 16);
    // The unwind rule in linked_entry.s: CFA = frame + 24.
    assert!(size_of::<TokenFrame>() == 24);
    assert!(offset_of!(CallFrame, r15) == 0);
    assert!(offset_of!(CallFrame, rbp) == 40);
    assert!(offset_of!(CallFrame, rip) == 48);
    assert!(size_of::<CallFrame>() == 56);
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
    let base = top - 16;
    let frame = (base - size_of::<CallFrame>()) as *mut CallFrame;
    // SAFETY: both lie in the bytes below `top` that the caller owns; `top` is 16-aligned.
    unsafe {
        (base as *mut [usize; 2]).write([argument, root as usize]);
        frame.write(CallFrame {
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbx: 0,
            rbp: 0,
            rip: call_entry as *const () as usize,
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
    let base = top - 16;
    let sp = base - 8;
    // SAFETY: the three words lie in the bytes below `top` that the caller owns.
    unsafe {
        (sp as *mut [usize; 3]).write([token_entry as *const () as usize, argument, root as usize]);
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
    let base = top - 16;
    let sp = base - 8;
    // SAFETY: the three words lie in the bytes below `top` that the caller owns.
    unsafe {
        (sp as *mut [usize; 3]).write([
            linked_entry as *const () as usize,
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
    // is declared lost, except rbx and rbp, which are pushed here and popped after arrival; the
    // block is not `nostack`, so the red zone is clear; it is not `nomem`, so memory is up to date.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "pop rax",
            "jmp rax",
            "2:",
            "pop rbx",
            "pop rbp",
            inout("rdi") from => _,
            inout("rsi") to => _,
            inout("rdx") value => value_back,
            inout("rcx") hook => hook_back,
            out("rax") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
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
    // SAFETY: as in `token_switch`; the call pushes the third word of this side's TokenFrame, and
    // the generator comes back by the `ret` that pops it, with rsp as it was before the call.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "call [rdi]",
            "pop rbx",
            "pop rbp",
            inout("rdi") sp => sp_back,
            inout("rsi") value => _,
            inout("rdx") link => _,
            out("rax") value_back,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
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
    // SAFETY: `*link` is the stack pointer of the parent inside `resume`, whose return address lies
    // there. The next `resume` calls the address that is pushed here, with its own stack pointer in
    // rsp and this frame in rdi.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rcx, [rip + 2f]",
            "push rcx",
            "mov rdi, rsp",
            "mov rsp, [rdx]",
            "ret",
            "2:",
            "mov [rdx], rsp",
            "lea rsp, [rdi + 8]",
            "pop rbx",
            "pop rbp",
            inout("rdx") link => _,
            inout("rax") value => _,
            out("rsi") value_back,
            out("rdi") _,
            out("rcx") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
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

/// Floating-point control: MXCSR in the low half, the x87 control word above it.
#[inline]
pub(crate) fn fp_control() -> u64 {
    let (mut mxcsr, mut x87) = (0u32, 0u16);
    // SAFETY: both instructions only store to the given addresses.
    unsafe {
        asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87,
             options(nostack, preserves_flags));
    }
    u64::from(mxcsr) | u64::from(x87) << 32
}

/// Sets what [`fp_control`] read.
///
/// # Safety
///
/// - Rust code that runs until the value is put back must not depend on the default rounding and
///   masks: the value came from [`fp_control`] on a thread in which foreign code set it up.
#[inline]
pub(crate) unsafe fn set_fp_control(word: u64) {
    let (mxcsr, x87) = (word as u32, (word >> 32) as u16);
    // SAFETY: both instructions only load from the given addresses.
    unsafe {
        asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const x87,
             options(nostack, preserves_flags, readonly));
    }
}

/// Brings a suspended frame closer before it is continued: its line and the next, where what the
/// compiler has spilled around the switch usually lies.
#[inline(always)]
pub fn prefetch(sp: StackPointer) {
    // SAFETY: a prefetch has no effect that a program can observe, whatever the address.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(sp as *const i8);
        _mm_prefetch::<_MM_HINT_T0>((sp as *const i8).wrapping_add(64));
    }
}

// One pointer per thread, reached without the compiler's knowledge: it may not assume that two
// reads on the two sides of a switch have the same address. Hidden, and named after the version so
// that two versions of the crate can live in one program.
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
            "mov {0}, qword ptr [rip + kcoro_0_1_core@GOTTPOFF]",
            "mov {0}, qword ptr fs:[{0}]",
            out(reg) word,
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
            "mov {0}, qword ptr [rip + kcoro_0_1_core@GOTTPOFF]",
            "mov qword ptr fs:[{0}], {1}",
            out(reg) _,
            in(reg) word,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
pub(crate) mod tests;
