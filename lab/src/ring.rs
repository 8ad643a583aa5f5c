//! A ring of bare contexts that switch to each other: the least a symmetric switch can cost.
//!
//! Each context counts a shared number down and switches to the next; who finds it at zero goes
//! back to the one that started the ring.

use core::cell::Cell;
use kcoro::error::StackError;
use kcoro::raw::{
    FIRST_FRAME, Leave, RawStack, StackPointer, call_init, call_switch, prefetch, token_init,
    token_switch,
};

/// Which form of the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The naked function that saves every callee-saved register.
    Called,
    /// The inline one, where the compiler saves what is live.
    Token,
}

/// How the contexts lie in memory and whether the next ones are fetched early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Tops on different cache lines, and the frame after the next one is prefetched.
    Coloured,
    /// All tops at the same place of a page, nothing prefetched.
    Plain,
}

/// How far ahead frames are prefetched.
const AHEAD: usize = 8;

/// One place of the ring, one cache line.
#[repr(C, align(64))]
struct Place {
    sp: Cell<StackPointer>,
    next: Cell<*const Place>,
    ahead: Cell<*const Place>,
    shared: Cell<*const Shared>,
}

struct Shared {
    left: Cell<u64>,
    outside: Cell<StackPointer>,
}

/// A ring that can be run any number of times.
pub struct Ring {
    places: Box<[Place]>,
    shared: Box<Shared>,
    form: Form,
    _stacks: Vec<RawStack>,
}

impl core::fmt::Debug for Ring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ring").field("len", &self.places.len()).field("form", &self.form).finish()
    }
}

impl Ring {
    /// Makes a ring of `len` contexts, in the order of their stacks.
    ///
    /// # Errors
    ///
    /// [`StackError`] if there are no stacks.
    pub fn new(len: usize, form: Form, layout: Layout) -> Result<Ring, StackError> {
        let stacks: Result<Vec<_>, _> = (0..len).map(|_| RawStack::new(64 * 1024)).collect();
        let mut stacks = stacks?;
        stacks.sort_by_key(RawStack::bottom);
        let shared = Box::new(Shared { left: Cell::new(0), outside: Cell::new(0) });
        let places: Box<[Place]> = (0..len)
            .map(|_| Place {
                sp: Cell::new(0),
                next: Cell::new(core::ptr::null()),
                ahead: Cell::new(core::ptr::null()),
                shared: Cell::new(&raw const *shared),
            })
            .collect();
        for (at, (place, stack)) in places.iter().zip(&stacks).enumerate() {
            place.next.set(&raw const places[(at + 1) % len]);
            place.ahead.set(&raw const places[(at + AHEAD) % len]);
            let argument = &raw const *place as usize;
            let top = match layout {
                Layout::Coloured => stack.top(),
                Layout::Plain => stack.plain_top(),
            };
            assert!(top - FIRST_FRAME > stack.bottom());
            // SAFETY: the stack is ours, unused and large enough; the roots never return unless
            // they leave for the outside, and never unwind.
            place.sp.set(unsafe {
                match (form, layout) {
                    (Form::Token, Layout::Coloured) => token_init(top, token::<true>, argument),
                    (Form::Token, Layout::Plain) => token_init(top, token::<false>, argument),
                    (Form::Called, Layout::Coloured) => call_init(top, called::<true>, argument),
                    (Form::Called, Layout::Plain) => call_init(top, called::<false>, argument),
                }
            });
        }
        Ok(Ring { places, shared, form, _stacks: stacks })
    }

    /// Makes at least `switches` switches around the ring, and two to enter and leave it.
    pub fn run(&self, switches: u64) {
        self.shared.left.set(switches);
        let first = &self.places[0];
        // SAFETY: every place is suspended; the one that finds the count at zero comes back here,
        // leaving its own place suspended.
        unsafe {
            let outside = self.shared.outside.as_ptr();
            match self.form {
                Form::Token => token_switch(outside, first.sp.get(), 0, 0),
                Form::Called => call_switch(outside, first.sp.get(), 0, 0),
            };
        }
    }
}

macro_rules! body {
    ($name:ident, $switch:ident) => {
        /// # Safety
        ///
        /// - `place` is the address of the [`Place`] of this context in a ring.
        unsafe extern "C" fn $name<const AHEAD: bool>(place: usize, _: usize, _: usize) -> Leave {
            // SAFETY: the place and what it points to live as long as the ring, whose contexts run
            // only inside `run`; every switch goes to a suspended context.
            unsafe {
                let place = &*(place as *const Place);
                let shared = &*place.shared.get();
                let next = &*place.next.get();
                let ahead = &*place.ahead.get();
                loop {
                    let left = shared.left.get();
                    if left == 0 {
                        $switch(place.sp.as_ptr(), shared.outside.get(), 0, 0);
                        continue;
                    }
                    shared.left.set(left - 1);
                    if AHEAD {
                        prefetch(ahead.sp.get());
                    }
                    $switch(place.sp.as_ptr(), next.sp.get(), 0, 0);
                }
            }
        }
    };
}

body!(token, token_switch);
body!(called, call_switch);
