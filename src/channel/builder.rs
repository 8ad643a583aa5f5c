//! How channels are made.

#![forbid(unsafe_code)]

use super::engine::Engine;
use super::policy::{Hook, Overflow, Undelivered};
use super::shared::Shared;
use super::{Receiver, Sender};
use crate::prim::Arc;
use std::fmt;

/// A channel of capacity 0: a send waits until a receiver takes the value.
///
/// # Examples
///
/// ```
/// let (tx, rx) = kcoro::channel::rendezvous();
/// std::thread::scope(|scope| {
///     scope.spawn(move || tx.send("hello"));
///     assert_eq!(rx.recv(), Ok("hello"));
/// });
/// ```
#[must_use]
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    builder().capacity(0).build()
}

/// A channel that holds up to `capacity` values, exactly; 0 makes it a [`rendezvous`].
///
/// Memory is taken as it is needed, so that a large capacity costs nothing by itself.
///
/// # Examples
///
/// ```
/// let (tx, rx) = kcoro::channel::bounded(1);
/// tx.send(1).unwrap();
/// assert!(tx.try_send(2).is_err());
/// assert_eq!(rx.recv(), Ok(1));
/// ```
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    builder().capacity(capacity).build()
}

/// A channel that holds any number of values: a send never waits.
///
/// # Examples
///
/// ```
/// let (tx, rx) = kcoro::channel::unbounded();
/// for n in 0..1000 {
///     tx.send(n).unwrap();
/// }
/// drop(tx);
/// assert_eq!(rx.iter().count(), 1000);
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    builder().build()
}

/// A channel that holds the latest value: a send never waits, it replaces what is there.
///
/// # Examples
///
/// ```
/// let (tx, rx) = kcoro::channel::conflated();
/// tx.send("old").unwrap();
/// tx.send("new").unwrap();
/// assert_eq!(rx.recv(), Ok("new"));
/// ```
#[must_use]
pub fn conflated<T>() -> (Sender<T>, Receiver<T>) {
    builder().capacity(1).overflow(Overflow::DropOldest).build()
}

/// A channel to be described first.
///
/// # Examples
///
/// ```
/// use kcoro::channel::{self, Overflow};
///
/// let (tx, rx) = channel::builder()
///     .capacity(2)
///     .overflow(Overflow::DropOldest)
///     .on_undelivered(|n: u32| println!("{n} fell out"))
///     .name("readings")
///     .build();
/// for n in 0..5 {
///     tx.send(n).unwrap();
/// }
/// drop(tx);
/// assert_eq!(rx.iter().collect::<Vec<_>>(), [3, 4]);
/// ```
pub fn builder<T>() -> Builder<T> {
    Builder { capacity: None, overflow: Overflow::Suspend, hook: None, metrics: false, name: None }
}

/// A channel in the making; see [`builder`].
#[must_use = "a builder makes nothing until `build`"]
pub struct Builder<T> {
    capacity: Option<usize>,
    overflow: Overflow,
    hook: Option<Hook<T>>,
    metrics: bool,
    name: Option<Box<str>>,
}

impl<T> Builder<T> {
    /// How many values it holds, exactly. Without this it is unbounded.
    pub fn capacity(mut self, capacity: usize) -> Builder<T> {
        self.capacity = Some(capacity);
        self
    }

    /// What a send without room does; [`Overflow::Suspend`] unless set.
    pub fn overflow(mut self, overflow: Overflow) -> Builder<T> {
        self.overflow = overflow;
        self
    }

    /// Gets every value that entered the channel and will not be received, exactly once: replaced or
    /// dropped by the overflow policy, or still in the buffer when the last receiver is dropped.
    ///
    /// Values that a failed send gives back do not come here. The hook runs on whoever caused it,
    /// outside of the channel's lock, and may use the channel.
    pub fn on_undelivered(mut self, hook: impl Fn(T) + Send + Sync + 'static) -> Builder<T> {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Whether it counts what it does; see [`Sender::snapshot`]. Off unless set.
    pub fn metrics(mut self, metrics: bool) -> Builder<T> {
        self.metrics = metrics;
        self
    }

    /// A name for reports.
    pub fn name(mut self, name: &str) -> Builder<T> {
        self.name = Some(name.into());
        self
    }

    /// Makes the channel.
    #[must_use]
    pub fn build(self) -> (Sender<T>, Receiver<T>) {
        let engine = Engine::new(self.capacity, self.overflow);
        let undelivered = Undelivered(self.hook);
        let shared = Shared::new(engine, self.capacity, undelivered, self.metrics, self.name);
        let shared = Arc::new(shared);
        (Sender::new(Arc::clone(&shared)), Receiver::new(shared))
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("overflow", &self.overflow)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
