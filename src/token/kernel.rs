//! The kernel: one thread that does for tickets what must not be done elsewhere.
//!
//! It wakes the owners of tickets that a signal handler completed, runs the callbacks of
//! `on_complete`, ends waits of hand-driven coroutines whose deadline passes, and does slow chores
//! for other modules. It is never on the path between two coroutines: whoever completes a ticket
//! wakes its owner directly. With nothing to do it sleeps in the system.
//!
//! ```text
//!             start (first)              thread is up
//!   STOPPED ----------------> STARTING ----------------> RUNNING
//!      ^                                                  |   ^
//!      +------- thread ends: no guard, inbox closed ------+   +-- start: one guard more
//! ```
//!
//! # Invariants
//!
//! 1. The state and the number of guards change under one lock. `start` returns only in RUNNING.
//! 2. The thread ends only if it finds no guard under that lock and can close the inbox, so nothing
//!    it accepted is left undone. A guard that comes before then keeps it running.
//! 3. The drop of the last guard waits for the thread's end, except on the thread itself. Nobody
//!    waits for it under the lock.
//!
//! # Who calls this, and what it may call
//!
//! Any thread or coroutine. Callbacks and chores run with no lock held and may start and drop
//! guards. `submit` may be called from a signal handler once the kernel runs.

#![forbid(unsafe_code)]

use super::callback;
use super::inbox::{Inbox, Push};
use super::parker::Parker;
use super::shard::{self, Stats};
use super::slot::{Kind, SlotLinks, SystemFutex};
use super::state::Outcome;
use super::table::{self, Slot};
use super::wait::SlotRef;
use crate::prim::{Arc, AtomicU64, Condvar, Mutex, Ordering};
use std::collections::BinaryHeap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

static KERNEL: OnceLock<Inner> = OnceLock::new();

/// The token kernel: see [`Kernel::start`].
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

struct Inner {
    life: Mutex<Life>,
    changed: Condvar,
    inbox: Inbox,
    parker: Parker,
    /// Pushed to and taken from the inbox.
    queued: AtomicU64,
    served: AtomicU64,
    deadlines: Mutex<Deadlines>,
    chores: Mutex<Vec<Entry>>,
}

struct Life {
    state: State,
    guards: usize,
    thread: Option<(ThreadId, JoinHandle<()>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Stopped,
    Starting,
    Running,
}

fn inner() -> &'static Inner {
    KERNEL.get_or_init(|| Inner {
        life: Mutex::new(Life { state: State::Stopped, guards: 0, thread: None }),
        changed: Condvar::new(),
        inbox: Inbox::new(),
        parker: Parker::new(),
        queued: AtomicU64::new(0),
        served: AtomicU64::new(0),
        deadlines: Mutex::new(Deadlines { heap: BinaryHeap::new(), sweep_at: 64 }),
        chores: Mutex::new(Vec::new()),
    })
}

impl Kernel {
    /// Starts the kernel's thread unless it runs, and keeps it running while the guard lives.
    ///
    /// Runtimes start it themselves. Without one it is needed before a signal handler completes
    /// tickets.
    ///
    /// ```
    /// use kcoro::token::{self, Kernel, Payload};
    ///
    /// let kernel = Kernel::start()?;
    /// let ticket = token::publish();
    /// std::thread::spawn(move || ticket.complete(Payload::bytes(b"OK")).unwrap());
    /// assert_eq!(token::wait(ticket).unwrap().len(), 2);
    /// drop(kernel); // stops and joins the thread
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the system refuses another thread.
    pub fn start() -> io::Result<KernelGuard> {
        let kernel = inner();
        let mut life = kernel.life.lock();
        // Counted first, so that the thread does not end before its starter holds a guard.
        life.guards += 1;
        loop {
            match life.state {
                State::Running => return Ok(KernelGuard(())),
                State::Starting => kernel.changed.wait(&mut life),
                State::Stopped => {
                    if let Some((id, ended)) = life.thread.take() {
                        // Its exit is waited for, but not under the lock: what it drops then may
                        // start the kernel. This may be it.
                        if id != std::thread::current().id() {
                            drop(life);
                            let _ = ended.join();
                            life = kernel.life.lock();
                        }
                        continue;
                    }
                    let handle = std::thread::Builder::new()
                        .name("kcoro-kernel".to_owned())
                        .spawn(|| inner().run())
                        .inspect_err(|_| life.guards -= 1)?;
                    life.state = State::Starting;
                    life.thread = Some((handle.thread().id(), handle));
                }
            }
        }
    }

    /// Whether the kernel's thread is up.
    pub fn is_running() -> bool {
        KERNEL.get().is_some_and(|kernel| kernel.inbox.is_open())
    }

    /// What the tickets of this process have been up to.
    pub fn stats() -> Stats {
        let backlog = KERNEL.get().map_or(0, |kernel| {
            let served = kernel.served.load(Ordering::Relaxed);
            kernel.queued.load(Ordering::Relaxed).saturating_sub(served)
        });
        shard::stats(backlog)
    }

    /// Has `chore` called every `period` on the kernel's thread until the result is dropped. It is
    /// called at times when the kernel runs, may be slow, and may not suspend.
    pub(crate) fn every(period: Duration, chore: impl Fn() + Send + Sync + 'static) -> Chore {
        let run: Arc<dyn Fn() + Send + Sync> = Arc::new(chore);
        let id = Arc::clone(&run);
        let next = Instant::now() + period;
        inner().chores.lock().push(Entry { next, period: Some(period), run });
        inner().ring();
        Chore(id)
    }

    /// Has `chore` called once, after `delay`, on the kernel's thread, if the kernel runs then, as
    /// for [`every`](Kernel::every).
    pub(crate) fn later(delay: Duration, chore: impl Fn() + Send + Sync + 'static) {
        let next = Instant::now() + delay;
        inner().chores.lock().push(Entry { next, period: None, run: Arc::new(chore) });
        inner().ring();
    }
}

/// Keeps the kernel's thread running; the last one to be dropped stops and joins it.
#[must_use = "the kernel stops when the guard is dropped"]
#[derive(Debug)]
pub struct KernelGuard(());

impl Drop for KernelGuard {
    fn drop(&mut self) {
        let kernel = inner();
        let mut life = kernel.life.lock();
        life.guards -= 1;
        if life.guards > 0 {
            return;
        }
        kernel.ring();
        let me = std::thread::current().id();
        if life.thread.as_ref().is_some_and(|(kernel, _)| *kernel == me) {
            return;
        }
        while life.guards == 0 && life.state == State::Running {
            kernel.changed.wait(&mut life);
        }
        let ended = if life.state == State::Stopped { life.thread.take() } else { None };
        drop(life);
        if let Some((_, ended)) = ended {
            let _ = ended.join();
        }
    }
}

/// A chore that is done periodically for as long as this lives.
#[must_use = "the chore ends when this is dropped"]
pub(crate) struct Chore(Arc<dyn Fn() + Send + Sync>);

impl Drop for Chore {
    fn drop(&mut self) {
        inner().chores.lock().retain(|entry| !Arc::ptr_eq(&entry.run, &self.0));
    }
}

impl std::fmt::Debug for Chore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chore(..)")
    }
}

struct Entry {
    next: Instant,
    /// None: once.
    period: Option<Duration>,
    run: Arc<dyn Fn() + Send + Sync>,
}

/// Has the party of a finished ticket woken by the kernel's thread, or by the caller if there is
/// none. Async-signal-safe while the kernel runs.
pub(super) fn submit(slot: &'static Slot) {
    let Some(kernel) = KERNEL.get() else { return serve(slot) };
    match kernel.inbox.push(&SlotLinks, slot.index()) {
        Push::Queued => {}
        Push::Ring => kernel.ring(),
        Push::Closed => return serve(slot),
    }
    kernel.queued.fetch_add(1, Ordering::Relaxed);
}

fn serve(slot: &'static Slot) {
    match slot.kind() {
        Kind::KernelCallback => callback::run(slot),
        _ => slot.wake(),
    }
}

struct Deadlines {
    heap: BinaryHeap<Deadline>,
    /// The length at which waits that are over are thrown out.
    sweep_at: usize,
}

struct Deadline {
    at: Instant,
    slot: SlotRef,
    generation: u32,
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Deadline) -> bool {
        self.at == other.at
    }
}

impl Eq for Deadline {}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Deadline) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Deadline {
    /// The earliest is the greatest: the heap keeps that one on top.
    fn cmp(&self, other: &Deadline) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

/// Ends that wait with `TimedOut` at `at`, unless it is over by then. The guard keeps the kernel
/// running; it is kept until the wait is over.
///
/// # Panics
///
/// If the kernel's thread cannot be started.
pub(super) fn end_at(slot: SlotRef, generation: u32, at: Instant) -> KernelGuard {
    let guard = Kernel::start().expect("the kernel's thread, for a deadline");
    let mut deadlines = inner().deadlines.lock();
    if deadlines.heap.len() >= deadlines.sweep_at {
        deadlines.heap.retain(|entry| entry.slot.is_waiting(entry.generation));
        deadlines.sweep_at = (2 * deadlines.heap.len()).max(64);
    }
    let first = deadlines.heap.peek().is_none_or(|entry| at < entry.at);
    deadlines.heap.push(Deadline { at, slot, generation });
    drop(deadlines);
    if first {
        inner().ring();
    }
    guard
}

/// Runs what may be code of the user's, a waker or a chore. If it panics, the panic hook has told of
/// it, and the thread goes on with the others.
fn survive(code: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(code));
}

impl Inner {
    fn ring(&self) {
        self.parker.notify(&SystemFutex);
    }

    /// The thread.
    fn run(&self) {
        self.inbox.open();
        let mut life = self.life.lock();
        life.state = State::Running;
        drop(life);
        self.changed.notify_all();
        let mut stop = false;
        while !stop {
            self.drain();
            let next = [self.end_waits(), self.do_chores()].into_iter().flatten().min();
            stop = self.may_stop();
            if !stop && self.inbox.sleep() {
                self.parker.park(&SystemFutex, next);
                self.inbox.rise();
            }
        }
    }

    fn drain(&self) {
        self.inbox.drain(&SlotLinks, |index| {
            self.served.fetch_add(1, Ordering::Relaxed);
            survive(|| serve(table::get(index).expect("a queued slot lies in the table")));
        });
    }

    /// Ends the waits that are due; returns when the next one is.
    fn end_waits(&self) -> Option<Instant> {
        loop {
            let mut deadlines = self.deadlines.lock();
            let next = deadlines.heap.peek()?.at;
            if next > Instant::now() {
                return Some(next);
            }
            let due = deadlines.heap.pop()?;
            drop(deadlines);
            if let Some(claim) = due.slot.claim(due.generation, Outcome::TimedOut) {
                survive(|| claim.wake());
            }
        }
    }

    /// Does what is due; returns when the next chore is.
    fn do_chores(&self) -> Option<Instant> {
        let now = Instant::now();
        let due: Vec<_> = {
            let mut chores = self.chores.lock();
            let mut due = Vec::new();
            chores.retain_mut(|entry| {
                if entry.next > now {
                    return true;
                }
                due.push(Arc::clone(&entry.run));
                entry.period.is_some_and(|period| {
                    entry.next = now + period;
                    true
                })
            });
            due
        };
        for chore in due {
            survive(|| chore());
        }
        self.chores.lock().iter().map(|entry| entry.next).min()
    }

    /// Ends the kernel's life if nobody holds a guard and nothing is left to do.
    fn may_stop(&self) -> bool {
        let mut life = self.life.lock();
        if life.guards > 0 || !self.inbox.close() {
            return false;
        }
        life.state = State::Stopped;
        drop(life);
        self.changed.notify_all();
        true
    }
}
