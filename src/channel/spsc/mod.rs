//! A channel for one sender and one receiver: a ring with cached positions, and chunks in place.
//!
//! Neither end can be cloned, and each works by `&mut self`; that is what makes it cheaper than the
//! other kinds: no lock, and on the way of a value only plain stores. Ends may move between
//! coroutines, threads and futures; a side that finds the ring empty or full waits like everywhere
//! else. Positions may be published once for a run of values: [`Sender::write_chunk`],
//! [`Receiver::read_chunk`].
//!
//! When the receiver closes or is dropped while a send is under way, that send may still succeed;
//! its value is dropped with the channel.

#[cfg_attr(loom, allow(dead_code))]
mod flow;

#[cfg(not(loom))]
mod chunk;
#[cfg(not(loom))]
mod future;
#[cfg(not(loom))]
mod half;
#[cfg(not(loom))]
mod receiver;
#[cfg(not(loom))]
mod sender;

#[cfg(not(loom))]
pub use chunk::{ReadChunk, WriteChunk};
#[cfg(not(loom))]
pub use future::{RecvFuture, SendFuture, Stream};
#[cfg(not(loom))]
pub use receiver::{IntoIter, Iter, Receiver, TryIter};
#[cfg(not(loom))]
pub use sender::Sender;

/// A channel of exactly `capacity` values for one sender and one receiver.
///
/// Its memory is taken at once: cells for the next power of two.
///
/// # Panics
///
/// If `capacity` is 0, or too large to be allocated.
///
/// # Examples
///
/// ```
/// let (mut tx, mut rx) = kcoro::channel::spsc(64);
/// let sender = std::thread::spawn(move || (0..1000).for_each(|n| tx.send(n).unwrap()));
/// assert_eq!(rx.iter().sum::<u64>(), 499_500);
/// sender.join().unwrap();
/// ```
///
/// The ends cannot be cloned, and not be used from two threads at once:
///
/// ```compile_fail
/// let (tx, rx) = kcoro::channel::spsc::<u8>(1);
/// let other = tx.clone();
/// ```
///
/// ```compile_fail
/// fn shared<T: Sync>(_: T) {}
/// let (tx, rx) = kcoro::channel::spsc::<u8>(1);
/// shared(tx);
/// ```
///
/// Nor can values be looked at from two threads at once that are not fit for it:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>(_: T) {}
/// let (tx, mut rx) = kcoro::channel::spsc::<std::cell::Cell<u8>>(1);
/// shared(rx.read_chunk(1).unwrap());
/// ```
#[cfg(not(loom))]
#[must_use]
pub fn spsc<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = half::ring(capacity);
    (Sender::new(tx), Receiver::new(rx))
}
