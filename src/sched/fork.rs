//! Fork-join: two closures, of which the second waits on the caller's frame for a taker.
//!
//! A fork is a node on the caller's stack, linked into its coroutine's chain by plain stores. While
//! nobody lacks work it stays private and the caller runs both halves one after the other: no
//! allocation, no locked instruction. Nodes are *offered* (a job that any worker may start is made
//! for the oldest, which is the biggest piece of work) when
//!
//! * another worker looks for work, or sleeps, at the moment of a fork;
//! * the coroutine parks: the half that waits may be waiting for the other one.
//!
//! | state    | who      | does                                           | then                         |
//! |----------|----------|------------------------------------------------|------------------------------|
//! | private  | caller   | unlinks the node                               | runs the half itself         |
//! | offered  | caller   | wins `taken`                                   | runs the half itself         |
//! | offered  | a worker | wins `taken`                                   | runs the half on a new stack |
//! | taken    | caller   | waits for the job, not to be unwound meanwhile | takes the result             |
//!
//! # Invariants
//!
//! 1. The half on the frame is used by whoever unlinked the private node or won `taken`.
//! 2. `join` does not return or unwind before a worker that won `taken` has finished: the frame it
//!    refers to is alive.
//! 3. A job whose offer was taken back touches nothing but its own share of `taken`.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines of a runtime; elsewhere the halves run one after the other.
//!
//! Source: lazy task creation (E. Mohr, D. Kranz, R. Halstead, 1991); offering the oldest frame on
//! demand follows heartbeat scheduling (U. Acar et al., PLDI 2018), with hunger in place of time.

use core::cell::{Cell, UnsafeCell};
use core::mem::ManuallyDrop;
use core::panic::Location;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::job::Job;
use super::join::JoinHandle;
use super::spawn::describe_bare;
use super::worker::current_worker;
use crate::coroutine::{ControlRef, core};
use crate::prim::{AtomicBool, Ordering};

/// What the chain of a coroutine links: the oldest and the newest node.
#[derive(Debug, Clone, Copy)]
struct Node {
    older: *const Link,
    newer: *const Link,
}

/// The part of a fork that does not depend on its types.
struct Link {
    node: Cell<Node>,
    offered: UnsafeCell<Option<Offer>>,
    offer: unsafe fn(*const Link),
}

/// A half that any worker may take.
struct Offer {
    taken: Arc<AtomicBool>,
    handle: JoinHandle<()>,
}

#[repr(C)]
struct Fork<B, R> {
    link: Link,
    half: UnsafeCell<ManuallyDrop<B>>,
    result: UnsafeCell<Option<R>>,
    location: &'static Location<'static>,
}

/// The address of a fork on its way to the worker that takes it.
struct Remote<B, R>(*const Fork<B, R>);

// SAFETY: what is reached through the address is the half, which is `Send`, and the place for its
// result, which is `Send`; invariant 1 says by whom.
unsafe impl<B: Send, R: Send> Send for Remote<B, R> {}

/// Runs both closures, possibly at the same time, and returns both results.
///
/// `a` runs here; `b` runs here afterwards, unless another worker without work takes it first, or
/// `a` parks: then `b` becomes a coroutine of its own, so that one may wait for the other. Both may
/// borrow from the caller. A fork that nobody takes costs a few nanoseconds.
///
/// A half that becomes a coroutine of its own begins with fresh coroutine-local values, inherited
/// ones too.
///
/// A panic of either continues in the caller, after the other has ended or, if it had not started,
/// was dropped. Outside of a runtime's coroutines `a` and `b` run one after the other.
///
/// # Examples
///
/// ```
/// fn sum(numbers: &[u64]) -> u64 {
///     if numbers.len() <= 1000 {
///         return numbers.iter().sum();
///     }
///     let (left, right) = numbers.split_at(numbers.len() / 2);
///     let (left, right) = kcoro::join(|| sum(left), || sum(right));
///     left + right
/// }
/// let numbers: Vec<u64> = (1..=10_000).collect();
/// assert_eq!(kcoro::run(|| sum(&numbers)), 50_005_000);
/// ```
///
/// Unlike data-parallel libraries, either side may park:
///
/// ```
/// # fn main() {
/// let (tx, rx) = kcoro::channel::rendezvous();
/// kcoro::run(|| {
///     let (got, sent) = kcoro::join(|| rx.recv(), || tx.send(7));
///     assert_eq!((got, sent), (Ok(7), Ok(())));
/// });
/// # }
/// ```
#[track_caller]
#[inline]
pub fn join<A, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B)
where
    A: Send,
    B: Send,
{
    match core().and_then(crate::coroutine::Core::current) {
        Some(me) if me.is_scheduled() => fork(me, a, b, Location::caller()),
        _ => (a(), b()),
    }
}

#[inline(always)]
fn fork<A, B, FA, FB>(me: ControlRef, a: FA, b: FB, location: &'static Location<'static>) -> (A, B)
where
    FA: FnOnce() -> A,
    FB: FnOnce() -> B + Send,
    B: Send,
{
    let fork = Fork::<FB, B> {
        link: Link {
            node: Cell::new(Node { older: core::ptr::null(), newer: core::ptr::null() }),
            offered: UnsafeCell::new(None),
            offer: offer::<FB, B>,
        },
        half: UnsafeCell::new(ManuallyDrop::new(b)),
        result: UnsafeCell::new(None),
        location,
    };
    let link = &raw const fork.link;
    push(me, link);
    let first = catch_unwind(AssertUnwindSafe(|| {
        // In here, because an offer clones inherited values: user code, which may panic.
        if is_anybody_hungry() {
            offer_oldest(me);
        }
        a()
    }));
    // SAFETY: `link` was pushed above and is still in the chain.
    unsafe { remove(me, link) };
    // SAFETY: only this coroutine offers its nodes, and this one is in its chain no more.
    let offered = unsafe { (*fork.link.offered.get()).take() };
    if offered.is_none_or(|offer| take_back(me, offer, &first)) {
        // SAFETY: private, or `taken` was won: the half is ours (invariant 1).
        let half = unsafe { ManuallyDrop::take(&mut *fork.half.get()) };
        return match first {
            Ok(first) => (first, half()),
            Err(payload) => {
                drop(half);
                resume_unwind(payload)
            }
        };
    }
    let second = fork.result.into_inner();
    match first {
        Ok(first) => (first, second.expect("the half that a worker took has a result")),
        Err(payload) => resume_unwind(payload),
    }
}

/// True: the half is the caller's. False: a worker has run it to its end.
#[cold]
#[inline(never)]
fn take_back<A>(me: ControlRef, offer: Offer, first: &Result<A, Box<dyn Any + Send>>) -> bool {
    // AcqRel pairs with the worker's swap: one of the two wins, and sees what the other did before.
    if !offer.taken.swap(true, Ordering::AcqRel) {
        return true;
    }
    // A worker has it, and refers to the caller's frame: nothing may end this wait but its end.
    me.bound().set(true);
    let outcome = offer.handle.join();
    me.bound().set(false);
    match outcome {
        // `a`'s own panic goes first.
        Err(payload) if first.is_ok() => resume_unwind(payload),
        _ => false,
    }
}

/// Makes a job of the half on this frame.
///
/// # Safety
///
/// - `link` begins a `Fork<B, R>` in the chain of the running coroutine, not offered yet, whose
///   frame keeps invariant 2.
unsafe fn offer<B, R>(link: *const Link)
where
    B: FnOnce() -> R + Send,
    R: Send,
{
    let Some(worker) = current_worker() else { return };
    let taken = Arc::new(AtomicBool::new(false));
    let share = Arc::clone(&taken);
    let remote = Remote(link.cast::<Fork<B, R>>());
    let run = move || {
        let Remote(fork) = { remote };
        // AcqRel: see `take_back`.
        if !share.swap(true, Ordering::AcqRel) {
            // SAFETY: `taken` was won, so the half and the result are this job's, and the frame
            // waits for the job's end (invariants 1 and 2).
            unsafe {
                let half = ManuallyDrop::take(&mut *(*fork).half.get());
                *(*fork).result.get() = Some(half());
            }
        }
    };
    // SAFETY: the caller vouches for the link.
    let location = unsafe { (*link.cast::<Fork<B, R>>()).location };
    // No values are inherited: cloning them runs the program's code, which may wait, and the caller
    // may be about to park.
    let description = describe_bare(None, worker.shared.config.stack_size, location);
    let (job, handle) = Job::make(description, run);
    // SAFETY: as above; only this coroutine touches the cell.
    unsafe { *(*link).offered.get() = Some(Offer { taken, handle: JoinHandle::new(handle) }) };
    worker.spawn(job);
}

/// Whether another worker would take work now.
#[inline(always)]
fn is_anybody_hungry() -> bool {
    current_worker().is_some_and(|worker| worker.shared.is_anybody_hungry())
}

#[inline(always)]
fn push(me: ControlRef, link: *const Link) {
    let (oldest, newest) = me.forks().get();
    let (oldest, newest) = (oldest.cast::<Link>(), newest.cast::<Link>());
    // SAFETY: nodes of the chain lie on live frames of the running coroutine.
    unsafe {
        (*link).node.set(Node { older: newest, newer: core::ptr::null() });
        if let Some(newest) = newest.as_ref() {
            newest.node.set(Node { newer: link, ..newest.node.get() });
        }
    }
    me.forks().set((if oldest.is_null() { link.cast() } else { oldest.cast() }, link.cast()));
}

/// Takes a node out of its place in the chain.
///
/// # Safety
///
/// - `link` is in the chain of `me`, the running coroutine.
#[inline(always)]
unsafe fn remove(me: ControlRef, link: *const Link) {
    let (mut oldest, mut newest) = me.forks().get();
    // SAFETY: nodes of the chain lie on live frames of the running coroutine.
    unsafe {
        let Node { older, newer } = (*link).node.get();
        if let Some(older) = older.as_ref() {
            older.node.set(Node { newer, ..older.node.get() });
        } else if core::ptr::eq(oldest.cast(), link) {
            oldest = newer.cast();
        }
        if let Some(newer) = newer.as_ref() {
            newer.node.set(Node { older, ..newer.node.get() });
        } else {
            newest = older.cast();
        }
    }
    me.forks().set((oldest, newest));
}

/// Offers the oldest node that is not offered yet.
#[cold]
#[inline(never)]
fn offer_oldest(me: ControlRef) {
    let mut link = me.forks().get().0.cast::<Link>();
    // SAFETY: nodes of the chain lie on live frames of the running coroutine, which is `me`.
    unsafe {
        while !link.is_null() {
            if (*(*link).offered.get()).is_none() {
                return ((*link).offer)(link);
            }
            link = (*link).node.get().newer;
        }
    }
}

/// Offers everything in the chain of a coroutine that is about to park.
#[cold]
#[inline(never)]
pub(super) fn offer_all(me: ControlRef) {
    let mut link = me.forks().get().0.cast::<Link>();
    // SAFETY: as in `offer_oldest`.
    unsafe {
        while !link.is_null() {
            if (*(*link).offered.get()).is_none() {
                ((*link).offer)(link);
            }
            link = (*link).node.get().newer;
        }
    }
}
