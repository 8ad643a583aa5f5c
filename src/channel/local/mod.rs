//! Channels between coroutines of one worker: no lock, no atomics, not `Send`.
//!
//! They have the verbs and the errors of the other channels and cost a fraction of them, because
//! nobody else can be at them: the handles do not leave their thread, and a coroutine that has
//! started does not either. Use them between coroutines of [`spawn_local`](crate::spawn_local()), or
//! between [`Task`](crate::coroutine::Task)s that one thread drives.
//!
//! A wait without a deadline or cancel token needs a coroutine to be suspended; on a plain thread it
//! panics, since nothing else could run there to end it. The futures work wherever they are polled on
//! that thread.
//!
//! # Examples
//!
//! ```
//! use kcoro::channel::local;
//!
//! let sum = kcoro::run(|| {
//!     let (tx, rx) = local::bounded(2);
//!     kcoro::spawn_local(move || (0..10).for_each(|n| tx.send(n).unwrap()));
//!     rx.iter().sum::<i32>()
//! });
//! assert_eq!(sum, 45);
//! ```
//!
//! The handles stay on their thread:
//!
//! ```compile_fail
//! let (tx, rx) = kcoro::channel::local::bounded::<u8>(1);
//! std::thread::spawn(move || tx.try_send(1));
//! ```
//!
//! ```compile_fail
//! let (tx, rx) = kcoro::channel::local::bounded::<u8>(1);
//! kcoro::spawn(move || rx.recv());
//! ```

mod buffer;
mod core;
mod future;
mod handle;

use self::core::{Channel, Full};
pub use future::{RecvFuture, RecvStream, SendFuture};
pub use handle::{IntoIter, Iter, Receiver, Sender, TryIter};
use std::rc::Rc;

/// A channel of capacity 0: a send waits until a receiver takes the value.
#[must_use]
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    make(Some(0), Full::Wait)
}

/// A channel that holds up to `capacity` values, exactly; 0 makes it a [`rendezvous`].
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    make(Some(capacity), Full::Wait)
}

/// A channel that holds any number of values: a send never waits.
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    make(None, Full::Wait)
}

/// A channel that holds the latest value: a send never waits, it replaces what is there.
#[must_use]
pub fn conflated<T>() -> (Sender<T>, Receiver<T>) {
    make(Some(1), Full::Replace)
}

fn make<T>(bound: Option<usize>, full: Full) -> (Sender<T>, Receiver<T>) {
    let channel = Rc::new(Channel::new(bound, full));
    (Sender::new(Rc::clone(&channel)), Receiver::new(channel))
}
