//! A channel whose every value goes to every subscriber.
//!
//! The last `capacity` values lie in one log; each subscriber has a position of its own in it. A send
//! never waits: a subscriber that is more than `capacity` values behind loses the oldest ones and
//! learns how many. A value is dropped when all who were subscribed at its send have had it, or when
//! it is pushed out. Values lie in `Arc`s, so that cloning one happens outside of the lock.
//!
//! # Invariants
//!
//! 1. `log[i]` has number `first + i`; positions are in `first..=first + len`, or behind `first` for
//!    one that lags.
//! 2. `log[i].owed` is how many live subscribers have a position at or before it, of those that
//!    existed when it was sent. So values of `owed == 0` form a prefix, which is dropped.
//! 3. No `Clone` and no `Drop` of a value runs under the lock.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines, threads and futures. A receive may suspend.

#![forbid(unsafe_code)]

use super::deadline;
use super::parties::{self, Awaited, Parties};
use super::shared::End;
use super::wait::Limits;
use crate::cancel::CancelToken;
use crate::error::{
    BroadcastCancelError, BroadcastError, BroadcastTimeoutError, SendError, TryBroadcastError,
};
use crate::prim::{Arc, Mutex};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

struct Entry<T> {
    value: Arc<T>,
    owed: usize,
}

struct State<T> {
    log: VecDeque<Entry<T>>,
    /// The number of the first value in `log`.
    first: u64,
    subscribers: usize,
    senders: usize,
    next_key: u64,
    closed: bool,
    waiting: Parties,
}

impl<T> State<T> {
    fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    /// What a subscriber at `position` gets, and moves on.
    fn next(&mut self, position: &mut u64) -> Option<Result<Arc<T>, TryBroadcastError>> {
        if *position < self.first {
            let missed = self.first - *position;
            *position = self.first;
            return Some(Err(TryBroadcastError::Lagged(missed)));
        }
        let at = usize::try_from(*position - self.first).expect("the log fits the memory");
        let Some(entry) = self.log.get_mut(at) else {
            return self.closed.then_some(Err(TryBroadcastError::Closed));
        };
        *position += 1;
        entry.owed -= 1;
        if entry.owed > 0 || at > 0 {
            // Of the first entry alone: those behind it are owed to whoever has not had it.
            return Some(Ok(Arc::clone(&entry.value)));
        }
        self.first += 1;
        self.log.pop_front().map(|entry| Ok(entry.value))
    }

    /// Takes what nobody is owed any more out of the log.
    fn settle(&mut self) -> Vec<Entry<T>> {
        let count = self.log.iter().take_while(|entry| entry.owed == 0).count();
        self.first += count as u64;
        self.log.drain(..count).collect()
    }
}

impl<T> Awaited for State<T> {
    fn parties(&mut self) -> &mut Parties {
        &mut self.waiting
    }
}

struct Shared<T> {
    state: Mutex<State<T>>,
    capacity: usize,
}

impl<T> Shared<T> {
    fn subscribe(self: &Arc<Self>, position: Option<u64>) -> Subscriber<T> {
        let mut state = self.state.lock();
        state.subscribers += 1;
        state.next_key += 1;
        let key = state.next_key;
        let position = position.unwrap_or(state.end());
        let from = usize::try_from(position.saturating_sub(state.first)).unwrap_or(usize::MAX);
        for entry in state.log.iter_mut().skip(from) {
            entry.owed += 1;
        }
        drop(state);
        Subscriber { shared: Arc::clone(self), position, key }
    }

    fn close(&self) -> bool {
        let mut state = self.state.lock();
        let first = !std::mem::replace(&mut state.closed, true);
        let called = state.waiting.take();
        drop(state);
        called.wake();
        first
    }
}

/// A channel that keeps the last `capacity` values for subscribers that are behind.
///
/// # Panics
///
/// If `capacity` is 0.
///
/// # Examples
///
/// ```
/// use kcoro::channel;
/// use kcoro::error::BroadcastError;
///
/// let (tx, mut first) = channel::broadcast(2);
/// let mut second = tx.subscribe();
/// tx.send("a").unwrap();
/// assert_eq!((first.recv(), second.recv()), (Ok("a"), Ok("a")));
/// for value in ["b", "c", "d"] {
///     tx.send(value).unwrap();
/// }
/// assert_eq!(first.recv(), Err(BroadcastError::Lagged(1)));
/// assert_eq!(first.recv(), Ok("c"));
/// ```
#[must_use]
pub fn broadcast<T: Clone>(capacity: usize) -> (BroadcastSender<T>, Subscriber<T>) {
    assert!(capacity > 0, "a broadcast keeps one value at least");
    let state = State {
        log: VecDeque::new(),
        first: 0,
        subscribers: 0,
        senders: 1,
        next_key: 0,
        closed: false,
        waiting: Parties::default(),
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), capacity });
    let subscriber = shared.subscribe(None);
    (BroadcastSender { shared }, subscriber)
}

/// Sends to all subscribers. Clones send into the same channel; when the last is dropped, it closes.
pub struct BroadcastSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> BroadcastSender<T> {
    /// Sends `value` to all who are subscribed now, and says how many that are: with none, it is
    /// dropped. Never waits.
    ///
    /// # Errors
    ///
    /// The channel is closed: the value comes back.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let value = Arc::new(value);
        let mut state = self.shared.state.lock();
        if state.closed {
            drop(state);
            let value = Arc::into_inner(value).expect("nobody else has it");
            return Err(SendError::Closed(value));
        }
        let owed = state.subscribers;
        if owed == 0 {
            return Ok(0);
        }
        let mut pushed_out = None;
        if state.log.len() == self.shared.capacity {
            pushed_out = state.log.pop_front();
            state.first += 1;
        }
        state.log.push_back(Entry { value, owed });
        let called = state.waiting.take();
        drop(state);
        called.wake();
        drop(pushed_out);
        Ok(owed)
    }

    /// A subscriber of the values that are sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber<T> {
        self.shared.subscribe(None)
    }

    /// Closes the channel: sends fail, subscribers drain what they have not had. True the first
    /// time.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().closed
    }

    /// How many subscribers there are now.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.shared.state.lock().subscribers
    }

    /// Values that some subscriber has not had yet, of those that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.state.lock().log.len()
    }

    /// Whether all subscribers have had everything that is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values are kept for those that are behind.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }
}

impl<T> Clone for BroadcastSender<T> {
    fn clone(&self) -> BroadcastSender<T> {
        self.shared.state.lock().senders += 1;
        BroadcastSender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for BroadcastSender<T> {
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

/// Receives every value that is sent while it exists. A clone starts where the original stands.
pub struct Subscriber<T> {
    shared: Arc<Shared<T>>,
    position: u64,
    key: u64,
}

impl<T: Clone> Subscriber<T> {
    /// Receives the next value, waiting for one.
    ///
    /// # Errors
    ///
    /// Values were lost because this subscriber lags (the next call goes on behind them), or the
    /// channel is closed and this subscriber has had everything.
    pub fn recv(&mut self) -> Result<T, BroadcastError> {
        let Subscriber { shared, position, .. } = self;
        let next = parties::wait(&shared.state, Limits::default(), |state| state.next(position));
        match next {
            Ok(next) => own(next).map_err(lasting),
            Err(_) => unreachable!("there is no limit"),
        }
    }

    /// Receives the next value if there is one.
    ///
    /// # Errors
    ///
    /// There is none now, or as [`recv`](Subscriber::recv).
    pub fn try_recv(&mut self) -> Result<T, TryBroadcastError> {
        let next = self.shared.state.lock().next(&mut self.position);
        own(next.unwrap_or(Err(TryBroadcastError::Empty)))
    }

    /// Receives the next value, waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// The time is up, or as [`recv`](Subscriber::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, BroadcastTimeoutError> {
        self.recv_until(deadline::after(timeout))
    }

    /// Receives the next value, waiting until `deadline` at most.
    ///
    /// # Errors
    ///
    /// The deadline has passed, or as [`recv`](Subscriber::recv).
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, BroadcastTimeoutError> {
        self.recv_until(deadline::at(deadline))
    }

    fn recv_until(&mut self, deadline: Option<u64>) -> Result<T, BroadcastTimeoutError> {
        self.recv_limited(Limits { deadline, cancel: None }).map_err(|error| match error {
            BroadcastCancelError::Lagged(missed) => BroadcastTimeoutError::Lagged(missed),
            BroadcastCancelError::Closed => BroadcastTimeoutError::Closed,
            _ => BroadcastTimeoutError::Timeout,
        })
    }

    /// Receives the next value, unless `token` is cancelled before one comes.
    ///
    /// # Errors
    ///
    /// The token is cancelled, or as [`recv`](Subscriber::recv).
    pub fn recv_cancellable(&mut self, token: &CancelToken) -> Result<T, BroadcastCancelError> {
        self.recv_limited(Limits { deadline: None, cancel: Some(token) })
    }

    /// Receives the next value, unless `token` is cancelled or `timeout` is over before one comes.
    ///
    /// # Errors
    ///
    /// The token is cancelled (this comes first), the time is up, or as [`recv`](Subscriber::recv).
    pub fn recv_timeout_cancellable(
        &mut self,
        timeout: Duration,
        token: &CancelToken,
    ) -> Result<T, BroadcastCancelError> {
        let deadline = deadline::after(timeout);
        self.recv_limited(Limits { deadline, cancel: Some(token) })
    }

    fn recv_limited(&mut self, limits: Limits<'_>) -> Result<T, BroadcastCancelError> {
        let Subscriber { shared, position, .. } = self;
        match parties::wait(&shared.state, limits, |state| state.next(position)) {
            Ok(next) => own(next).map_err(|error| match lasting(error) {
                BroadcastError::Lagged(missed) => BroadcastCancelError::Lagged(missed),
                BroadcastError::Closed => BroadcastCancelError::Closed,
            }),
            Err(End::Cancelled) => Err(BroadcastCancelError::Cancelled),
            Err(_) => Err(BroadcastCancelError::Timeout),
        }
    }

    /// Receives the next value as a future.
    ///
    /// # Errors
    ///
    /// As [`recv`](Subscriber::recv).
    pub async fn recv_async(&mut self) -> Result<T, BroadcastError> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(&mut self, context: &Context<'_>) -> Poll<Result<T, BroadcastError>> {
        let Subscriber { shared, position, key } = self;
        let next = parties::poll(&shared.state, *key, context, |state| state.next(position));
        next.map(|next| own(next).map_err(lasting))
    }

    /// Values of its own that it has not had yet; those that it has lost do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        let state = self.shared.state.lock();
        usize::try_from(state.end() - self.position.max(state.first)).unwrap_or(usize::MAX)
    }

    /// Whether it has had everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the channel is closed; something may be left in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().closed
    }
}

/// The value itself: moved out if this was the last who wanted it.
fn own<T: Clone>(next: Result<Arc<T>, TryBroadcastError>) -> Result<T, TryBroadcastError> {
    next.map(Arc::unwrap_or_clone)
}

/// What a wait ends with that was not for nothing.
fn lasting(error: TryBroadcastError) -> BroadcastError {
    match error {
        TryBroadcastError::Lagged(missed) => BroadcastError::Lagged(missed),
        TryBroadcastError::Empty | TryBroadcastError::Closed => BroadcastError::Closed,
    }
}

impl<T> Clone for Subscriber<T> {
    fn clone(&self) -> Subscriber<T> {
        self.shared.subscribe(Some(self.position))
    }
}

impl<T> Drop for Subscriber<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.subscribers -= 1;
        let from = usize::try_from(self.position.saturating_sub(state.first)).unwrap_or(usize::MAX);
        for entry in state.log.iter_mut().skip(from) {
            entry.owed -= 1;
        }
        let settled = state.settle();
        let waker = state.waiting.remove_task(self.key);
        drop(state);
        drop((settled, waker));
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        write!(f, "len {} of {}, ", state.log.len(), self.capacity)?;
        write!(f, "{} senders, {} subscribers", state.senders, state.subscribers)?;
        if state.closed { f.write_str(", closed") } else { Ok(()) }
    }
}

impl<T> fmt::Debug for BroadcastSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BroadcastSender({:?})", self.shared)
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscriber({:?}, at {})", self.shared, self.position)
    }
}
