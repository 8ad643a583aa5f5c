//! Futures in coroutines: [`block_on`] waits for one wherever it is called.
//!
//! The future is polled on the caller's own stack. While it is not ready a coroutine parks, so its
//! worker runs others meanwhile; a plain thread blocks. Its waker leaves a mark and ends the wait;
//! it has nothing to do with `park` and `unpark`, so a future may use those for itself.
//!
//! # Invariants
//!
//! 1. A wake that comes before, during or after a poll leads to another poll.
//! 2. The waker outlives the call: it holds the signal, not the caller's frame.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines and threads. The future may suspend the coroutine in its `poll` as well.

mod signal;

#[cfg(not(loom))]
mod block_on;

#[cfg(not(loom))]
pub use block_on::{block_on, block_on_cancellable};
