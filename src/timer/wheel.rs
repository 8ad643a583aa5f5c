//! The hierarchical timing wheel: the deadlines of one worker.
//!
//! A deadline's tick (2^16 ns) has 48 bits: eight digits of six bits, one level of 64 slots for each
//! digit. A timer stands on the level of the highest digit in which its tick differs from the tick
//! reached so far, in the slot that digit names. When time enters that slot its timers move down. Eight
//! levels and not the usual six, because then every `u64` has a slot and there is no list of far
//! deadlines to visit again and again. A timer of the tick reached, or of an earlier one, stands in a
//! heap ordered by (exact deadline, order of insertion): that is what makes the wheel exact although
//! its ticks are coarse.
//!
//! ```text
//!   tick   | digit 7 | ...  | digit 1 | digit 0 |         levels[1]  . . # . # . . .  occupancy bit
//!          +---------+------+---------+---------+                        |
//!   level       7               1         0           head -> node <-> node -> NIL   (unordered)
//!
//!   due:  heap of the nodes whose tick is not after `reached`, earliest first
//! ```
//!
//! # Invariants
//!
//! 1. A timer fires once, and only with `now >= deadline`; in order of deadline, equal ones in order
//!    of insertion.
//! 2. A node in a slot has a tick after `reached`, except in the one slot that is being moved down.
//! 3. Every node of level L is due before every node of level L + 1, so the first occupied slot of the
//!    lowest occupied level holds the earliest timer that is not in the heap.
//! 4. `minimum[slot]` is never later than the earliest deadline in that slot, and equal to it unless
//!    the slot's `stale` bit is set.
//!
//! # Who calls this, and what it may call
//!
//! The worker that owns it, and nobody else. It allocates when more timers are pending than ever
//! before. It calls only the closures given to it, and after the node in question has left the wheel.
//! Another thread that ends a wait claims the ticket and does not touch the wheel: the node fires into
//! a claimed ticket, or its waiter takes it out when it goes on.
//!
//! Source: Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.

#![forbid(unsafe_code)]

/// The deadline of a wait that has none. It is never inserted.
pub(crate) const FOREVER: u64 = u64::MAX;

const TICK_BITS: u32 = 16;
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = ((u64::BITS - TICK_BITS) / DIGIT_BITS) as usize;
const _: () = assert!(LEVELS as u32 * DIGIT_BITS + TICK_BITS == u64::BITS);

const NIL: u32 = u32::MAX;
/// `Node::place` of a node in the heap; its `prev` is then its position there.
const IN_HEAP: u16 = u16::MAX;
/// `Node::place` of a free node.
const FREE: u16 = u16::MAX - 1;

/// Names one pending timer; stale once it fired or was cancelled, and harmless then.
///
/// Half of it is the low half of the insertion number: a stale key would be mistaken for a live one
/// only if kept for an exact multiple of 2^32 insertions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    generation: u32,
}

impl TimerKey {
    /// The key as one number, for a trip through layers that do not know it.
    pub(crate) fn into_raw(self) -> u64 {
        u64::from(self.index) << 32 | u64::from(self.generation)
    }

    /// The key of that number. Any number is safe: one that names no timer is stale.
    pub(crate) fn from_raw(raw: u64) -> TimerKey {
        TimerKey { index: (raw >> 32) as u32, generation: raw as u32 }
    }
}

/// Whether a bounded [`Wheel::advance_some`] came to its end.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Everything due by then has fired.
    Done,
    /// The allowance was used up; call again with the same or a later time.
    More,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    deadline: u64,
    payload: u64,
    /// Insertion number: order among equal deadlines, and the key's generation.
    sequence: u64,
    prev: u32,
    next: u32,
    place: u16,
}

#[derive(Debug)]
struct Level {
    occupied: u64,
    stale: u64,
    head: [u32; SLOTS],
    minimum: [u64; SLOTS],
}

/// The pending deadlines of one worker. See the module header.
pub(crate) struct Wheel {
    /// Every slot whose first tick is not after this one has been emptied.
    reached: u64,
    levels: Box<[Level; LEVELS]>,
    /// Levels with an occupied slot.
    occupied: u32,
    /// The place of a slot that is being moved down, or `FREE`.
    moving: u16,
    due: Vec<u32>,
    nodes: Vec<Node>,
    free: u32,
    live: usize,
    sequence: u64,
}

impl Wheel {
    /// An empty wheel whose time stands at `now` (ns).
    pub(crate) fn new(now: u64) -> Wheel {
        let level =
            || Level { occupied: 0, stale: 0, head: [NIL; SLOTS], minimum: [FOREVER; SLOTS] };
        Wheel {
            reached: now >> TICK_BITS,
            levels: Box::new(std::array::from_fn(|_| level())),
            occupied: 0,
            moving: FREE,
            due: Vec::new(),
            nodes: Vec::new(),
            free: NIL,
            live: 0,
            sequence: 0,
        }
    }

    /// Number of timers that have neither fired nor been cancelled, dead ones included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Files a timer; `None` if `deadline` is [`FOREVER`], for then there is nothing to file.
    ///
    /// A deadline that has passed is filed too and fires with the next `advance`.
    #[inline]
    pub(crate) fn insert(&mut self, deadline: u64, payload: u64) -> Option<TimerKey> {
        if deadline == FOREVER {
            return None;
        }
        let sequence = self.sequence;
        self.sequence += 1;
        let index = self.free;
        let index = match self.nodes.get_mut(index as usize) {
            Some(vacant) => {
                self.free = vacant.next;
                // Field by field, like the reading in `unfile`: a node that is moved as a whole waits
                // until the stores that made it have reached the cache. `file` sets the others.
                vacant.deadline = deadline;
                vacant.payload = payload;
                vacant.sequence = sequence;
                index
            }
            None => {
                self.grow(Node { deadline, payload, sequence, prev: NIL, next: NIL, place: FREE })
            }
        };
        self.live += 1;
        self.file(index, deadline);
        Some(TimerKey { index, generation: sequence as u32 })
    }

    /// Takes a timer out and returns its payload; `None` if the key is stale.
    #[inline]
    pub(crate) fn cancel(&mut self, key: TimerKey) -> Option<u64> {
        let node = self.nodes.get(key.index as usize)?;
        if node.sequence as u32 != key.generation || node.place == FREE {
            return None;
        }
        let payload = node.payload;
        self.unfile(key.index);
        self.release(key.index);
        Some(payload)
    }

    /// The earliest deadline, exactly; `None` if nothing is pending.
    ///
    /// Looks through one slot if its earliest timer was cancelled since the last call, otherwise a few
    /// instructions.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        if self.moving != FREE {
            self.refresh(self.moving);
        }
        if self.due.is_empty()
            && let Some(place) = self.first_slot()
        {
            self.refresh(place);
        }
        self.next_deadline_bound()
    }

    /// A time not after the earliest deadline, at no cost; `None` if nothing is pending.
    ///
    /// It is early only if the earliest timer of a crowded slot was cancelled. A worker that sleeps
    /// until then wakes once too often and never too late, which beats a search of ten thousand
    /// timeouts each time one of them is cancelled.
    #[inline]
    pub(crate) fn next_deadline_bound(&self) -> Option<u64> {
        let moving = self.minimum_at(self.moving);
        let next = match self.due.first() {
            Some(&index) => self.nodes[index as usize].deadline,
            None => self.first_slot().map_or(FOREVER, |place| self.minimum_at(place)),
        };
        Some(next.min(moving)).filter(|&at| at != FOREVER)
    }

    /// Fires everything due at `now` and returns how many fired.
    pub(crate) fn advance(&mut self, now: u64, fire: impl FnMut(u64)) -> usize {
        let before = self.live;
        let progress = self.advance_some(now, usize::MAX, fire);
        debug_assert_eq!(progress, Progress::Done);
        before - self.live
    }

    /// Fires what is due at `now`, but moves or fires at most `max` timers.
    ///
    /// A time earlier than that of a previous call is allowed and fires nothing that is not due then.
    pub(crate) fn advance_some(
        &mut self,
        now: u64,
        max: usize,
        mut fire: impl FnMut(u64),
    ) -> Progress {
        let tick = now >> TICK_BITS;
        let mut allowance = max;
        loop {
            // Before a slot is moved down completely the heap may lack its earliest timer.
            while self.moving != FREE {
                if allowance == 0 {
                    return Progress::More;
                }
                allowance -= 1;
                self.move_one_down();
            }
            while let Some(&index) = self.due.first()
                && self.nodes[index as usize].deadline <= now
            {
                if allowance == 0 {
                    return Progress::More;
                }
                allowance -= 1;
                let payload = self.nodes[index as usize].payload;
                self.remove_due(0);
                self.release(index);
                fire(payload);
            }
            match self.first_slot() {
                Some(place) if self.start_of(place) <= tick => self.begin_moving(place),
                _ => break,
            }
        }
        // No occupied slot begins at or before `tick`, so no timer changes its level by this.
        self.reached = self.reached.max(tick);
        Progress::Done
    }

    /// Whether [`shrink`](Wheel::shrink) would give anything back.
    pub(crate) fn has_surplus(&self) -> bool {
        self.live == 0 && self.nodes.capacity() > 0
    }

    /// Gives memory kept from a peak back to the allocator; does nothing while a timer is pending.
    pub(crate) fn shrink(&mut self) {
        if self.live == 0 {
            self.nodes = Vec::new();
            self.due = Vec::new();
            self.free = NIL;
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, node: Node) -> u32 {
        let index = self.nodes.len() as u32;
        assert!(index < NIL, "more than 2^32 - 1 timers on one worker");
        self.nodes.push(node);
        index
    }

    /// Puts a node that stands nowhere where its deadline belongs.
    #[inline]
    fn file(&mut self, index: u32, deadline: u64) {
        let tick = deadline >> TICK_BITS;
        if tick <= self.reached {
            return self.push_due(index);
        }
        let level = ((tick ^ self.reached).ilog2() / DIGIT_BITS) as usize;
        let slot = (tick >> (level as u32 * DIGIT_BITS)) as usize % SLOTS;
        let bit = 1 << slot;
        let row = &mut self.levels[level];
        let head = row.head[slot];
        if row.occupied & bit == 0 {
            row.occupied |= bit;
            row.stale &= !bit;
            row.minimum[slot] = deadline;
            self.occupied |= 1 << level;
        } else {
            row.minimum[slot] = row.minimum[slot].min(deadline);
        }
        row.head[slot] = index;
        let node = &mut self.nodes[index as usize];
        node.place = (level * SLOTS + slot) as u16;
        node.prev = NIL;
        node.next = head;
        if let Some(second) = self.nodes.get_mut(head as usize) {
            second.prev = index;
        }
    }

    /// Takes a node out of its slot or the heap.
    #[inline]
    fn unfile(&mut self, index: u32) {
        let &Node { deadline, prev, next, place, .. } = &self.nodes[index as usize];
        if place == IN_HEAP {
            return self.remove_due(prev as usize);
        }
        let (level, slot) = split(place);
        if let Some(after) = self.nodes.get_mut(next as usize) {
            after.prev = prev;
        }
        let row = &mut self.levels[level];
        match self.nodes.get_mut(prev as usize) {
            Some(before) => before.next = next,
            None => row.head[slot] = next,
        }
        if row.head[slot] == NIL {
            row.occupied &= !(1 << slot);
            row.minimum[slot] = FOREVER;
            if row.occupied == 0 {
                self.occupied &= !(1 << level);
            }
            if self.moving == place {
                self.moving = FREE;
            }
        } else if deadline == row.minimum[slot] {
            row.stale |= 1 << slot;
        }
    }

    #[inline]
    fn release(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        node.place = FREE;
        node.next = self.free;
        self.free = index;
        self.live -= 1;
    }

    /// The occupied slot that time enters first.
    #[inline]
    fn first_slot(&self) -> Option<u16> {
        let level = self.occupied.trailing_zeros() as usize;
        let row = self.levels.get(level)?;
        Some((level * SLOTS) as u16 + row.occupied.trailing_zeros() as u16)
    }

    /// The first tick of a slot.
    fn start_of(&self, place: u16) -> u64 {
        let (level, slot) = split(place);
        let shift = level as u32 * DIGIT_BITS;
        let above = (self.reached >> (shift + DIGIT_BITS)) << (shift + DIGIT_BITS);
        above | (slot as u64) << shift
    }

    /// Lets time enter a slot. It no longer counts as occupied and takes no more timers: those that
    /// would have gone there belong to a lower level from now on.
    fn begin_moving(&mut self, place: u16) {
        self.reached = self.reached.max(self.start_of(place));
        let (level, slot) = split(place);
        let row = &mut self.levels[level];
        row.occupied &= !(1 << slot);
        if row.occupied == 0 {
            self.occupied &= !(1 << level);
        }
        self.moving = place;
    }

    fn move_one_down(&mut self) {
        let (level, slot) = split(self.moving);
        let index = self.levels[level].head[slot];
        self.unfile(index);
        self.file(index, self.nodes[index as usize].deadline);
    }

    fn minimum_at(&self, place: u16) -> u64 {
        let (level, slot) = split(place);
        self.levels.get(level).map_or(FOREVER, |row| row.minimum[slot])
    }

    /// Makes a slot's minimum exact again.
    fn refresh(&mut self, place: u16) {
        let (level, slot) = split(place);
        let row = &mut self.levels[level];
        if row.stale & (1 << slot) == 0 {
            return;
        }
        row.stale &= !(1 << slot);
        let mut minimum = FOREVER;
        let mut index = row.head[slot];
        while let Some(node) = self.nodes.get(index as usize) {
            minimum = minimum.min(node.deadline);
            index = node.next;
        }
        row.minimum[slot] = minimum;
    }

    fn push_due(&mut self, index: u32) {
        self.nodes[index as usize].place = IN_HEAP;
        self.due.push(index);
        self.rise(self.due.len() - 1);
    }

    fn remove_due(&mut self, position: usize) {
        self.due.swap_remove(position);
        if position < self.due.len() {
            let position = self.rise(position);
            self.sink(position);
        }
    }

    fn rank(&self, position: usize) -> (u64, u64) {
        let node = &self.nodes[self.due[position] as usize];
        (node.deadline, node.sequence)
    }

    /// Moves the entry towards the top as far as it must, notes where it is, and says so.
    fn rise(&mut self, mut position: usize) -> usize {
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.rank(parent) <= self.rank(position) {
                break;
            }
            self.due.swap(parent, position);
            self.nodes[self.due[position] as usize].prev = position as u32;
            position = parent;
        }
        self.nodes[self.due[position] as usize].prev = position as u32;
        position
    }

    fn sink(&mut self, mut position: usize) {
        loop {
            let mut child = 2 * position + 1;
            if child >= self.due.len() {
                break;
            }
            if child + 1 < self.due.len() && self.rank(child + 1) < self.rank(child) {
                child += 1;
            }
            if self.rank(position) <= self.rank(child) {
                break;
            }
            self.due.swap(position, child);
            self.nodes[self.due[position] as usize].prev = position as u32;
            position = child;
        }
        self.nodes[self.due[position] as usize].prev = position as u32;
    }
}

/// Level and slot of a place; a level that does not exist for `FREE` and `IN_HEAP`.
#[inline]
fn split(place: u16) -> (usize, usize) {
    (place as usize / SLOTS, place as usize % SLOTS)
}

impl std::fmt::Debug for Wheel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wheel")
            .field("pending", &self.live)
            .field("due_or_this_tick", &self.due.len())
            .field("next_deadline_bound", &self.next_deadline_bound())
            .finish_non_exhaustive()
    }
}
