//! The correlation table: every slot of the process, found by number in a few instructions, and the
//! slot itself, a cache line with a wait word and the party behind it.
//!
//! Chunks double in size, so that number to address is a shift, a count of leading zeros and one
//! load, and twenty-odd pointers cover 32 bits. A chunk is zeroed pages that the system fills in
//! when they are first touched, and it is never given back: that is what makes a stale ticket safe
//! to look up. A map keyed by ticket would hash, probe and lock for the same answer.
//!
//! A slot is one of two things in turn: the wait of a party (a coroutine and a thread keep one for
//! life, a future borrows one), or a published ticket with room for its payload. All its fields are
//! atomics but one, the cargo, which the wait word hands from hand to hand. Both stand in this file
//! because they are what `unsafe` is needed for.
//!
//! # Invariants
//!
//! 1. A chunk, once installed, is neither moved nor freed. Zeroed memory is a valid idle slot.
//! 2. A slot is handed out by one shard at a time: [`alloc`] and [`free`] alternate.
//! 3. A slot whose generations are used up is never handed out again.
//! 4. Kind and party are written by the owner before it arms the word, and afterwards only by the
//!    owner of a published ticket before it sets PARKED. A boxed party is taken out once.
//! 5. The cargo is touched by whoever owns it according to `event.rs`: [`Won`] writes it,
//!    [`Slot::collect`] takes it.
//!
//! # Who calls this, and what it may call
//!
//! The files of this module, from any thread or coroutine. [`alloc`] takes a lock and allocates when
//! the table grows, so it is not for a signal handler; [`get`] and [`Slot::win`] are.
//! [`Slot::wake`] must be called with no lock held.

use super::callback::Callback;
use super::cargo::CargoCell;
use super::event::{self, Deliver, Park};
use super::future::AsyncParty;
use super::parker::Parker;
use super::payload::Payload;
use super::shard::{self, Shard};
use super::slot::{Cargo, Kind, SystemFutex};
use super::state::{CLAIMED, DONE_BIT, IDLE, Outcome, PUBLIC_BIT, STATE_MASK, WaitWord, decode};
use super::{callback, future, kernel, party};
use crate::error::{CancelReason, WaitError};
use crate::prim::{Arc, AtomicPtr, AtomicU32, Mutex, Ordering, UnsafeCell};
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::fmt;
use std::mem::MaybeUninit;

const _: () = assert!(size_of::<Slot>() == 64);

/// Slots in the first chunk.
const FIRST: u32 = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 10;
/// Chunks of `FIRST << n` slots that together cover the numbers a link can hold.
const CHUNKS: usize = 22;
/// Slots a shard takes at a time.
const BATCH: u32 = 32;

static CHUNK: [AtomicPtr<Slot>; CHUNKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
/// How many slots have ever been handed to a shard.
static CARVED: Mutex<u32> = Mutex::new(0);
/// Slots that will never be used again because their generations ran out.
static WORN_OUT: AtomicU32 = AtomicU32::new(0);

/// Chunk and place in it of slot `index`.
#[inline(always)]
fn locate(index: u32) -> Option<(usize, usize)> {
    let shifted = index.checked_add(FIRST)?;
    let chunk = 31 - shifted.leading_zeros();
    Some(((chunk - FIRST_BITS) as usize, (shifted - (1 << chunk)) as usize))
}

/// The slot of that number, if the table has grown so far.
#[inline]
pub(super) fn get(index: u32) -> Option<&'static Slot> {
    let (chunk, place) = locate(index)?;
    // Pairs with the Release in `install`.
    let base = CHUNK[chunk].load(Ordering::Acquire);
    if base.is_null() {
        return None;
    }
    // SAFETY:
    // - `place` is below the size of chunk number `chunk`, which `base` points at.
    // - The chunk is zeroed slots, which are valid ones, and is never freed (invariant 1).
    Some(unsafe { &*base.add(place) })
}

/// Takes a free slot for the caller alone.
#[inline]
pub(super) fn alloc() -> &'static Slot {
    shard::with(alloc_in)
}

/// [`alloc`] for a caller that has its shard at hand.
#[inline]
pub(super) fn alloc_in(shard: &Shard) -> &'static Slot {
    loop {
        if let Some(index) = shard.pop() {
            return get(index).expect("a free slot lies in the table");
        }
        refill(shard);
    }
}

/// Gives back a slot that is idle and that no list holds.
#[inline]
pub(super) fn free(slot: &'static Slot) {
    shard::with(|shard| free_in(shard, slot));
}

/// [`free`] for a caller that has its shard at hand.
#[inline]
pub(super) fn free_in(shard: &Shard, slot: &'static Slot) {
    event::retire(slot.word.bare());
    if slot.word.generation() == u32::MAX {
        WORN_OUT.fetch_add(1, Ordering::Relaxed);
    } else if slot.home() == shard.id() {
        shard.push(slot.index());
    } else {
        shard::by_id(slot.home()).push_remote(slot.index());
    }
}

/// [`alloc`] for a published ticket, which is counted.
#[inline]
pub(super) fn alloc_ticket() -> &'static Slot {
    shard::with(|shard| {
        if shard.counters.published.bump().is_power_of_two() {
            shard::note_high_water();
        }
        alloc_in(shard)
    })
}

/// [`free`] for a ticket from [`alloc_ticket`].
#[inline(never)]
pub(super) fn free_ticket(slot: &'static Slot) {
    shard::with(|shard| {
        shard.counters.retired.bump();
        free_in(shard, slot);
    });
}

/// Slots handed to shards so far, and how many of those are worn out.
pub(super) fn sizes() -> (u32, u32) {
    (*CARVED.lock(), WORN_OUT.load(Ordering::Relaxed))
}

#[cold]
fn refill(shard: &Shard) {
    if shard.reclaim() {
        return;
    }
    shard::note_high_water();
    let mut carved = CARVED.lock();
    let first = *carved;
    for index in first..first + BATCH {
        let slot = get(index).unwrap_or_else(|| install(index));
        slot.name(index, shard.id());
        shard.push(index);
    }
    *carved = first.checked_add(BATCH).expect("four billion slots in use at once");
}

/// Allocates the chunk of slot `index` and returns the slot; under the lock of [`CARVED`].
fn install(index: u32) -> &'static Slot {
    let (chunk, _) = locate(index).expect("four billion slots in use at once");
    let slots = (FIRST as usize) << chunk;
    let layout = Layout::array::<Slot>(slots).expect("a chunk fits the address space");
    // SAFETY: the layout is not empty.
    let base = unsafe { alloc_zeroed(layout) }.cast::<Slot>();
    if base.is_null() {
        handle_alloc_error(layout);
    }
    // Pairs with the Acquire in `get`.
    CHUNK[chunk].store(base, Ordering::Release);
    get(index).expect("the chunk has just been installed")
}

/// One wait or one published ticket.
#[repr(C, align(64))]
pub(super) struct Slot {
    /// Whose turn it is.
    pub(super) word: WaitWord,
    party: AtomicPtr<()>,
    cargo: UnsafeCell<MaybeUninit<CargoCell>>,
    /// A plain thread's sleep.
    pub(super) parker: Parker,
    index: AtomicU32,
    link: AtomicU32,
    /// Home shard << 8 | kind.
    tag: AtomicU32,
}

// SAFETY: every field but `cargo` is atomic. The cargo is handed over by the wait word (invariant
// 5), and what is inside is `Send`.
unsafe impl Sync for Slot {}

impl Slot {
    /// Names the slot when the table first hands it out, before anybody else can know of it.
    pub(super) fn name(&self, index: u32, home: u16) {
        self.index.store(index, Ordering::Relaxed);
        self.tag.store(u32::from(home) << 8, Ordering::Relaxed);
    }

    /// The slot's number in the table.
    #[inline(always)]
    pub(super) fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    /// The shard whose freelist the slot returns to.
    #[inline(always)]
    pub(super) fn home(&self) -> u16 {
        (self.tag.load(Ordering::Relaxed) >> 8) as u16
    }

    /// Who waits here.
    #[inline(always)]
    pub(super) fn kind(&self) -> Kind {
        match self.tag.load(Ordering::Relaxed) as u8 {
            1 => Kind::Coroutine,
            2 => Kind::Thread,
            3 => Kind::Future,
            4 => Kind::Callback,
            5 => Kind::KernelCallback,
            6 => Kind::Migrant,
            _ => Kind::Nobody,
        }
    }

    /// Makes a coroutine (by its control block) or a thread (by its own slot) the party; the owner,
    /// before it arms the word (invariant 4).
    #[inline(always)]
    pub(super) fn set_owner(&self, kind: Kind, owner: *mut ()) {
        debug_assert!(kind.is_coroutine() || kind == Kind::Thread);
        self.set_party(kind, owner);
    }

    /// Makes a closure the party; see invariant 4 for when.
    pub(super) fn attach_callback(&self, kind: Kind, callback: Callback) {
        debug_assert!(matches!(kind, Kind::Callback | Kind::KernelCallback));
        self.set_party(kind, Box::into_raw(Box::new(callback)).cast());
    }

    /// Takes the closure out, once; its runner.
    pub(super) fn take_callback(&self) -> Option<Callback> {
        if !matches!(self.kind(), Kind::Callback | Kind::KernelCallback) {
            return None;
        }
        let party = self.party.swap(std::ptr::null_mut(), Ordering::Relaxed).cast::<Callback>();
        // SAFETY: by the kind, what is not null was boxed in `attach_callback`; the swap takes it
        // once. The wait word ordered its making before its taking.
        (!party.is_null()).then(|| *unsafe { Box::from_raw(party) })
    }

    /// Makes a share of a future's state the party; the owner, before it arms the word.
    pub(super) fn attach_future(&self, party: &Arc<AsyncParty>) {
        self.set_party(Kind::Future, Arc::into_raw(Arc::clone(party)).cast_mut().cast());
    }

    /// Takes that share back, once; the wake, or the owner that has won its own wait.
    pub(super) fn take_future(&self) -> Option<Arc<AsyncParty>> {
        if self.kind() != Kind::Future {
            return None;
        }
        let party = self.party.swap(std::ptr::null_mut(), Ordering::Relaxed).cast::<AsyncParty>();
        // SAFETY: by the kind, what is not null is a share from `attach_future`; the swap takes it
        // once. The wait word ordered its making before its taking.
        (!party.is_null()).then(|| unsafe { Arc::from_raw(party.cast_const()) })
    }

    #[inline(always)]
    fn set_party(&self, kind: Kind, party: *mut ()) {
        self.party.store(party, Ordering::Relaxed);
        let home = self.tag.load(Ordering::Relaxed) & !0xff;
        self.tag.store(home | kind as u32, Ordering::Relaxed);
    }

    /// The party's address.
    #[inline(always)]
    pub(super) fn party(&self) -> *mut () {
        self.party.load(Ordering::Relaxed)
    }

    /// The link of whatever list the slot is in.
    #[inline(always)]
    pub(super) fn link(&self) -> &AtomicU32 {
        &self.link
    }

    /// Opens the slot as a ticket and returns its generation.
    #[inline]
    pub(super) fn publish(&self) -> u32 {
        event::publish::<event::Shipped>(self.word.bare()).expect("a free slot is not worn out")
    }

    /// The owner is about to sleep on the published ticket.
    #[inline]
    pub(super) fn park(&self) -> Park {
        event::park::<event::Shipped>(self.word.bare())
    }

    /// Tries to be the one who ends the published ticket.
    #[inline]
    pub(super) fn win(&'static self, generation: u32, outcome: Outcome) -> Option<Won> {
        let parked = event::claim::<event::Shipped>(self.word.bare(), generation, outcome)?;
        Some(Won { slot: self, owner: if parked { Owner::Parked } else { Owner::Up } })
    }

    /// Whether the slot is the published ticket of that generation, ended or not.
    #[inline]
    pub(super) fn holds(&self, generation: u32) -> bool {
        // (B) from the Release of `publish`, for the party that is looked at next.
        let word = self.word.bare().load(Ordering::Acquire);
        (word >> 32) as u32 == generation && word & PUBLIC_BIT != 0 && word & STATE_MASK != IDLE
    }

    /// Takes how the published ticket ended, once it is done, and leaves the slot idle.
    ///
    /// # Panics
    ///
    /// If the ticket is not done, or somebody has taken it.
    #[inline(always)]
    pub(super) fn collect(&self) -> Result<Payload, WaitError> {
        let word = self.word.bare().load(Ordering::Relaxed);
        let done = PUBLIC_BIT | CLAIMED | DONE_BIT;
        assert_eq!(word & (done | STATE_MASK), done, "the ticket is not done");
        // SAFETY:
        // - DONE is set, so the winner has stored a cargo and will not touch it again. The caller
        //   saw DONE through `park`, or was woken; both make the cargo visible.
        // - `retire` takes PUBLIC away, so the cargo is read once: callers are the one owner
        //   (`ticket.rs` compares the party), or the callback's one runner.
        let cargo = self.cargo.with_mut(|cell| unsafe { CargoCell::take(cell.cast()) });
        event::retire(self.word.bare());
        match cargo {
            Cargo::Delivered(payload) => Ok(payload),
            Cargo::Cancelled(reason) => Err(WaitError::Cancelled(reason)),
            Cargo::Nothing => Err(match decode(word) {
                Outcome::TimedOut => WaitError::Timeout,
                Outcome::Closed => WaitError::Cancelled(CancelReason::Closed),
                Outcome::Cancelled | Outcome::Ready(_) => {
                    WaitError::Cancelled(CancelReason::Unspecified)
                }
            }),
        }
    }

    /// Wakes the party. The caller has won the word, moved the value, and holds no lock.
    #[inline(always)]
    pub(super) fn wake(&'static self) {
        if self.tag.load(Ordering::Relaxed) as u8 == Kind::Coroutine as u8 {
            party::make_ready(self.party());
        } else {
            self.wake_other();
        }
    }

    /// Anybody but a coroutine that stays.
    #[inline(never)]
    fn wake_other(&'static self) {
        match self.kind() {
            Kind::Migrant => party::make_ready(self.party()),
            Kind::Thread => self.parker.notify(&SystemFutex),
            Kind::Future => future::wake(self),
            Kind::Callback => callback::run(self),
            Kind::KernelCallback => kernel::submit(self),
            Kind::Coroutine | Kind::Nobody => debug_assert!(false, "a wait without a party"),
        }
    }
}

/// The right, and the duty, to end a published ticket.
#[must_use = "the owner sleeps until the ticket is finished"]
#[derive(Debug)]
pub(super) struct Won {
    slot: &'static Slot,
    owner: Owner,
}

/// What the winner of a ticket knows of its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// It had not parked; it may be about to.
    Up,
    /// It sleeps.
    Parked,
    /// It lives on the winner's own thread, parked or not.
    Here,
}

impl Won {
    /// Hands the cargo over and wakes the party.
    ///
    /// The cargo is stored in the caller's own frame, where its parts are (`cargo.rs`); the rest is out
    /// of line.
    #[inline(always)]
    pub(super) fn finish(self, cargo: Cargo) {
        self.store(cargo);
        self.conclude();
    }

    /// Hands the cargo over and leaves the waking to the kernel's thread.
    pub(super) fn finish_by_kernel(self, cargo: Cargo) {
        self.store(cargo);
        if self.deliver() == Deliver::Wake {
            kernel::submit(self.slot);
        }
    }

    /// Notes that the owner is on the calling thread, whose shard that is, if it cannot be elsewhere.
    ///
    /// A slot leaves its shard only by a call of the thread that has the shard, and whoever publishes
    /// there, a coroutine or the thread itself, stays there. A callback, a future or a coroutine that
    /// may migrate can be anywhere.
    #[inline(always)]
    pub(super) fn seen_from(self, shard: &Shard) -> Won {
        let stays = matches!(self.slot.kind(), Kind::Coroutine | Kind::Thread);
        if stays && shard.is_own() && self.slot.home() == shard.id() {
            return Won { owner: Owner::Here, ..self };
        }
        self
    }

    #[inline(always)]
    fn store(&self, cargo: Cargo) {
        // SAFETY: this `Won` proves that the caller won the word and has not delivered, so the cell
        // is its own, and empty since the ticket was published.
        self.slot.cargo.with_mut(|cell| unsafe { CargoCell::put(cell.cast(), cargo) });
    }

    #[inline(never)]
    fn conclude(self) {
        if self.deliver() == Deliver::Wake {
            self.slot.wake();
        }
    }

    /// After [`store`](Won::store), once.
    #[inline(always)]
    fn deliver(&self) -> Deliver {
        let word = self.slot.word.bare();
        match self.owner {
            Owner::Here => event::deliver_here(word),
            owner => event::deliver::<event::Shipped>(word, owner == Owner::Parked),
        }
    }

    /// The winner is the owner itself, which does not sleep: the slot is idle again.
    pub(super) fn keep(self) {
        event::retire(self.slot.word.bare());
    }
}

#[cfg(test)]
impl Won {
    /// Whether the owner was found on the winner's thread.
    pub(super) fn is_here(&self) -> bool {
        self.owner == Owner::Here
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("index", &self.index())
            .field("kind", &self.kind())
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}
