//! Waiting for the first of several events: `select!` and [`Select`].
//!
//! ```text
//!   1  try every arm, in random order (or in theirs): one that can go on is chosen
//!      poll every future with its waker: one that is ready is chosen
//!   2  begin one wait, and enlist every arm with it
//!   3  sleep; whoever wins the wait word has chosen the arm, and has done its operation
//!   4  every other arm leaves
//! ```
//!
//! All arms wait behind one word, so at most one is ever done. An arm that finds in step 2 that it
//! need not wait does nothing yet: the select takes its own word back first. If that succeeds nobody
//! else can choose any more, all arms leave, and it begins anew at step 1; if not, someone has
//! chosen. A select holds one channel's lock at a time and waits for nothing while it has its word
//! back, so selects on the same channels in any order neither deadlock nor both win.
//!
//! # Invariants
//!
//! 1. When `choose` returns or unwinds, no arm is enlisted anywhere.
//! 2. An arm that was not chosen has done nothing: it still has its value.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines and plain threads. Futures are polled, and their wakers run, with no lock held.

#[cfg(not(loom))]
mod arm;
mod choose;
#[cfg(not(loom))]
mod macros;
mod operation;
mod order;

#[cfg(not(loom))]
pub use arm::{AfterArm, CancelArm, FutureArm, RecvArm, SendArm, after, cancel_arm, future_arm};
pub use choose::{Select, choose_now, choose_wait};
#[cfg(not(loom))]
pub use macros::must;
pub use operation::{Arm, Operation};
pub(super) use operation::{Place, Sealed};
