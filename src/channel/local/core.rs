//! What the handles of a local channel share: a buffer, and who waits, all on one thread.
//!
//! There is no lock, no atomic and no slot of the wait table on the way from coroutine to coroutine:
//! a node on the waiter's frame names the coroutine itself, and its partner, which runs on the same
//! thread, moves the value and queues it. Only a wait with a deadline or a cancel token goes through
//! a slot, because something else may end it as well. A future's node holds its waker.
//!
//! # Invariants
//!
//! 1. All handles of a channel, and all frames with nodes of it, belong to one thread: the handles
//!    hold an `Rc`, and a coroutine that has started never leaves its thread.
//! 2. No reference into the state is alive while a coroutine is suspended, and none while code of
//!    the user's runs: no `Drop` and no waker is called with one.
//! 3. A linked node stays where it is until it is unlinked: by a partner that wakes it, or by its
//!    owner's guard.
//! 4. The cell of a waiting sender is full until its value is taken, that of a waiting receiver is
//!    empty until it is given one; so the cell says whether the operation happened.
//! 5. A receiver waits only while nothing is there, a sender only while there is no room.
//!
//! # Who calls this, and what it may call
//!
//! `handle`. A wait without a deadline may only happen in a coroutine: nothing else could run on the
//! thread to end it.

use super::super::shared::{End, Side};
use super::super::wait::Limits;
use super::buffer::Buffer;
use crate::coroutine::{self, ControlRef};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::token::{Claim, Outcome, SlotRef, Wait};
use crate::util::Panics;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::ptr;
use std::task::{Context, Poll, Waker};

/// What a send without room does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Full {
    Wait,
    Replace,
}

enum Waiter {
    /// A coroutine that waits here and nowhere else.
    Direct(ControlRef),
    /// A wait that something else may end first.
    Limited { slot: SlotRef, generation: u32 },
    /// A future.
    Task(Waker),
}

#[must_use = "the party sleeps until it is woken"]
enum Wake {
    Direct(ControlRef),
    Limited(Claim),
    Task(Waker),
}

impl Wake {
    #[inline(always)]
    fn wake(self) {
        match self {
            Wake::Direct(party) => party.make_ready(),
            Wake::Limited(claim) => claim.wake(),
            Wake::Task(waker) => waker.wake(),
        }
    }
}

struct Links<T> {
    previous: *const Node<T>,
    next: *const Node<T>,
    waiter: Waiter,
}

/// One waiting party and its value cell, on its own frame.
pub(super) struct Node<T> {
    value: UnsafeCell<Option<T>>,
    linked: Cell<bool>,
    links: UnsafeCell<MaybeUninit<Links<T>>>,
    _pinned: PhantomPinned,
}

impl<T> Node<T> {
    #[inline(always)]
    pub(super) fn new(value: Option<T>) -> Node<T> {
        Node {
            value: UnsafeCell::new(value),
            linked: Cell::new(false),
            links: UnsafeCell::new(MaybeUninit::uninit()),
            _pinned: PhantomPinned,
        }
    }

    #[inline(always)]
    pub(super) fn into_value(self) -> Option<T> {
        self.value.into_inner()
    }

    #[inline(always)]
    fn links(&self) -> *mut Links<T> {
        self.links.get().cast()
    }
}

struct List<T> {
    first: *const Node<T>,
    last: *const Node<T>,
}

impl<T> List<T> {
    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// # Safety
    ///
    /// - `node` is not linked, and stays where it is until it is unlinked from this list.
    #[inline(always)]
    unsafe fn push(&mut self, node: &Node<T>, waiter: Waiter) {
        // SAFETY: not linked, so nobody else looks at the links.
        unsafe { node.links().write(Links { previous: self.last, next: ptr::null(), waiter }) };
        node.linked.set(true);
        if self.last.is_null() {
            self.first = node;
        } else {
            // SAFETY: a linked node is alive (invariant 3), and on this thread.
            unsafe { (*(*self.last).links()).next = node };
        }
        self.last = node;
    }

    /// # Safety
    ///
    /// - `node` is linked in this list.
    #[inline(always)]
    unsafe fn unlink(&mut self, node: *const Node<T>) {
        // SAFETY: it and its neighbours are linked, hence alive (invariant 3). The links are looked
        // at in place: copied whole, they would come back from memory in pieces that the processor
        // cannot forward.
        unsafe {
            let links = (*node).links();
            let (previous, next) = ((*links).previous, (*links).next);
            if previous.is_null() {
                self.first = next;
            } else {
                (*(*previous).links()).next = next;
            }
            if next.is_null() {
                self.last = previous;
            } else {
                (*(*next).links()).previous = previous;
            }
            (*node).linked.set(false);
        }
    }

    /// Unlinks the first node whose wait is still open, and ends its wait.
    #[inline(always)]
    fn win(&mut self) -> Option<(*const Node<T>, Wake)> {
        while !self.first.is_null() {
            let node = self.first;
            // SAFETY: it is linked here; its links stay readable until its owner runs again, which
            // is after this call.
            let waiter = unsafe {
                self.unlink(node);
                &(*(*node).links()).waiter
            };
            match waiter {
                Waiter::Direct(party) => return Some((node, Wake::Direct(*party))),
                Waiter::Limited { slot, generation } => {
                    if let Some(claim) = slot.claim(*generation, Outcome::Ready(0)) {
                        return Some((node, Wake::Limited(claim)));
                    }
                }
                Waiter::Task(waker) => {
                    // SAFETY: the waker is moved out once, here: the node is unlinked.
                    return Some((node, Wake::Task(unsafe { ptr::read(waker) })));
                }
            }
        }
        None
    }
}

struct State<T> {
    buffer: Buffer<T>,
    senders: List<T>,
    receivers: List<T>,
    capacity: usize,
    full: Full,
    closed: bool,
}

impl<T> State<T> {
    /// Ends the wait of anybody.
    fn win_any(&mut self) -> Option<(*const Node<T>, Wake)> {
        self.receivers.win().or_else(|| self.senders.win())
    }
}

/// The heart of a local channel.
pub(super) struct Channel<T> {
    state: UnsafeCell<State<T>>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    bound: Option<usize>,
}

impl<T> Channel<T> {
    /// An open channel with one handle on each side.
    pub(super) fn new(bound: Option<usize>, full: Full) -> Channel<T> {
        let list = || List { first: ptr::null(), last: ptr::null() };
        Channel {
            state: UnsafeCell::new(State {
                buffer: Buffer::new(bound),
                senders: list(),
                receivers: list(),
                capacity: bound.unwrap_or(usize::MAX),
                full,
                closed: false,
            }),
            senders: Cell::new(1),
            receivers: Cell::new(1),
            bound,
        }
    }

    /// # Safety
    ///
    /// - The reference ends before anything else of the channel is called, before a suspension, and
    ///   before code of the user's runs (invariant 2).
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the contract makes it the only one")]
    unsafe fn state(&self) -> &mut State<T> {
        // SAFETY: one thread (invariant 1), and by the contract one reference.
        unsafe { &mut *self.state.get() }
    }

    /// Sends if that needs no waiting.
    #[inline(always)]
    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        // SAFETY: a wake, or the drop of what falls out, is the last thing that happens.
        let state = unsafe { self.state() };
        if state.closed {
            return Err(TrySendError::Closed(value));
        }
        if !state.receivers.is_empty()
            && let Some((node, wake)) = state.receivers.win()
        {
            // SAFETY: its wait is won and not yet woken: the frame is there, the cell ours, and
            // empty (invariant 4).
            unsafe { (*node).value.get().write(Some(value)) };
            wake.wake();
            return Ok(());
        }
        if state.buffer.len() < state.capacity {
            state.buffer.push(value);
            return Ok(());
        }
        if state.full == Full::Wait {
            return Err(TrySendError::Full(value));
        }
        let oldest = state.buffer.pop();
        state.buffer.push(value);
        drop(oldest);
        Ok(())
    }

    /// Receives if that needs no waiting.
    #[inline(always)]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        // SAFETY: a wake is the last thing that happens, nothing is dropped.
        let state = unsafe { self.state() };
        if let Some(value) = state.buffer.pop() {
            if !state.senders.is_empty()
                && state.buffer.len() < state.capacity
                && let Some((node, wake)) = state.senders.win()
            {
                // SAFETY: its wait is won and not yet woken; the cell is full (invariant 4).
                if let Some(next) = unsafe { (*(*node).value.get()).take() } {
                    state.buffer.push(next);
                }
                return Ok(self.wake_sender(wake, value));
            }
            return Ok(value);
        }
        if !state.senders.is_empty()
            && let Some((node, wake)) = state.senders.win()
        {
            // SAFETY: as above.
            let value = unsafe { (*(*node).value.get()).take() };
            return value.map(|value| self.wake_sender(wake, value)).ok_or(TryRecvError::Empty);
        }
        Err(if state.closed { TryRecvError::Closed } else { TryRecvError::Empty })
    }

    /// Wakes the sender that has got room. If its waker panics, what was taken goes back.
    #[inline]
    fn wake_sender(&self, wake: Wake, value: T) -> T {
        let Wake::Task(waker) = wake else { return (wake.wake(), value).1 };
        let mut cell = Some(value);
        Panics::amend(|| waker.wake(), || cell.take().into_iter().for_each(|v| self.put_back(v)));
        cell.expect("put back only if that did not return")
    }

    /// Sends, and waits for as long as it takes.
    #[inline(always)]
    pub(super) fn send(&self, value: T) -> Result<(), SendError<T>> {
        let value = match self.try_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(value)) => return Err(SendError::Closed(value)),
            Err(TrySendError::Full(value)) => value,
        };
        let node = Node::new(Some(value));
        self.wait(&node, Side::Send);
        match node.into_value() {
            None => Ok(()),
            Some(value) => Err(SendError::Closed(value)),
        }
    }

    /// Receives, and waits for as long as it takes.
    #[inline(always)]
    pub(super) fn recv(&self) -> Result<T, RecvError> {
        match self.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Closed) => return Err(RecvError),
            Err(TryRecvError::Empty) => {}
        }
        let node = Node::new(None);
        self.wait(&node, Side::Recv);
        node.into_value().ok_or(RecvError)
    }

    /// Suspends the calling coroutine until a partner or the close has ended the wait.
    #[inline(always)]
    fn wait(&self, node: &Node<T>, side: Side) {
        let Some(party) = coroutine::current_waiter() else { refuse() };
        // SAFETY: the reference ends here; the node stays on the caller's frame until it is
        // unlinked, by a partner or by `linked`.
        unsafe { self.list(side).push(node, Waiter::Direct(party)) };
        party.set_reason(side.reason(), self.address());
        let linked = Linked { channel: self, node, side, party: Some(party) };
        coroutine::wait_for_wake();
        std::mem::forget(linked);
    }

    /// Sends or receives within `limits`; the cell says whether it happened. On a plain thread only
    /// the limits end a wait.
    #[inline(never)]
    pub(super) fn wait_limited(&self, node: &Node<T>, side: Side, limits: Limits<'_>) -> End {
        if limits.is_cancelled() {
            return End::Cancelled;
        }
        if let Some(end) = self.try_node(node, side) {
            return end;
        }
        let wait = Wait::begin_for(side.reason(), self.address());
        let waiter = Waiter::Limited { slot: wait.slot(), generation: wait.generation() };
        // SAFETY: as in `wait`.
        unsafe { self.list(side).push(node, waiter) };
        let linked = Linked { channel: self, node, side, party: None };
        let ended = limits.park(wait);
        std::mem::forget(linked);
        if node.linked.get() {
            // SAFETY: it is linked in this list, by the call above. Its waiter needs no drop.
            unsafe { self.list(side).unlink(node) };
        }
        ended.unwrap_or(End::Closed)
    }

    /// Does what `node` is for if that needs no waiting; then the cell says whether it happened.
    fn try_node(&self, node: &Node<T>, side: Side) -> Option<End> {
        // SAFETY: the node is the caller's and not linked; the reference ends before anything else.
        let cell = || unsafe { &mut *node.value.get() };
        match side {
            Side::Send => match self.try_send(cell().take().expect("polled after it was ready")) {
                Ok(()) => Some(End::Done),
                Err(TrySendError::Closed(value)) => {
                    *cell() = Some(value);
                    Some(End::Closed)
                }
                Err(TrySendError::Full(value)) => {
                    *cell() = Some(value);
                    None
                }
            },
            Side::Recv => match self.try_recv() {
                Ok(value) => {
                    *cell() = Some(value);
                    Some(End::Done)
                }
                Err(TryRecvError::Closed) => Some(End::Closed),
                Err(TryRecvError::Empty) => None,
            },
        }
    }

    /// Sends or receives for a future; once ready, what is in the cell says whether it happened.
    ///
    /// # Safety
    ///
    /// - The node stays where it is until it is dropped; if this was pending, its owner calls
    ///   [`abandon`](Channel::abandon) before that.
    pub(super) unsafe fn poll(
        &self,
        node: &Node<T>,
        side: Side,
        pending: &mut bool,
        context: &Context<'_>,
    ) -> Poll<Option<T>> {
        // A waker's clone is code of the user's: nothing is borrowed.
        let waker = context.waker().clone();
        if node.linked.get() {
            // SAFETY: a linked node's links are written; the reference ends before the drop.
            let old =
                unsafe { std::mem::replace(&mut (*node.links()).waiter, Waiter::Task(waker)) };
            drop(old);
            return Poll::Pending;
        }
        if !*pending && self.try_node(node, side).is_none() {
            // SAFETY: as in `wait`; the node stays by the contract.
            unsafe { self.list(side).push(node, Waiter::Task(waker)) };
            *pending = true;
            return Poll::Pending;
        }
        *pending = false;
        // SAFETY: not linked, so the cell is the owner's.
        Poll::Ready(unsafe { (*node.value.get()).take() })
    }

    /// Takes out a node whose owner will not wait for it. A value that a receiver was given and will
    /// not use goes to the next one.
    #[cold]
    pub(super) fn abandon(&self, node: &Node<T>, side: Side) {
        if node.linked.get() {
            // SAFETY: it is linked in this list; the reference ends before the waiter is dropped,
            // which is moved out once.
            let _waiter = unsafe {
                self.list(side).unlink(node);
                ptr::read(&raw const (*node.links()).waiter)
            };
            return;
        }
        if side == Side::Recv {
            // SAFETY: unlinked, so the cell is the owner's again.
            let value = unsafe { (*node.value.get()).take() };
            if let Some(value) = value {
                self.put_back(value);
            }
        }
    }

    /// # Safety
    ///
    /// - As [`state`](Channel::state).
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the contract makes it the only one")]
    unsafe fn list(&self, side: Side) -> &mut List<T> {
        // SAFETY: by the contract.
        let state = unsafe { self.state() };
        match side {
            Side::Send => &mut state.senders,
            Side::Recv => &mut state.receivers,
        }
    }

    /// No more sends: those who wait are woken. True the first time.
    pub(super) fn close(&self) -> bool {
        let mut panics = Panics::new();
        let first = self.close_all(&mut panics);
        panics.resume();
        first
    }

    fn close_all(&self, panics: &mut Panics) -> bool {
        // SAFETY: the reference ends here.
        if std::mem::replace(&mut unsafe { self.state() }.closed, true) {
            return false;
        }
        // SAFETY: the reference ends before the wake: a waker is code of the user's.
        while let Some((_, wake)) = unsafe { self.state() }.win_any() {
            panics.catch(|| wake.wake());
        }
        true
    }

    /// One more handle.
    pub(super) fn join(&self, side: Side) {
        let count = self.count(side);
        count.set(count.get().checked_add(1).expect("handles can be counted"));
    }

    /// One handle less; the last one of a side closes, and the last receiver drops what is left.
    pub(super) fn leave(&self, side: Side) {
        let count = self.count(side);
        count.set(count.get() - 1);
        if count.get() != 0 {
            return;
        }
        let mut panics = Panics::new();
        self.close_all(&mut panics);
        while side == Side::Recv
            && let Ok(value) = self.try_recv()
        {
            panics.catch(|| drop(value));
        }
        panics.resume();
    }

    fn count(&self, side: Side) -> &Cell<usize> {
        match side {
            Side::Send => &self.senders,
            Side::Recv => &self.receivers,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        // SAFETY: the reference ends here.
        unsafe { self.state() }.buffer.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        // SAFETY: the reference ends here.
        unsafe { self.state() }.closed
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.bound
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

#[cold]
#[inline(never)]
fn refuse() -> ! {
    panic!(
        "a local channel waits only in a coroutine: on a plain thread, or while panicking, nothing \
         could end the wait; use `try_send`, `try_recv` or a deadline"
    )
}

/// A node that is linked while its owner is suspended. Dropped only if the owner is unwound.
struct Linked<'a, T> {
    channel: &'a Channel<T>,
    node: &'a Node<T>,
    side: Side,
    /// Who waits without a slot.
    party: Option<ControlRef>,
}

impl<T> Drop for Linked<'_, T> {
    #[cold]
    fn drop(&mut self) {
        let woken = !self.node.linked.get();
        self.channel.abandon(self.node, self.side);
        if let (true, Some(party)) = (woken, self.party) {
            coroutine::finish_wake(party);
        }
    }
}

impl<T> Channel<T> {
    /// A value that a receiver got and will not use: to the next one, or in front of the others.
    #[cold]
    fn put_back(&self, value: T) {
        // SAFETY: a wake is the last thing that happens, nothing is dropped.
        let state = unsafe { self.state() };
        match state.receivers.win() {
            Some((node, wake)) => {
                // SAFETY: as in `try_send`.
                unsafe { (*node).value.get().write(Some(value)) };
                wake.wake();
            }
            None => state.buffer.unpop(value),
        }
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "len {}", self.len())?;
        if let Some(bound) = self.bound {
            write!(f, " of {bound}")?;
        }
        write!(f, ", {} senders, {} receivers", self.senders.get(), self.receivers.get())?;
        if self.is_closed() { f.write_str(", closed") } else { Ok(()) }
    }
}
