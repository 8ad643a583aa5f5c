//! Coroutines driven by hand, through the public API: values, lives, ends, wake-ups, stacks.
//!
//! One program, one module a subject. What ends a process runs in a child (`children`), with
//! `KCORO_TEST_RUNNER` (an emulator and its options) in front if that is set.

#![allow(clippy::disallowed_types, reason = "tests are not below prim")]

mod children;
mod fp;
mod generator;
mod life;
mod misuse;
#[path = "../scale/mod.rs"]
mod scale;
mod stack;
mod task;
mod wake;

use scale::scaled;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Counts how often values that belong to it were dropped.
#[derive(Clone, Default)]
struct Drops(Rc<Cell<u32>>);

impl Drops {
    fn guard(&self) -> Dropped {
        Dropped(self.clone())
    }

    fn count(&self) -> u32 {
        self.0.get()
    }
}

/// One such value.
struct Dropped(Drops);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.0.set(self.0.count() + 1);
    }
}

/// The text that `f` panics with.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => text.to_string(),
            Err(payload) => *payload.downcast::<String>().unwrap(),
        },
    }
}
