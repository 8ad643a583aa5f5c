//! The bare switches, for the laboratory: to measure and to look at, not to build on.
//!
//! Both forms of the symmetric switch, and the generator's pair, each without the bookkeeping that
//! makes coroutines safe. What is exported here may change in any version.
//!
//! # Invariants
//!
//! 1. Nothing here adds to what `arch` and the stack arena do; it only makes them visible.
//!
//! # Who calls this, and what it may call
//!
//! `lab/` and `benches/`, on any thread. No other module of the library.

pub use crate::arch::{
    Arrival, FIRST_FRAME, Hook, Leave, LinkedRoot, NAME, Root, StackPointer, arrive, call_init,
    call_switch, init_linked, prefetch, resume, suspend, token_init, token_switch,
};

use crate::error::StackError;
use crate::stack::{Stack, StackCache, StackSize};

/// A guarded stack from the arena, to lay contexts on.
///
/// # Examples
///
/// ```
/// let stack = kcoro::raw::RawStack::new(64 * 1024)?;
/// assert_eq!(stack.top() % 64, 0);
/// assert_eq!(stack.plain_top() % 4096, 0);
/// # Ok::<(), kcoro::error::StackError>(())
/// ```
#[derive(Debug)]
pub struct RawStack(Stack);

impl RawStack {
    /// A stack of at least `bytes` bytes, guard included.
    ///
    /// # Errors
    ///
    /// [`StackError`] if the size is out of range or the system refuses another stack.
    pub fn new(bytes: usize) -> Result<RawStack, StackError> {
        Ok(RawStack(StackCache::new().acquire(StackSize::new(bytes)?)?))
    }

    /// The address below which the stack may be used. Neighbours differ in it by cache lines.
    #[must_use]
    pub fn top(&self) -> usize {
        self.0.top().addr().get()
    }

    /// A top as an arena without colours would have it: the same place in the page for all.
    #[must_use]
    pub fn plain_top(&self) -> usize {
        self.top() & !4095
    }

    /// The lowest address above the guard.
    #[must_use]
    pub fn bottom(&self) -> usize {
        self.0.bottom().addr().get()
    }
}

/// Takes a stack of the default size from this thread's cache and gives it back; its top.
///
/// # Panics
///
/// If there is no stack to be had, or the thread is shutting down.
#[must_use]
pub fn take_and_give_back() -> usize {
    let core = crate::coroutine::core_or_make().expect("the thread is not shutting down");
    let stack = core.cache().acquire(StackSize::DEFAULT).expect("a stack");
    let top = stack.top().addr().get();
    core.cache().release(stack);
    top
}
