//! The bare switch, without anything around it: there and back, with a word each way, in both forms.

use core::cell::Cell;
use kcoro::raw::{self, Arrival, Leave, RawStack, Root, StackPointer};

/// What both sides know.
struct Pair {
    main: Cell<StackPointer>,
    other: Cell<StackPointer>,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Called,
    Token,
}

impl Form {
    /// # Safety
    ///
    /// - As [`raw::call_switch`], in this form.
    unsafe fn switch(self, from: &Cell<StackPointer>, to: StackPointer, value: usize) -> Arrival {
        // SAFETY: passed on to the caller.
        unsafe {
            match self {
                Form::Called => raw::call_switch(from.as_ptr(), to, value, 0),
                Form::Token => raw::token_switch(from.as_ptr(), to, value, 0),
            }
        }
    }

    /// # Safety
    ///
    /// - As [`raw::call_init`], in this form.
    unsafe fn init(self, top: usize, root: Root, argument: usize) -> StackPointer {
        // SAFETY: passed on to the caller.
        unsafe {
            match self {
                Form::Called => raw::call_init(top, root, argument),
                Form::Token => raw::token_init(top, root, argument),
            }
        }
    }
}

/// # Safety
///
/// - `argument` is the address of the [`Pair`] whose `other` this context is.
unsafe extern "C" fn other(argument: usize, value: usize, _hook: usize) -> Leave {
    // SAFETY: `main` keeps the pair until this context has left, and each side switches only to
    // the other while that is suspended.
    unsafe {
        let pair = &*(argument as *const Pair);
        println!("[other] entered with {value}");
        let arrival = pair.form.switch(&pair.other, pair.main.get(), value * 2);
        println!("[other] continued with {}", arrival.value);
        Leave { to: pair.main.get(), hook: 0 }
    }
}

fn main() -> Result<(), kcoro::error::StackError> {
    for (name, form) in [("called", Form::Called), ("token", Form::Token)] {
        let stack = RawStack::new(64 * 1024)?;
        let pair = Pair { main: Cell::new(0), other: Cell::new(0), form };
        println!("[main] {name} switch on {}", raw::NAME);
        // SAFETY: the stack is unused and large enough, `other` does not unwind, and the context is
        // continued once for each time it was suspended.
        unsafe {
            pair.other.set(form.init(stack.top(), other, &raw const pair as usize));
            let arrival = form.switch(&pair.main, pair.other.get(), 21);
            println!("[main] back with {}", arrival.value);
            assert_eq!(arrival.value, 42);
            form.switch(&pair.main, pair.other.get(), 7);
        }
        println!("[main] it has left for good");
    }
    Ok(())
}
