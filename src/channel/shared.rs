//! What the handles of a channel share: the engine behind its lock, and the way in and out of it.
//!
//! An operation is planned out of line, under the lock, and its plan says whether it is done or the
//! caller must park. The stub that parks is inlined into the caller's frame: no frame of the library
//! is returned through after a switch. Wakes, hooks and drops of values happen after unlocking.
//!
//! # Invariants
//!
//! 1. The engine is left as its own invariants say before the lock is.
//! 2. A node that a plan has linked is unlinked before its frame goes: by the partner that wakes it,
//!    or by [`Linked`] when the coroutine is unwound.
//! 3. `closed` follows the engine's; it is written under the lock and read by anyone, so that looking
//!    at a channel does not take its lock, nor its bias.
//!
//! # Who calls this, and what it may call
//!
//! The handles, from coroutines, threads and futures.

use super::engine::{Engine, Received, Sent};
use super::lock::{self, Lock};
use super::metrics::Figures;
use super::node::{List, Node, Waiter, Wake};
use super::policy::Undelivered;
use super::wait::Linked;
use crate::coroutine::WaitReason;
use crate::error::{
    RecvCancelError, RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError,
};
use crate::prim::{AtomicBool, AtomicUsize, Ordering};
use crate::token::Wait;
use crate::util::Panics;
use std::fmt;
use std::task::Waker;

/// Wakes that a close or a batch carries out of the lock at a time.
const BATCH: usize = 32;

/// A side of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Send,
    Recv,
}

impl Side {
    pub(super) fn other(self) -> Side {
        match self {
            Side::Send => Side::Recv,
            Side::Recv => Side::Send,
        }
    }

    pub(super) fn reason(self) -> WaitReason {
        match self {
            Side::Send => WaitReason::Send,
            Side::Recv => WaitReason::Recv,
        }
    }

    /// Where those who wait on this side are linked.
    pub(super) fn list<T>(self, engine: &mut Engine<T>) -> &mut List<T> {
        match self {
            Side::Send => &mut engine.senders,
            Side::Recv => &mut engine.receivers,
        }
    }
}

/// Still inside the lock.
pub(super) type Inside<'a, T> = lock::Inside<'a, T>;

/// What an operation must do next.
#[must_use]
pub(super) enum Plan {
    /// It is done: the cell says what came of it.
    Done,
    /// It is linked, and must park.
    Park(Wait),
}

/// How an operation with limits ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Done,
    Closed,
    Refused,
    TimedOut,
    Cancelled,
}

impl End {
    /// Of a receive with a deadline that received nothing.
    pub(super) fn timeout_error(self) -> RecvTimeoutError {
        match self {
            End::TimedOut => RecvTimeoutError::Timeout,
            _ => RecvTimeoutError::Closed,
        }
    }

    /// Of a cancellable receive that received nothing.
    pub(super) fn cancel_error(self) -> RecvCancelError {
        match self {
            End::Cancelled => RecvCancelError::Cancelled,
            End::TimedOut => RecvCancelError::Timeout,
            _ => RecvCancelError::Closed,
        }
    }
}

/// The heart of a channel.
pub(super) struct Shared<T> {
    pub(super) lock: Lock<T>,
    pub(super) closed: AtomicBool,
    pub(super) senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
    pub(super) capacity: Option<usize>,
    pub(super) undelivered: Undelivered<T>,
    /// Of a channel that counts.
    pub(super) figures: Option<Box<Figures>>,
    pub(super) name: Option<Box<str>>,
}

impl<T> Shared<T> {
    /// An open channel with one handle on each side.
    pub(super) fn new(
        engine: Engine<T>,
        capacity: Option<usize>,
        undelivered: Undelivered<T>,
        metrics: bool,
        name: Option<Box<str>>,
    ) -> Shared<T> {
        Shared {
            lock: Lock::new(engine),
            closed: AtomicBool::new(false),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            capacity,
            undelivered,
            figures: metrics.then(Box::default),
            name,
        }
    }

    /// Sends, and waits for as long as it takes.
    #[inline(always)]
    pub(super) fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut cell = Some(value);
        if self.offer(&mut cell) {
            return Ok(());
        }
        let node = Node::new(cell);
        // SAFETY: the node stays on this frame; if it was linked, it is unlinked when `park_linked`
        // returns, and by `Linked` if that unwinds.
        if let Plan::Park(wait) = unsafe { self.plan_send(&node) } {
            wait.park_linked(Linked { shared: self, node: &node, side: Side::Send });
        }
        match node.into_value() {
            None => Ok(()),
            Some(value) => Err(self.send_failed(value)),
        }
    }

    /// Why a send that would have waited came back with its value. A channel that refuses does so
    /// only while it is open, and the close is visible to whoever was refused for it.
    #[cold]
    pub(super) fn send_failed(&self, value: T) -> SendError<T> {
        if self.is_closed() {
            self.count_failure(Side::Send, End::Closed);
            SendError::Closed(value)
        } else {
            self.count_failure(Side::Send, End::Refused);
            SendError::Full(value)
        }
    }

    #[cold]
    pub(super) fn recv_failed(&self) -> RecvError {
        self.count_failure(Side::Recv, End::Closed);
        RecvError
    }

    /// Receives, and waits for as long as it takes.
    #[inline(always)]
    pub(super) fn recv(&self) -> Result<T, RecvError> {
        let mut cell = None;
        if self.poll_now(&mut cell)
            && let Some(value) = cell
        {
            return Ok(value);
        }
        let node = Node::new(None);
        // SAFETY: as in `send`.
        if let Plan::Park(wait) = unsafe { self.plan_recv(&node) } {
            wait.park_linked(Linked { shared: self, node: &node, side: Side::Recv });
        }
        match node.into_value() {
            Some(value) => Ok(value),
            None => Err(self.recv_failed()),
        }
    }

    /// # Safety
    ///
    /// - After [`Plan::Park`] the node stays where it is until it is unlinked, and its owner unlinks
    ///   it before it goes away in any manner.
    #[inline(never)]
    unsafe fn plan_send(&self, node: &Node<T>) -> Plan {
        // SAFETY: the node is the caller's and not linked; the reference ends with the call.
        let begun = self.begin_send(unsafe { node.cell() }, &mut End::Done);
        let Some(mut engine) = begun else { return Plan::Done };
        let wait = Wait::begin_for(WaitReason::Send, self.address());
        let waiter = Waiter::Alone { slot: wait.slot(), generation: wait.generation() };
        // SAFETY: by the contract; this is the senders' list.
        unsafe { engine.senders.push(node, waiter) };
        Plan::Park(wait)
    }

    /// # Safety
    ///
    /// - As [`plan_send`](Shared::plan_send).
    #[inline(never)]
    unsafe fn plan_recv(&self, node: &Node<T>) -> Plan {
        // SAFETY: the node is the caller's and not linked; the reference ends with the call.
        let begun = self.begin_recv(unsafe { node.cell() }, &mut End::Done);
        let Some(mut engine) = begun else { return Plan::Done };
        let wait = Wait::begin_for(WaitReason::Recv, self.address());
        let waiter = Waiter::Alone { slot: wait.slot(), generation: wait.generation() };
        // SAFETY: by the contract; this is the receivers' list.
        unsafe { engine.receivers.push(node, waiter) };
        Plan::Park(wait)
    }

    /// Sends the value in `cell` if there is nothing to it: false says nothing.
    #[inline(always)]
    fn offer(&self, cell: &mut Option<T>) -> bool {
        self.lock.offer(cell, || self.count_stored(|| self.lock.depth()))
    }

    /// Receives into `cell`, which is empty, if there is nothing to it: false says nothing.
    #[inline(always)]
    fn poll_now(&self, cell: &mut Option<T>) -> bool {
        self.lock.poll(cell, || self.count_taken(false))
    }

    /// Sends the value in `cell`, or returns still inside the lock because that needs waiting.
    #[inline(always)]
    pub(super) fn start_send(&self, cell: &mut Option<T>) -> Result<End, Inside<'_, T>> {
        let mut end = End::Done;
        self.begin_send(cell, &mut end).map_or(Ok(end), Err)
    }

    /// Receives into `cell`, or returns still inside the lock because that needs waiting.
    #[inline(always)]
    pub(super) fn start_recv(&self, cell: &mut Option<T>) -> Result<End, Inside<'_, T>> {
        let mut end = End::Done;
        self.begin_recv(cell, &mut end).map_or(Ok(end), Err)
    }

    /// [`start_send`](Shared::start_send), with the end apart. In one place with what is inside, it
    /// would have that moved by odd bytes, which the processor cannot forward.
    #[inline(always)]
    pub(super) fn begin_send(&self, cell: &mut Option<T>, end: &mut End) -> Option<Inside<'_, T>> {
        let note = || self.count_stored(|| self.lock.depth());
        let mut engine = self.lock.send(cell, note)?;
        match engine.send(cell) {
            Sent::Stored => self.count_stored(|| engine.len()),
            Sent::Handed(wake) => {
                self.count_handed();
                drop(engine);
                wake.wake();
            }
            Sent::Dropped => {
                self.count_stored(|| engine.len());
                drop(engine);
                self.drop_overflow(cell);
            }
            Sent::Full => return Some(engine),
            Sent::Refused => *end = End::Refused,
            Sent::Closed => *end = End::Closed,
        }
        None
    }

    /// [`start_recv`](Shared::start_recv), with the end apart as well.
    #[inline(always)]
    pub(super) fn begin_recv(&self, cell: &mut Option<T>, end: &mut End) -> Option<Inside<'_, T>> {
        let note = || self.count_taken(false);
        let mut engine = self.lock.recv(cell, note)?;
        match engine.recv(cell) {
            Received::Value(wake) => {
                self.count_taken(wake.is_some());
                drop(engine);
                match wake {
                    None => {}
                    Some(Wake::Party(claim)) => claim.wake(),
                    Some(Wake::Task(waker)) => self.wake_sender(waker, cell),
                }
            }
            Received::Empty => return Some(engine),
            Received::Closed => *end = End::Closed,
        }
        None
    }

    /// Wakes the future that has got room. If its waker panics, so does the receive: what it took goes
    /// back.
    #[cold]
    fn wake_sender(&self, waker: Waker, cell: &mut Option<T>) {
        Panics::amend(
            || waker.wake(),
            || {
                let mut engine = self.lock.enter();
                let wake = engine.put_back(cell.take());
                if wake.is_none() {
                    self.count_taken_back();
                }
                drop(engine);
                wake.into_iter().for_each(Wake::wake);
            },
        );
    }

    #[cold]
    fn drop_overflow(&self, cell: &mut Option<T>) {
        if let Some(value) = cell.take() {
            self.discard(value);
        }
    }

    /// Waits until the caller is alone with the engine.
    pub(super) fn enter(&self) -> Inside<'_, T> {
        self.lock.enter()
    }

    /// Sends if that needs no waiting.
    #[inline]
    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut cell = Some(value);
        if self.offer(&mut cell) {
            return Ok(());
        }
        let end = self.start_send(&mut cell).unwrap_or(End::Refused);
        match cell {
            None => Ok(()),
            Some(value) => {
                self.count_failure(Side::Send, end);
                Err(match end {
                    End::Closed => TrySendError::Closed(value),
                    _ => TrySendError::Full(value),
                })
            }
        }
    }

    /// Receives if that needs no waiting.
    #[inline]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut cell = None;
        let end = if self.poll_now(&mut cell) {
            End::Done
        } else {
            self.start_recv(&mut cell).unwrap_or(End::Refused)
        };
        match cell {
            Some(value) => Ok(value),
            None => {
                self.count_failure(Side::Recv, end);
                Err(if end == End::Closed { TryRecvError::Closed } else { TryRecvError::Empty })
            }
        }
    }

    /// As [`start_send`](Shared::start_send) or [`start_recv`](Shared::start_recv).
    pub(super) fn start(&self, side: Side, cell: &mut Option<T>) -> Result<End, Inside<'_, T>> {
        match side {
            Side::Send => self.start_send(cell),
            Side::Recv => self.start_recv(cell),
        }
    }

    /// No more sends: waiting senders get their values back, receivers drain what is left. True the
    /// first time.
    pub(super) fn close(&self) -> bool {
        let mut panics = Panics::new();
        let first = self.close_all(&mut panics);
        panics.resume();
        first
    }

    fn close_all(&self, panics: &mut Panics) -> bool {
        let mut engine = self.lock.enter();
        let first = engine.close();
        if let (Some(figures), true) = (&self.figures, first) {
            figures.ended();
        }
        self.closed.store(true, Ordering::Relaxed);
        loop {
            let mut wakes = Wakes::new();
            while !wakes.is_full()
                && let Some(wake) = engine.dismiss()
            {
                wakes.push(wake);
            }
            drop(engine);
            let more = wakes.is_full();
            wakes.wake(panics);
            if !more {
                return first;
            }
            engine = self.lock.enter();
        }
    }

    /// The last receiver is gone: what is left goes to the hook.
    #[cold]
    fn close_and_drain(&self) {
        let mut panics = Panics::new();
        self.close_all(&mut panics);
        // Nothing is added any more, and nobody else takes.
        if let Some(figures) = &self.figures {
            figures.undelivered(self.len());
        }
        self.undelivered.all(|| self.lock.enter().pop(), &mut panics);
        panics.resume();
    }

    pub(super) fn len(&self) -> usize {
        self.lock.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    /// The channel's identity, in reports and comparisons.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn count(&self, side: Side) -> &AtomicUsize {
        match side {
            Side::Send => &self.senders,
            Side::Recv => &self.receivers,
        }
    }

    /// One more handle.
    pub(super) fn join(&self, side: Side) {
        if self.count(side).fetch_add(1, Ordering::Relaxed) > usize::MAX / 2 {
            std::process::abort();
        }
    }

    /// One handle less; the last one of a side closes.
    pub(super) fn leave(&self, side: Side) {
        // AcqRel pairs with itself: what the other handles did comes before the close.
        if self.count(side).fetch_sub(1, Ordering::AcqRel) == 1 {
            match side {
                Side::Send => {
                    self.close();
                }
                Side::Recv => self.close_and_drain(),
            }
        }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name:?} ")?;
        }
        write!(f, "len {}", self.len())?;
        if let Some(capacity) = self.capacity {
            write!(f, " of {capacity}")?;
        }
        let senders = self.senders.load(Ordering::Relaxed);
        let receivers = self.receivers.load(Ordering::Relaxed);
        write!(f, ", {senders} senders, {receivers} receivers, {:?}", self.lock.gates())?;
        if self.is_closed() { f.write_str(", closed") } else { Ok(()) }
    }
}

/// Wakes on their way out of the lock. Dropped, they happen, each one even if another panics.
#[must_use = "the parties sleep until they are woken"]
pub(super) struct Wakes {
    wakes: [Option<Wake>; BATCH],
    len: usize,
}

impl Wakes {
    pub(super) fn new() -> Wakes {
        Wakes { wakes: [const { None }; BATCH], len: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == BATCH
    }

    pub(super) fn push(&mut self, wake: Wake) {
        self.wakes[self.len] = Some(wake);
        self.len += 1;
    }

    pub(super) fn wake(mut self, panics: &mut Panics) {
        self.wake_all(panics);
    }

    /// Wakers come last. They are code of the user's, which may end a coroutine whose wake is among
    /// the others; that would await a wake which cannot come before it returns.
    fn wake_all(&mut self, panics: &mut Panics) {
        let wakes = &mut self.wakes[..self.len];
        for wake in wakes.iter_mut() {
            if let Some(Wake::Party(_)) = wake
                && let Some(party) = wake.take()
            {
                party.wake();
            }
        }
        for waker in wakes.iter_mut().filter_map(Option::take) {
            panics.catch(|| waker.wake());
        }
        self.len = 0;
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        let mut panics = Panics::new();
        self.wake_all(&mut panics);
        panics.resume();
    }
}
