//! The stacks of coroutines: where they come from, what guards them, where they rest.
//!
//! A stack is a slot of a power-of-two size in a region that is reserved as a whole. Reserving is
//! free of memory: only touched pages cost, so that a suspended coroutine with shallow frames
//! holds one page. Guards are page-table markers where the kernel has them (Linux 6.13), so that
//! a million guarded stacks are a handful of mappings.
//!
//! ```text
//!   slot end  +------------------------+ high addresses
//!             | colour gap, 0..31 lines|   tops fall into different cache sets
//!             +------------------------+
//!             | Header, one line       |   who runs here: read by the overflow report
//!   top() --> +------------------------+ 64-byte aligned
//!             | the coroutine's control|
//!             | block, then its frames |
//!             |           |            |
//!             |           v            |
//!  bottom() ->+------------------------+
//!             | guard: a page, or more |   faults; installed once for life
//!    base() ->+------------------------+ low addresses
//! ```
//!
//! A free stack rests in one of three places: hot in the [`StackCache`] of a thread, warm in the
//! shared pool (its pages still there), or cold in the pool (its pages given back).
//!
//! # Invariants
//!
//! 1. A slot is owned by exactly one of: a [`Stack`], a cache, the pool; or it was leaked.
//! 2. A slot that has ever been handed out has a guard, for life.
//! 3. Regions are never unmapped, so that the overflow report may read their table without a lock.
//!
//! # Who calls this, and what it may call
//!
//! The coroutine layer, on threads and coroutines alike. Taking from and giving to the cache are a
//! few instructions; everything else may lock the pool, allocate and make system calls. Nothing
//! here suspends.

mod altstack;
mod cache;
mod class;
mod guard;
mod handle;
mod header;
mod overflow;
mod pool;
mod region;

pub(crate) use altstack::ThreadAltStack;
pub(crate) use cache::StackCache;
pub(crate) use class::StackSize;
pub use guard::GuardKind;
pub(crate) use guard::kind as guard_kind;
pub(crate) use handle::Stack;
pub(crate) use pool::trim;
pub use pool::{Stats, stats};
pub(crate) use pool::{decay, is_over, set_decay};

/// Whether the caller runs on the stack of a coroutine, of whatever kind.
pub(crate) fn is_on_coroutine_stack() -> bool {
    region::find(crate::sys::memory::stack_pointer()).is_some()
}

#[cfg(test)]
mod tests;
