//! The futex: a thread sleeps while a word holds an expected value, another one wakes it.
//!
//! Private futexes only: the words live in this process. The deadline is turned into the time that
//! remains on each call, so a caller that loops after a spurious return never sleeps too long.
//!
//! # Invariants
//!
//! 1. [`wait`] returns at once when the word does not hold `expected`; the kernel compares and
//!    sleeps in one step, so a [`wake`] that follows a change of the word is never lost.
//! 2. [`wake`] is async-signal-safe: one system call, and `errno` is left as it was.
//!
//! # Who calls this, and what it may call
//!
//! Plain threads and worker threads. It blocks the thread, so a coroutine never calls [`wait`].
//!
//! Source: futex(2).

use crate::prim::AtomicU32;
use std::time::Instant;

/// Sleeps while `word` holds `expected`, until woken, until `deadline`, or for no reason.
///
/// Returns `false` only when the deadline has passed; `None` is for ever.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> bool {
    let limit = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
        Some(left) if left.is_zero() => return false,
        Some(left) => Some(libc::timespec {
            tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(left.subsec_nanos() as i32),
        }),
        None => None,
    };
    let timeout = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY:
    // - `word` is borrowed, so its four aligned bytes stay readable for the whole call.
    // - `timeout` is null or points at `limit`, which outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            timeout,
        )
    };
    result == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ETIMEDOUT)
}

/// Wakes one thread that sleeps on `word`.
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: the location of this thread's `errno` is valid for the life of the thread.
    let errno = unsafe { &mut *libc::__errno_location() };
    let before = *errno;
    // SAFETY: FUTEX_WAKE uses the address as a key only; the word need not even be mapped.
    let _ = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            1_u32,
        )
    };
    *errno = before;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn futex_returns_on_difference_and_on_deadline() {
        let word = AtomicU32::new(1);
        assert!(wait(&word, 0, None), "the word differs");
        let at = Instant::now() + Duration::from_millis(2);
        while wait(&word, 1, Some(at)) {}
        assert!(Instant::now() >= at);
        wake(&word);
    }
}
