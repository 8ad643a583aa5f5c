//! The stack on which a thread reports that another one overflowed.
//!
//! std gives one to the threads it spawns, as small as the system allows; a thread that foreign
//! code made has none. Neither will do for a handler further down the chain that symbolises a
//! backtrace, so a thread that runs coroutines gets one that will.
//!
//! # Invariants
//!
//! 1. The memory is unmapped only when the kernel no longer has it as this thread's.

use crate::error::StackError;
use crate::sys::Errno;
use crate::sys::memory::{self, page_size};
use crate::sys::signal::{AlternateStack, alternate_stack, set_alternate_stack};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// What is enough for any handler, in bytes.
const ENOUGH: usize = 64 * 1024;

/// Keeps this thread's alternate signal stack in place; dropping it restores what was there.
///
/// Not `Send`: it belongs to the thread it was installed for.
#[derive(Debug)]
pub(crate) struct ThreadAltStack {
    mapping: Option<Mapping>,
    thread_bound: PhantomData<*mut ()>,
}

#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
    installed: AlternateStack,
    before: Option<AlternateStack>,
}

impl ThreadAltStack {
    /// Gives this thread an alternate stack with a guard, unless it has one that is large enough.
    ///
    /// # Errors
    ///
    /// [`StackError::System`] if the kernel has no memory for it.
    pub(crate) fn install() -> Result<ThreadAltStack, StackError> {
        let before = alternate_stack();
        if before.is_some_and(|stack| stack.bytes >= ENOUGH) {
            return Ok(ThreadAltStack { mapping: None, thread_bound: PhantomData });
        }
        let guard = page_size();
        let bytes = ENOUGH + guard;
        let system = |Errno(errno)| StackError::System { bytes, errno };
        let base = memory::reserve(bytes).map_err(system)?;
        // SAFETY:
        // - The guard and the stack are the two parts of the mapping just made.
        // - It stays mapped until `drop` has set another alternate stack.
        let result = unsafe {
            let installed = AlternateStack { base: base.as_ptr().add(guard), bytes: ENOUGH };
            memory::protect(base, guard)
                .and_then(|()| set_alternate_stack(Some(installed)))
                .map(|()| installed)
        };
        match result {
            Ok(installed) => {
                let mapping = Some(Mapping { base, bytes, installed, before });
                Ok(ThreadAltStack { mapping, thread_bound: PhantomData })
            }
            Err(error) => {
                // SAFETY: reserved above and not in use.
                unsafe { memory::unmap(base, bytes) };
                Err(system(error))
            }
        }
    }
}

impl Drop for ThreadAltStack {
    fn drop(&mut self) {
        let Some(Mapping { base, bytes, installed, before }) = self.mapping.take() else { return };
        // The owner of the earlier one may have removed ours, and its own, by now.
        // SAFETY: `before` was set when ours replaced it, and its owner removes what is set before
        // it frees it; ours still being set shows that it has not.
        let removed =
            alternate_stack() != Some(installed) || unsafe { set_alternate_stack(before) }.is_ok();
        if removed {
            // SAFETY: reserved as a whole, and no longer this thread's alternate stack.
            unsafe { memory::unmap(base, bytes) };
        }
    }
}
