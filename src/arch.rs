//! The contract between the runtime and the CPU, and the choice of `arch/<cpu>`.
//!
//! Every CPU offers the same names: `call_switch` and `token_switch` (a symmetric switch that
//! carries a value and a hook), `resume` and `suspend` (a generator and the one that drives it),
//! the frames they leave, and one word per thread that the compiler cannot cache.
//!
//! # Invariants
//!
//! 1. One form of the symmetric switch serves the whole build: [`switch`] and [`init`] are the
//!    token form unless the feature `switch-out-of-line` picks the called form. The benchmarks
//!    name both forms directly.
//! 2. A context is continued exactly once for each time it was saved.

#[cfg(target_arch = "x86_64")]
#[path = "../arch/x86_64/mod.rs"]
mod cpu;
#[cfg(target_arch = "aarch64")]
#[path = "../arch/aarch64/mod.rs"]
mod cpu;

pub use cpu::{
    LinkedRoot, NAME, Root, StackPointer, call_init, call_switch, init_linked, prefetch, resume,
    suspend, token_init, token_switch,
};
pub(crate) use cpu::{fp_control, set_fp_control, set_thread_word, thread_word};

#[cfg(feature = "switch-out-of-line")]
pub(crate) use cpu::{call_init as init, call_switch as switch};
#[cfg(not(feature = "switch-out-of-line"))]
pub(crate) use cpu::{token_init as init, token_switch as switch};

/// The bytes below a stack's top that `init` may write.
pub const FIRST_FRAME: usize = 192;

/// What a switch delivers to the side that continues.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The word that the other side passed.
    pub value: usize,
    /// A hook to run now, or 0: see [`arrive`].
    pub hook: usize,
}

/// What a root function returns: where to go for good.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// A suspended context of the build's form; it arrives with the value 0.
    pub to: StackPointer,
    /// A [`Hook`] for it to run on arrival, or 0: the place to give the left stack away.
    pub hook: usize,
}

/// Work that the departing side leaves to the arriving side, because it may only happen once the
/// departing stack is no longer in use.
#[repr(C)]
#[derive(Debug)]
pub struct Hook {
    /// Called with the hook's own address.
    pub run: unsafe fn(*mut Hook),
}

/// Runs the hook that came with an arrival, if there is one; returns the value.
///
/// # Safety
///
/// - `arrival.hook` is 0 or the address of a [`Hook`] that stays valid until it has run.
#[inline(always)]
pub unsafe fn arrive(arrival: Arrival) -> usize {
    if arrival.hook != 0 {
        let hook = arrival.hook as *mut Hook;
        // SAFETY: the caller vouches for the hook; `run` is given the hook's own address.
        unsafe { ((*hook).run)(hook) }
    }
    arrival.value
}

#[cfg(test)]
mod tests;
