//! What went through a payload channel: messages, bytes, refusals.
//!
//! Each handle counts for itself, by plain stores, since it is used by one thread at a time; who asks
//! adds up what the living handles have counted and what the dropped ones have left.
//!
//! # Invariants
//!
//! 1. A [`Counters`] is written by its one handle only, and read by anyone; but that of the futures,
//!    which may be polled anywhere, is written by atomic additions.
//! 2. A handle's figures are in `handles` or in `left`, never in both.

#![forbid(unsafe_code)]

use crate::prim::{Arc, AtomicU64, Mutex, Ordering};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::AddAssign;

/// What one side of a payload channel has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// Payloads that went through.
    pub messages: u64,
    /// Their bytes, by their lengths.
    pub bytes: u64,
    /// Operations that failed: closed, full, empty, timed out.
    pub failed: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Traffic) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.failed += other.failed;
    }
}

/// One handle's figures.
#[derive(Default)]
struct Counters {
    messages: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    fn now(&self) -> Traffic {
        Traffic {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// By its one writer (invariant 1).
#[inline(always)]
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}

#[derive(Default)]
struct Side {
    handles: Vec<Arc<Counters>>,
    left: Traffic,
    futures: Arc<Counters>,
}

impl Side {
    fn total(&self) -> Traffic {
        let mut total = self.left;
        total += self.futures.now();
        self.handles.iter().for_each(|handle| total += handle.now());
        total
    }
}

/// What the futures of a side count together.
pub(super) struct Futures(Arc<Counters>);

impl Futures {
    /// Notes one operation on a payload of that length.
    pub(super) fn count(&self, length: usize, done: bool) {
        let Counters { messages, bytes, failed } = &*self.0;
        if done {
            messages.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(length as u64, Ordering::Relaxed);
        } else {
            failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A handle's share in the figures of its side. A clone counts for itself.
pub(super) struct Tally {
    own: Arc<Counters>,
    side: Arc<Mutex<Side>>,
    /// The figures of the other side, to be read.
    other: Arc<Mutex<Side>>,
    futures: Futures,
    /// Not `Sync`: one writer.
    alone: PhantomData<Cell<()>>,
}

impl Tally {
    /// The first handles of the two sides of a channel.
    pub(super) fn pair() -> (Tally, Tally) {
        let (one, two) = (Arc::default(), Arc::default());
        (Tally::join(&one, &two), Tally::join(&two, &one))
    }

    fn join(side: &Arc<Mutex<Side>>, other: &Arc<Mutex<Side>>) -> Tally {
        let own = Arc::<Counters>::default();
        let mut locked = side.lock();
        locked.handles.push(Arc::clone(&own));
        let futures = Futures(Arc::clone(&locked.futures));
        drop(locked);
        let (side, other) = (Arc::clone(side), Arc::clone(other));
        Tally { own, side, other, futures, alone: PhantomData }
    }

    /// Where the side's futures count.
    pub(super) fn futures(&self) -> &Futures {
        &self.futures
    }

    /// Notes one operation on a payload of that length.
    #[inline(always)]
    pub(super) fn count(&self, length: usize, done: bool) {
        if done {
            add(&self.own.messages, 1);
            add(&self.own.bytes, length as u64);
        } else {
            add(&self.own.failed, 1);
        }
    }

    /// Of all handles of the side, dropped ones included.
    pub(super) fn total(&self) -> Traffic {
        self.side.lock().total()
    }

    /// Of the other side of the channel.
    pub(super) fn opposite(&self) -> Traffic {
        self.other.lock().total()
    }
}

impl Clone for Tally {
    fn clone(&self) -> Tally {
        Tally::join(&self.side, &self.other)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let mut side = self.side.lock();
        side.left += self.own.now();
        side.handles.retain(|handle| !Arc::ptr_eq(handle, &self.own));
    }
}
