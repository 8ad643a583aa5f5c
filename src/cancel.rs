//! Cancellation as a value: a tree of tokens that anybody may look at, wait for, or be woken by.
//!
//! A token does not know what it cancels. Whoever waits leaves its slot and generation here; a
//! cancel claims them, and who wins that claim is woken as cancelled. Nothing is
//! thrown and nothing polls. Cancelling goes down the tree at once, so that asking is one load
//! however deep the tree is.
//!
//! # Invariants
//!
//! 1. A token is cancelled once; the first reason stays.
//! 2. An entry is taken out exactly once: by the cancel, which ends its wait, or by its owner.
//! 3. Claims, wakes and callbacks happen with no lock held; at most one lock is held at a time.
//! 4. Neither cancelling nor dropping a deep tree uses stack in proportion to its depth.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines, threads and futures; the waiting operations of the layers above. A callback of
//! [`CancelToken::on_cancel`] runs on whoever cancels, and may do anything.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::coroutine::WaitReason;
use crate::error::{CancelReason, WaitError};
use crate::prim::{Arc, AtomicBool, Mutex, Ordering};
use crate::token::{self, KernelGuard, Outcome, Payload, SlotRef, Ticket, Wait};

/// Says that something is no longer wanted. Clones are the same token; a [`child`](Self::child) is
/// cancelled with its parent, but not the other way round.
///
/// # Examples
///
/// ```
/// use kcoro::cancel::CancelToken;
/// use kcoro::channel;
/// use kcoro::error::RecvCancelError;
///
/// let token = CancelToken::new();
/// let child = token.child();
/// let (_tx, rx) = channel::bounded::<u8>(1);
/// let waiting = std::thread::spawn(move || rx.recv_cancellable(&child));
/// token.cancel_with("enough");
/// assert_eq!(waiting.join().unwrap(), Err(RecvCancelError::Cancelled));
/// assert_eq!(token.reason(), Some("enough".into()));
/// ```
#[derive(Clone)]
pub struct CancelToken(Arc<Node>);

struct Node {
    cancelled: AtomicBool,
    state: Mutex<State>,
    parent: Option<(Arc<Node>, Key)>,
    deadline: Option<Deadline>,
}

struct Deadline {
    at: Instant,
    ticket: Ticket,
    _kernel: KernelGuard,
}

struct State {
    reason: Option<CancelReason>,
    entries: Vec<Option<(u64, Entry)>>,
    free: Vec<usize>,
    sequence: u64,
}

/// Where an entry is, and which one it is.
#[derive(Clone, Copy, Debug)]
struct Key {
    place: usize,
    sequence: u64,
}

enum Entry {
    Waiter { slot: SlotRef, generation: u32, outcome: Outcome },
    Task(Waker),
    Callback(Box<dyn FnOnce(CancelReason) + Send>),
    Child(Weak<Node>),
}

impl CancelToken {
    /// A token without a parent.
    #[must_use]
    pub fn new() -> CancelToken {
        CancelToken(Arc::new(Node::new(None)))
    }

    /// A token that is cancelled at `deadline`, with [`CancelReason::Deadline`], if not before.
    ///
    /// # Panics
    ///
    /// If the thread that keeps the time cannot be started.
    #[must_use]
    pub fn with_deadline(deadline: Instant) -> CancelToken {
        CancelToken(Node::new(None).into_timed(deadline))
    }

    /// A token that is cancelled after `timeout`; see [`with_deadline`](Self::with_deadline).
    ///
    /// # Panics
    ///
    /// As [`with_deadline`](Self::with_deadline).
    #[must_use]
    pub fn with_timeout(timeout: Duration) -> CancelToken {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => CancelToken::with_deadline(deadline),
            None => CancelToken::new(),
        }
    }

    /// A token that is cancelled with this one, or alone.
    #[must_use]
    pub fn child(&self) -> CancelToken {
        self.make_child(Arc::new)
    }

    /// A child that is also cancelled at `deadline`.
    ///
    /// # Panics
    ///
    /// As [`with_deadline`](Self::with_deadline).
    #[must_use]
    pub fn child_with_deadline(&self, deadline: Instant) -> CancelToken {
        self.make_child(|node| node.into_timed(deadline))
    }

    fn make_child(&self, finish: impl FnOnce(Node) -> Arc<Node>) -> CancelToken {
        // The place is taken before the child exists, and filled once it does.
        let key = self.0.state.lock().insert(Entry::Child(Weak::new()));
        let child = finish(Node::new(Some((Arc::clone(&self.0), key))));
        let mut state = self.0.state.lock();
        if let Some((_, entry)) = state.at(key) {
            *entry = Entry::Child(Arc::downgrade(&child));
        }
        let reason = state.reason;
        drop(state);
        let child = CancelToken(child);
        if let Some(reason) = reason {
            child.cancel_with(reason);
        }
        child
    }

    /// Cancels this token and all below it. True if it was not cancelled before.
    pub fn cancel(&self) -> bool {
        self.cancel_with(CancelReason::Unspecified)
    }

    /// Cancels with a reason, which every token below it gets as well. True if it was not cancelled
    /// before; otherwise the first reason stays.
    ///
    /// All that wait are woken, and all callbacks have run, when this returns. If callbacks panic,
    /// the first panic goes on after everything has been cancelled.
    pub fn cancel_with(&self, reason: impl Into<CancelReason>) -> bool {
        cancel_tree(Arc::clone(&self.0), reason.into())
    }

    /// Whether it is cancelled. One load.
    #[inline]
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // Acquire pairs with the Release in `Node::cancel`: what came before the cancel is visible.
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Why it was cancelled; `None` while it is not.
    #[must_use]
    pub fn reason(&self) -> Option<CancelReason> {
        self.0.state.lock().reason
    }

    /// When it will be cancelled by itself; the earliest of its own deadline and those above it.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let mut earliest = None;
        let mut node = Some(&self.0);
        while let Some(this) = node {
            let own = this.deadline.as_ref().map(|deadline| deadline.at);
            earliest = [earliest, own].into_iter().flatten().min();
            node = this.parent.as_ref().map(|(parent, _)| parent);
        }
        earliest
    }

    /// Waits for the cancel: as a future, in `select!`, or with [`Cancelled::wait`].
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled { token: self, key: None }
    }

    /// Has `callback` run when the token is cancelled, on whoever cancels it; at once, here, if it
    /// is cancelled already. Callbacks of one token run in the order in which they were added.
    pub fn on_cancel(&self, callback: impl FnOnce(CancelReason) + Send + 'static) -> OnCancel {
        let mut state = self.0.state.lock();
        let Some(reason) = state.reason else {
            let key = state.insert(Entry::Callback(Box::new(callback)));
            drop(state);
            return OnCancel { node: Arc::downgrade(&self.0), key: Some(key) };
        };
        drop(state);
        callback(reason);
        OnCancel { node: Weak::new(), key: None }
    }

    /// Has the cancel end a wait with `outcome`; `None`: it is cancelled already.
    #[inline]
    pub(crate) fn register(
        &self,
        slot: SlotRef,
        generation: u32,
        outcome: Outcome,
    ) -> Option<Registration<'_>> {
        let mut state = self.0.state.lock();
        if state.reason.is_some() {
            return None;
        }
        let key = state.insert(Entry::Waiter { slot, generation, outcome });
        drop(state);
        Some(Registration { token: self, key })
    }

    /// Has the cancel end a wait that is about to park as cancelled; at once if it is cancelled
    /// already. The result is kept until the wait is over.
    pub(crate) fn end_wait(&self, slot: SlotRef, generation: u32) -> Option<Registration<'_>> {
        let registered = self.register(slot, generation, Outcome::Cancelled);
        if registered.is_none()
            && let Some(claim) = slot.claim(generation, Outcome::Cancelled)
        {
            claim.wake();
        }
        registered
    }

    /// Waits for a ticket of the caller's, as [`token::wait`] does; the cancel of
    /// this token cancels the ticket, with the same reason. A ticket that was completed before is
    /// not affected.
    ///
    /// # Errors
    ///
    /// As [`token::wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use kcoro::cancel::CancelToken;
    /// use kcoro::error::WaitError;
    /// use kcoro::token;
    ///
    /// let cancel = CancelToken::new();
    /// kcoro::run(|| {
    ///     let mine = cancel.clone();
    ///     let waiting = kcoro::spawn(move || mine.wait_ticket(token::publish()).map(|_| ()));
    ///     cancel.cancel_with("enough");
    ///     assert_eq!(waiting.join().unwrap(), Err(WaitError::Cancelled("enough".into())));
    /// });
    /// ```
    pub fn wait_ticket(&self, ticket: Ticket) -> Result<Payload, WaitError> {
        /// Takes the callback back, also if the waiter is unwound.
        struct Added(Option<OnCancel>);
        impl Drop for Added {
            fn drop(&mut self) {
                if let Some(added) = self.0.take() {
                    added.remove();
                }
            }
        }
        let _added = Added(Some(self.on_cancel(move |reason| {
            // Stale: it was completed, which is as good.
            let _ = ticket.cancel(reason);
        })));
        token::wait(ticket)
    }

    /// The token's identity, in reports.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Default for CancelToken {
    fn default() -> CancelToken {
        CancelToken::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        let waiting = state.entries.len() - state.free.len();
        f.debug_struct("CancelToken")
            .field("reason", &state.reason)
            .field("entries", &waiting)
            .finish_non_exhaustive()
    }
}

impl State {
    fn insert(&mut self, entry: Entry) -> Key {
        self.sequence += 1;
        let entry = Some((self.sequence, entry));
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        Key { place, sequence: self.sequence }
    }

    fn at(&mut self, key: Key) -> Option<&mut (u64, Entry)> {
        let entry = self.entries.get_mut(key.place)?.as_mut();
        entry.filter(|(sequence, _)| *sequence == key.sequence)
    }

    fn remove(&mut self, key: Key) -> Option<Entry> {
        self.at(key)?;
        self.free.push(key.place);
        self.entries[key.place].take().map(|(_, entry)| entry)
    }
}

impl Node {
    fn new(parent: Option<(Arc<Node>, Key)>) -> Node {
        let state = State { reason: None, entries: Vec::new(), free: Vec::new(), sequence: 0 };
        Node { cancelled: AtomicBool::new(false), state: Mutex::new(state), parent, deadline: None }
    }

    fn into_timed(mut self, at: Instant) -> Arc<Node> {
        let node = Arc::new_cyclic(|weak: &Weak<Node>| {
            let weak = Weak::clone(weak);
            let ticket = token::publish_callback(move |result| {
                if let (Err(WaitError::Timeout), Some(node)) = (result, weak.upgrade()) {
                    cancel_tree(node, CancelReason::Deadline);
                }
            });
            self.deadline = Some(Deadline { at, ticket, _kernel: token::end_at(ticket, at) });
            self
        });
        // The callback may have come before there was a node to be found.
        if Instant::now() >= at {
            cancel_tree(Arc::clone(&node), CancelReason::Deadline);
        }
        node
    }

    /// Cancels this one node: its entries, in the order in which they came, if it was the first.
    fn cancel(&self, reason: CancelReason) -> Option<Vec<Option<(u64, Entry)>>> {
        let mut state = self.state.lock();
        if state.reason.is_some() {
            return None;
        }
        state.reason = Some(reason);
        // Release pairs with the Acquire in `is_cancelled`.
        self.cancelled.store(true, Ordering::Release);
        let mut entries = std::mem::take(&mut state.entries);
        state.free = Vec::new();
        drop(state);
        entries.sort_by_key(|entry| entry.as_ref().map(|(sequence, _)| *sequence));
        Some(entries)
    }

    fn forget(&self, key: Key) -> Option<Entry> {
        self.state.lock().remove(key)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(deadline) = &self.deadline {
            // Stale is fine: it has passed.
            let _ = deadline.ticket.cancel(());
        }
        // One link at a time, so that a long chain is not dropped within itself.
        let mut parent = self.parent.take();
        while let Some((node, key)) = parent.take() {
            drop(node.forget(key));
            if let Some(mut last) = Arc::into_inner(node) {
                parent = last.parent.take();
            }
        }
    }
}

/// Cancels `node` and everything below it.
fn cancel_tree(node: Arc<Node>, reason: CancelReason) -> bool {
    let mut first_panic = None;
    let mut todo = vec![node];
    let mut cancelled = false;
    let mut at_root = true;
    while let Some(node) = todo.pop() {
        let entries = node.cancel(reason);
        cancelled |= at_root && entries.is_some();
        at_root = false;
        for (_, entry) in entries.into_iter().flatten().flatten() {
            match entry {
                Entry::Waiter { slot, generation, outcome } => {
                    if let Some(claim) = slot.claim(generation, outcome) {
                        claim.wake();
                    }
                }
                Entry::Child(child) => todo.extend(child.upgrade()),
                Entry::Task(waker) => {
                    let outcome = catch_unwind(AssertUnwindSafe(|| waker.wake()));
                    first_panic = first_panic.or(outcome.err());
                }
                Entry::Callback(callback) => {
                    let outcome = catch_unwind(AssertUnwindSafe(|| callback(reason)));
                    first_panic = first_panic.or(outcome.err());
                }
            }
        }
    }
    match first_panic {
        Some(panic) if !std::thread::panicking() => resume_unwind(panic),
        _ => cancelled,
    }
}

/// A wait that a token may end; dropped when the wait is over.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    token: &'a CancelToken,
    key: Key,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.token.0.forget(self.key);
    }
}

/// A callback that was given to a token. Dropping this leaves it there.
pub struct OnCancel {
    node: Weak<Node>,
    key: Option<Key>,
}

impl OnCancel {
    /// Takes the callback back; false if it has run, or is about to.
    pub fn remove(self) -> bool {
        let entry = self.key.and_then(|key| self.node.upgrade()?.forget(key));
        entry.is_some()
    }
}

impl fmt::Debug for OnCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnCancel").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The cancel of a token, to be waited for; made by [`CancelToken::cancelled`].
///
/// # Examples
///
/// ```
/// use kcoro::cancel::CancelToken;
///
/// let token = CancelToken::new();
/// let other = token.clone();
/// let waiting = std::thread::spawn(move || other.cancelled().wait());
/// token.cancel_with(7);
/// assert_eq!(waiting.join().unwrap(), 7.into());
/// ```
#[must_use = "it waits only when awaited, selected, or by `wait`"]
#[derive(Debug)]
pub struct Cancelled<'a> {
    token: &'a CancelToken,
    key: Option<Key>,
}

impl<'a> Cancelled<'a> {
    /// Waits, suspending the coroutine or blocking the thread, and says why it was cancelled.
    pub fn wait(self) -> CancelReason {
        let wait = Wait::begin_for(WaitReason::Cancel, self.token.address());
        let registered = self.token.register(wait.slot(), wait.generation(), Outcome::Cancelled);
        if registered.is_some() {
            wait.park();
        } else if let Err(claimed) = wait.retract() {
            claimed.park();
        }
        drop(registered);
        self.reason()
    }

    /// The token that is waited for.
    pub(crate) fn token(&self) -> &'a CancelToken {
        self.token
    }

    fn reason(&self) -> CancelReason {
        self.token.reason().unwrap_or_default()
    }
}

impl Future for Cancelled<'_> {
    type Output = CancelReason;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<CancelReason> {
        let token = self.token;
        // Code of the user's: outside of the lock.
        let waker = Entry::Task(context.waker().clone());
        let mut state = token.0.state.lock();
        if let Some(reason) = state.reason {
            drop(state);
            return Poll::Ready(reason);
        }
        let old = match self.key.and_then(|key| state.at(key)) {
            Some((_, entry)) => Some(std::mem::replace(entry, waker)),
            None => {
                self.key = Some(state.insert(waker));
                None
            }
        };
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            drop(self.token.0.forget(key));
        }
    }
}
