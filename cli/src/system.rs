//! What the program asks the system itself: stop signals, the size of the terminal, its own cost.
//!
//! A stop signal completes a ticket from within the handler, and the token kernel's thread runs
//! what is to be done: no flag is polled and no pipe is needed. The second signal finds no ticket
//! and takes the default action, so that a program that hangs can still be ended by hand.
//!
//! # Invariants
//!
//! 1. The handler only exchanges words, completes a ticket and calls async-signal-safe functions.
//! 2. A signal that was ignored when the program started stays ignored, as `nohup` wants it.
//!
//! # Who calls this, and what it may call
//!
//! The main thread. The only file of the program that contains `unsafe`.
//!
//! Source: sigaction(2), signal-safety(7), tty_ioctl(4), getrusage(2).

#![allow(unsafe_code, reason = "the fence of the program: each block is one call of libc")]

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kcoro::token::{self, Kernel, KernelGuard, Payload, Ticket};

/// The ticket that the first stop signal completes; 0 stands for none.
static TICKET: AtomicU64 = AtomicU64::new(0);

/// The signals that ask a program to end.
const STOP_SIGNALS: [c_int; 2] = [libc::SIGINT, libc::SIGTERM];

/// Runs something once when SIGINT or SIGTERM comes, until it is dropped.
#[derive(Debug)]
pub(crate) struct StopSignals {
    ticket: Ticket,
    /// Completing from a handler needs the kernel's thread.
    _kernel: KernelGuard,
}

impl StopSignals {
    /// Has `stop` run, on the token kernel's thread, when the first stop signal comes. The second
    /// one ends the process.
    ///
    /// # Errors
    ///
    /// The system refused the kernel's thread or the handler.
    pub(crate) fn watch(stop: impl FnOnce() + Send + 'static) -> io::Result<StopSignals> {
        let kernel = Kernel::start()?;
        let ticket = token::publish_callback(move |outcome| {
            if outcome.is_ok() {
                stop();
            }
        });
        // Release: pairs with the Acquire of the handler, which uses the ticket's slot.
        TICKET.store(ticket.into_raw(), Ordering::Release);
        let signals = StopSignals { ticket, _kernel: kernel };
        STOP_SIGNALS.into_iter().try_for_each(|signal| install(signal, on_stop))?;
        Ok(signals)
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        TICKET.store(0, Ordering::Relaxed);
        // Stale if a signal has come: then the callback runs or has run.
        let _ = self.ticket.cancel("the program ends");
    }
}

fn install(signal: c_int, handler: extern "C" fn(c_int)) -> io::Result<()> {
    // SAFETY: an all-zero `sigaction` is the default action with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `action` is valid for writes; the signal is one that can be asked for.
    if unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if action.sa_sigaction == libc::SIG_IGN {
        return Ok(());
    }
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler takes the signal's number, as `sa_flags` without SA_SIGINFO promises, and
    // is async-signal-safe (invariant 1).
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn on_stop(signal: c_int) {
    // SAFETY: the location of this thread's `errno`, which the interrupted code may be about to read.
    let errno = unsafe { *libc::__errno_location() };
    // Acquire: pairs with the Release of `watch`.
    let ticket = Ticket::from_raw(TICKET.swap(0, Ordering::Acquire));
    if ticket.into_raw() == 0 || ticket.complete_from_signal(Payload::empty()).is_err() {
        // SAFETY: both are async-signal-safe; an all-zero `sigaction` is the default action. The
        // signal stays pending until the handler returns.
        unsafe {
            let default: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, &raw const default, std::ptr::null_mut());
            libc::raise(signal);
        }
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Columns and rows of the terminal behind standard output; `None` if it has no size.
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is valid for writes and of the type this request fills.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0 && size.ws_row > 0)
        .then_some((usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// User and system time that the process has used so far.
pub(crate) fn cpu_time() -> Duration {
    // SAFETY: plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for writes.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// Resident memory of the process in KiB; `None` if `/proc` does not show it.
pub(crate) fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
