//! The latest value of something, and news of its changes.
//!
//! Everybody sees the value as it is; a receiver that is slow sees the latest, not each. The value
//! lies in an `Arc`: looking at it holds no lock, and no code of the user's runs under one.
//!
//! # Invariants
//!
//! 1. `version` counts the values; a receiver has seen one of them, at most the latest.
//! 2. No closure, `Clone` or `Drop` of a value runs under the lock.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines, threads and futures. [`WatchReceiver::changed`] may suspend.

#![forbid(unsafe_code)]

use super::deadline;
use super::parties::{self, Awaited, Parties};
use super::shared::End;
use super::verbs::limited_waits;
use super::wait::Limits;
use crate::cancel::CancelToken;
use crate::error::{RecvCancelError, RecvError, RecvTimeoutError, SendError};
use crate::prim::{Arc, Mutex};
use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::task::{Context, Poll};
use std::time::Duration;

struct State<T> {
    value: Arc<T>,
    version: u64,
    senders: usize,
    next_key: u64,
    closed: bool,
    waiting: Parties,
}

impl<T> State<T> {
    /// Whether there is news for someone who has seen `seen`, and takes note of it.
    fn news(&self, seen: &mut u64) -> Option<Result<(), RecvError>> {
        if self.version != *seen {
            *seen = self.version;
            return Some(Ok(()));
        }
        self.closed.then_some(Err(RecvError))
    }
}

impl<T> Awaited for State<T> {
    fn parties(&mut self) -> &mut Parties {
        &mut self.waiting
    }
}

struct Shared<T> {
    state: Mutex<State<T>>,
}

impl<T> Shared<T> {
    fn value(&self) -> Watched<T> {
        Watched(Arc::clone(&self.state.lock().value))
    }

    fn close(&self) -> bool {
        let mut state = self.state.lock();
        let first = !std::mem::replace(&mut state.closed, true);
        let called = state.waiting.take();
        drop(state);
        called.wake();
        first
    }

    fn receiver(self: &Arc<Self>, seen: Option<u64>) -> WatchReceiver<T> {
        let mut state = self.state.lock();
        state.next_key += 1;
        let (key, seen) = (state.next_key, seen.unwrap_or(state.version));
        drop(state);
        WatchReceiver { shared: Arc::clone(self), seen, key }
    }

    /// Makes `value` the latest, if the latest still is that of `version`, when one is given.
    fn replace(&self, value: T, version: Option<u64>) -> Result<Watched<T>, Refused<T>> {
        let value = Arc::new(value);
        let mut state = self.state.lock();
        if state.closed || version.is_some_and(|version| version != state.version) {
            let closed = state.closed;
            drop(state);
            let value = Arc::into_inner(value).expect("nobody else has it");
            return Err(if closed { Refused::Closed(value) } else { Refused::Changed });
        }
        let before = std::mem::replace(&mut state.value, value);
        state.version += 1;
        let called = state.waiting.take();
        drop(state);
        called.wake();
        Ok(Watched(before))
    }
}

enum Refused<T> {
    Closed(T),
    Changed,
}

/// A value to be watched, and its first receiver, which has seen it.
///
/// # Examples
///
/// ```
/// let (tx, mut rx) = kcoro::channel::watch(1);
/// let watcher = std::thread::spawn(move || {
///     rx.changed().unwrap();
///     *rx.borrow()
/// });
/// tx.send(2).unwrap();
/// assert_eq!(watcher.join().unwrap(), 2);
/// ```
#[must_use]
pub fn watch<T>(value: T) -> (WatchSender<T>, WatchReceiver<T>) {
    let state = State {
        value: Arc::new(value),
        version: 0,
        senders: 1,
        next_key: 0,
        closed: false,
        waiting: Parties::default(),
    };
    let shared = Arc::new(Shared { state: Mutex::new(state) });
    let receiver = shared.receiver(None);
    (WatchSender { shared }, receiver)
}

/// A value as it was when it was looked at. Holds no lock; later changes do not touch it.
pub struct Watched<T>(Arc<T>);

impl<T> Deref for Watched<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Changes the value. Clones change the same one; when the last is dropped, the channel closes.
pub struct WatchSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> WatchSender<T> {
    /// Makes `value` the latest; the one before comes back. Never waits.
    ///
    /// # Errors
    ///
    /// The channel is closed: the value comes back.
    pub fn send(&self, value: T) -> Result<Watched<T>, SendError<T>> {
        match self.shared.replace(value, None) {
            Ok(before) => Ok(before),
            Err(Refused::Closed(value)) => Err(SendError::Closed(value)),
            Err(Refused::Changed) => unreachable!("no version was asked for"),
        }
    }

    /// Changes a copy of the latest value by `modify` and, if that returns true, makes it the latest.
    /// Says whether it did; not if the channel is closed.
    ///
    /// `modify` runs under no lock; it runs again if another sender was faster.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = kcoro::channel::watch(vec![1]);
    /// assert!(tx.send_if_modified(|list| {
    ///     list.push(2);
    ///     true
    /// }));
    /// assert!(!tx.send_if_modified(|_| false));
    /// assert_eq!(*rx.borrow(), [1, 2]);
    /// ```
    pub fn send_if_modified(&self, mut modify: impl FnMut(&mut T) -> bool) -> bool
    where
        T: Clone,
    {
        loop {
            let state = self.shared.state.lock();
            let (before, version) = (Arc::clone(&state.value), state.version);
            drop(state);
            let mut value = T::clone(&before);
            if !modify(&mut value) {
                return false;
            }
            match self.shared.replace(value, Some(version)) {
                Ok(_) => return true,
                Err(Refused::Closed(_)) => return false,
                Err(Refused::Changed) => {}
            }
        }
    }

    /// The latest value.
    #[must_use]
    pub fn borrow(&self) -> Watched<T> {
        self.shared.value()
    }

    /// A receiver that has seen the latest value.
    #[must_use]
    pub fn subscribe(&self) -> WatchReceiver<T> {
        self.shared.receiver(None)
    }

    /// Closes the channel: sends fail, the value stays. True the first time.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().closed
    }
}

impl<T> Clone for WatchSender<T> {
    fn clone(&self) -> WatchSender<T> {
        self.shared.state.lock().senders += 1;
        WatchSender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for WatchSender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.senders -= 1;
        let last = state.senders == 0;
        drop(state);
        if last {
            self.shared.close();
        }
    }
}

/// Sees the latest value and waits for changes. A clone has seen what the original has.
pub struct WatchReceiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
    key: u64,
}

impl<T> WatchReceiver<T> {
    /// The latest value. It does not count as seen.
    #[must_use]
    pub fn borrow(&self) -> Watched<T> {
        self.shared.value()
    }

    /// The latest value, which is seen by that.
    #[must_use]
    pub fn borrow_and_update(&mut self) -> Watched<T> {
        let state = self.shared.state.lock();
        self.seen = state.version;
        Watched(Arc::clone(&state.value))
    }

    /// Whether there is a value that was not seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.shared.state.lock().version != self.seen
    }

    /// Waits for a value that was not seen; then it is.
    ///
    /// # Errors
    ///
    /// The channel is closed and the latest value was seen.
    pub fn changed(&mut self) -> Result<(), RecvError> {
        self.changed_limited(Limits::default()).map_err(|_| RecvError)
    }

    fn changed_limited(&mut self, limits: Limits<'_>) -> Result<(), End> {
        let WatchReceiver { shared, seen, .. } = self;
        let news = parties::wait(&shared.state, limits, |state| state.news(seen))?;
        news.map_err(|RecvError| End::Closed)
    }

    limited_waits! {
        self, [&mut self], (), "Waits for a value that was not seen; then it is",
        changed_limited => changed_timeout changed_deadline changed_cancellable
        changed_timeout_cancellable changed_deadline_cancellable
    }

    /// As [`changed`](WatchReceiver::changed), as a future.
    ///
    /// # Errors
    ///
    /// The channel is closed and the latest value was seen.
    pub async fn changed_async(&mut self) -> Result<(), RecvError> {
        poll_fn(|context| self.poll_changed(context)).await
    }

    fn poll_changed(&mut self, context: &Context<'_>) -> Poll<Result<(), RecvError>> {
        let WatchReceiver { shared, seen, key } = self;
        parties::poll(&shared.state, *key, context, |state| state.news(seen))
    }

    /// Waits until the value is as `wanted` says, and returns it.
    ///
    /// # Errors
    ///
    /// The channel is closed and its last value is not.
    pub fn wait_for(&mut self, wanted: impl FnMut(&T) -> bool) -> Result<Watched<T>, RecvError> {
        self.wait_for_limited(wanted, Limits::default()).map_err(|_| RecvError)
    }

    /// As [`wait_for`](WatchReceiver::wait_for), waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// The time is up, or as [`wait_for`](WatchReceiver::wait_for).
    pub fn wait_for_timeout(
        &mut self,
        wanted: impl FnMut(&T) -> bool,
        timeout: Duration,
    ) -> Result<Watched<T>, RecvTimeoutError> {
        let deadline = deadline::after(timeout);
        self.wait_for_limited(wanted, Limits { deadline, cancel: None }).map_err(End::timeout_error)
    }

    /// As [`wait_for`](WatchReceiver::wait_for), unless `token` is cancelled before.
    ///
    /// # Errors
    ///
    /// The token is cancelled, or as [`wait_for`](WatchReceiver::wait_for).
    pub fn wait_for_cancellable(
        &mut self,
        wanted: impl FnMut(&T) -> bool,
        token: &CancelToken,
    ) -> Result<Watched<T>, RecvCancelError> {
        let limits = Limits { deadline: None, cancel: Some(token) };
        self.wait_for_limited(wanted, limits).map_err(End::cancel_error)
    }

    fn wait_for_limited(
        &mut self,
        mut wanted: impl FnMut(&T) -> bool,
        limits: Limits<'_>,
    ) -> Result<Watched<T>, End> {
        loop {
            let value = self.borrow_and_update();
            if wanted(&value) {
                return Ok(value);
            }
            self.changed_limited(limits)?;
        }
    }

    /// As [`wait_for`](WatchReceiver::wait_for), as a future.
    ///
    /// # Errors
    ///
    /// The channel is closed and its last value is not as wanted.
    pub async fn wait_for_async(
        &mut self,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Result<Watched<T>, RecvError> {
        loop {
            let value = self.borrow_and_update();
            if wanted(&value) {
                return Ok(value);
            }
            drop(value);
            self.changed_async().await?;
        }
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().closed
    }
}

impl<T> Clone for WatchReceiver<T> {
    fn clone(&self) -> WatchReceiver<T> {
        self.shared.receiver(Some(self.seen))
    }
}

impl<T> Drop for WatchReceiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        let waker = state.waiting.remove_task(self.key);
        drop(state);
        drop(waker);
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        write!(f, "version {}", state.version)?;
        if state.closed { f.write_str(", closed") } else { Ok(()) }
    }
}

impl<T> fmt::Debug for WatchSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchSender({:?})", self.shared)
    }
}

impl<T> fmt::Debug for WatchReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchReceiver({:?}, seen {})", self.shared, self.seen)
    }
}
