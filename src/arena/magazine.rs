//! Each thread's own stock of unused blocks: what makes allocation a pop and freeing a push.
//!
//! A thread has a magazine per class for each arena it used lately. An empty one is half filled from
//! the depot, a full one half emptied into it, so a thread that alternates touches the depot's lock
//! once in half a magazine. A block goes to the thread that frees it, which suits a stream of payloads
//! between two threads: the depot evens them out.
//!
//! # Invariants
//!
//! 1. A block in a magazine is unused and its word is at count zero.
//! 2. A thread's magazines go back to their depots when the thread ends. Those of an arena without
//!    handles go back when the thread next visits a depot, or calls [`release_thread`].
//! 3. A magazine never holds more than `Class::kept` blocks.
//!
//! # Who calls this, and what it may call
//!
//! The arena, on any thread. No user code runs and nothing suspends while a thread-local is in use.
//! The functions that name one are not inlined: code that moves a started coroutine to another thread
//! must not find its address kept in a register. The magazines used last have a thread-local of their
//! own, which has no destructor and therefore no state to check.
//!
//! Source: Bonwick and Adams, "Magazines and vmem", 2001.

use super::class::{CLASS, CLASSES};
use super::slab::Block;
use super::store::Store;
use crate::error::ArenaError;
use crate::prim::{AtomicU64, Ordering};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::Arc;

/// What one thread counted for one arena. Written by that thread only, with plain stores.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Figures {
    cached: [AtomicU64; CLASSES],
    allocations: AtomicU64,
    /// Lengths allocated minus lengths freed here; wraps, the sum over all threads does not.
    bytes: AtomicU64,
}

impl Figures {
    pub(super) fn cached(&self, class: usize) -> u64 {
        self.cached[class].load(Ordering::Relaxed)
    }

    pub(super) fn allocations(&self) -> u64 {
        self.allocations.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    #[inline]
    fn count_allocation(&self, length: usize) {
        self.allocations.store(self.allocations().wrapping_add(1), Ordering::Relaxed);
        self.bytes.store(self.bytes().wrapping_add(length as u64), Ordering::Relaxed);
    }

    #[inline]
    fn count_free(&self, length: usize) {
        self.bytes.store(self.bytes().wrapping_sub(length as u64), Ordering::Relaxed);
    }

    /// Counts what a payload's length changed by; `by` is negative if it became shorter.
    fn count_resize(&self, by: isize) {
        self.bytes.store(self.bytes().wrapping_add_signed(by as i64), Ordering::Relaxed);
    }
}

/// The magazines of one thread for one arena. Holds the store.
struct Magazines {
    store: NonNull<Store>,
    figures: Arc<Figures>,
    blocks: [Vec<Block>; CLASSES],
}

impl Magazines {
    fn new(store: NonNull<Store>) -> Magazines {
        let figures = Arc::new(Figures::default());
        // SAFETY: the caller of `take` or `give` holds the store.
        unsafe { store.as_ref() }.add_thread(figures.clone());
        let blocks = CLASS.map(|class| Vec::with_capacity(class.kept));
        Magazines { store, figures, blocks }
    }

    /// Takes a block that is there.
    #[inline(always)]
    fn pop(&mut self, class: usize, length: usize) -> Option<Block> {
        let block = self.blocks[class].pop()?;
        self.note(class);
        self.figures.count_allocation(length);
        Some(block)
    }

    /// Keeps a block; `false` if the magazine is full.
    #[inline(always)]
    fn push(&mut self, block: Block, class: usize, length: usize) -> bool {
        let blocks = &mut self.blocks[class];
        if blocks.len() >= blocks.capacity() {
            return false;
        }
        blocks.push(block);
        self.note(class);
        self.figures.count_free(length);
        true
    }

    #[inline]
    fn note(&self, class: usize) {
        self.figures.cached[class].store(self.blocks[class].len() as u64, Ordering::Relaxed);
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self, class: usize) -> Result<(), ArenaError> {
        let blocks = &mut self.blocks[class];
        // SAFETY: these magazines hold the store.
        unsafe { self.store.as_ref() }.take_blocks(class, CLASS[class].kept / 2, blocks)?;
        // In the order of their numbers, so that neighbours in memory are handed out in turn.
        blocks.reverse();
        Ok(())
    }

    /// Leaves `keep` blocks of a class.
    #[cold]
    #[inline(never)]
    fn flush(&mut self, class: usize, keep: usize) {
        let mut blocks = self.blocks[class].drain(keep..);
        // SAFETY: blocks in a magazine are unused and of its store and class; these are given up.
        unsafe { Store::put_blocks(self.store, class, &mut blocks) };
        drop(blocks);
        self.note(class);
    }
}

impl Drop for Magazines {
    fn drop(&mut self) {
        for class in 0..CLASSES {
            self.flush(class, 0);
        }
        // SAFETY: these magazines hold the store until the next line.
        unsafe { self.store.as_ref() }.remove_thread(&self.figures);
        // SAFETY: the hold that `add_thread` took.
        unsafe { Store::drop_holds(self.store, 1) };
    }
}

/// A thread's magazines, each in a box of its own. `FRONT` is one of them or null.
struct Stock(Vec<NonNull<Magazines>>);

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock(Vec::new())) };
    static FRONT: Cell<*mut Magazines> = const { Cell::new(std::ptr::null_mut()) };
}

impl Stock {
    /// The magazines for `store`, which become those used last.
    fn of(&mut self, store: NonNull<Store>) -> &mut Magazines {
        // SAFETY: the stock owns the magazines.
        let known = self.0.iter().find(|other| unsafe { other.as_ref() }.store == store);
        let mut magazines = match known {
            Some(&known) => known,
            None => {
                self.release(|store| store.is_closed());
                let fresh = NonNull::from(Box::leak(Box::new(Magazines::new(store))));
                self.0.push(fresh);
                fresh
            }
        };
        FRONT.set(magazines.as_ptr());
        // SAFETY: as above; `FRONT` is used on this thread only, and not while the stock is borrowed.
        unsafe { magazines.as_mut() }
    }

    /// Gives up the magazines of some stores.
    fn release(&mut self, which: impl Fn(&Store) -> bool) {
        FRONT.set(std::ptr::null_mut());
        self.0.retain(|&magazines| {
            // SAFETY: the stock owns the magazines, and they hold their store.
            let goes = which(unsafe { magazines.as_ref().store.as_ref() });
            if goes {
                // SAFETY: they came out of a box in `of`, and `FRONT` does not name them any more.
                drop(unsafe { Box::from_raw(magazines.as_ptr()) });
            }
            !goes
        });
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        self.release(|_| true);
    }
}

/// Calls `use_them` with the magazines used last, if they are those for `store`.
#[inline(always)]
fn with_front<R>(
    store: NonNull<Store>,
    use_them: impl FnOnce(&mut Magazines) -> Option<R>,
) -> Option<R> {
    // SAFETY: `FRONT` names magazines that this thread's stock owns, or is null. Nothing else refers to
    // them now: references made elsewhere in this file end with the call that made them.
    let front = unsafe { FRONT.get().as_mut() }?;
    if front.store == store { use_them(front) } else { None }
}

/// Takes an unused block for a payload of `length` bytes if the thread has one; the block holds the
/// store.
///
/// # Safety
///
/// The caller holds the store.
#[inline(never)]
pub(super) unsafe fn take(store: NonNull<Store>, class: usize, length: usize) -> Option<Block> {
    with_front(store, |magazines| magazines.pop(class, length))
}

/// Takes an unused block after [`take`] found none.
///
/// # Errors
///
/// The system has no more memory, or the class no more numbers.
///
/// # Safety
///
/// The caller holds the store.
#[cold]
#[inline(never)]
pub(super) unsafe fn take_slow(
    store: NonNull<Store>,
    class: usize,
    length: usize,
) -> Result<Block, ArenaError> {
    let taken = STOCK.try_with(|stock| {
        let mut stock = stock.borrow_mut();
        let magazines = stock.of(store);
        let filled =
            if magazines.blocks[class].is_empty() { magazines.refill(class) } else { Ok(()) };
        filled.map(|()| magazines.pop(class, length))
    });
    let taken = match taken {
        Ok(taken) => taken?,
        // The thread is ending and has no magazines any more.
        Err(_) => {
            // SAFETY: the caller holds it.
            let store = unsafe { store.as_ref() };
            let mut one = Vec::with_capacity(1);
            store.take_blocks(class, 1, &mut one)?;
            let figures = Figures::default();
            figures.count_allocation(length);
            store.count_without_thread(&figures);
            one.pop()
        }
    };
    taken.ok_or(ArenaError::Exhausted { size: CLASS[class].size })
}

/// Gives a block back whose payload had `length` bytes.
///
/// # Safety
///
/// The block is of `store` and `class`, nobody uses it, and the caller gives it up: the store may be
/// gone afterwards.
#[inline(never)]
pub(super) unsafe fn give(store: NonNull<Store>, block: Block, class: usize, length: usize) {
    let kept = with_front(store, |magazines| {
        // SAFETY: the magazines hold the store.
        let open = !unsafe { store.as_ref() }.is_closed();
        (open && magazines.push(block, class, length)).then_some(())
    });
    if kept.is_none() {
        // SAFETY: the caller's conditions; the block was not kept.
        unsafe { give_slow(store, block, class, length) };
    }
}

/// Gives a block back that does not simply fit.
///
/// # Safety
///
/// As for [`give`].
#[cold]
#[inline(never)]
unsafe fn give_slow(store: NonNull<Store>, block: Block, class: usize, length: usize) {
    let kept = STOCK.try_with(|stock| {
        let mut stock = stock.borrow_mut();
        let magazines = stock.of(store);
        if magazines.blocks[class].len() == magazines.blocks[class].capacity() {
            magazines.flush(class, CLASS[class].kept / 2);
        }
        let kept = magazines.push(block, class, length);
        debug_assert!(kept, "half of a magazine is free");
        // SAFETY: the magazines hold the store.
        if unsafe { store.as_ref() }.is_closed() {
            stock.release(|store| store.is_closed());
        }
    });
    if kept.is_err() {
        let figures = Figures::default();
        figures.count_free(length);
        // SAFETY: the block holds the store.
        unsafe { store.as_ref() }.count_without_thread(&figures);
        // SAFETY: the caller's conditions.
        unsafe { Store::put_blocks(store, class, &mut std::iter::once(block)) };
    }
}

/// Counts that a payload of `store` changed its length.
///
/// # Safety
///
/// The caller holds the store.
#[inline(never)]
pub(super) unsafe fn resize(store: NonNull<Store>, by: isize) {
    let counted = STOCK.try_with(|stock| stock.borrow_mut().of(store).figures.count_resize(by));
    if counted.is_err() {
        let figures = Figures::default();
        figures.count_resize(by);
        // SAFETY: the caller holds it.
        unsafe { store.as_ref() }.count_without_thread(&figures);
    }
}

/// Gives back what this thread keeps for arenas that have no handle any more.
pub(super) fn release_closed() {
    let _ = STOCK.try_with(|stock| stock.borrow_mut().release(|store| store.is_closed()));
}

/// Gives every unused block that this thread keeps back to its arena.
///
/// A thread does this by itself when it ends; one that is about to sleep for long may do it before.
pub fn release_thread() {
    let _ = STOCK.try_with(|stock| stock.borrow_mut().release(|_| true));
}
