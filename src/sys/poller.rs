//! epoll and the eventfd that interrupts it, for one thread that sleeps until a file descriptor is
//! ready, a point in time has come, or another thread wants it.
//!
//! Every worker has one of its own: a coroutine that waits for a descriptor never changes threads,
//! so its interest is registered where it will be continued and no other thread takes part.
//!
//! # Invariants
//!
//! 1. The key [`WAKE`] belongs to the eventfd.
//! 2. A registration is one-shot: it reports once and rests until [`Poller::rearm`].
//!
//! # Who calls this, and what it may call
//!
//! The owner thread; [`Interrupt::ring`] any thread.
//!
//! Source: epoll(7), eventfd(2).

use super::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// The key that reports the eventfd.
pub(crate) const WAKE: u64 = u64::MAX;

/// What was reported for a descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    /// The key it was registered with.
    pub(crate) key: u64,
    /// It can be read without blocking, or reports an end or an error when read.
    pub(crate) readable: bool,
    /// It can be written without blocking, or reports an error when written.
    pub(crate) writable: bool,
}

/// The eventfd, which any thread may ring.
#[derive(Debug)]
pub(crate) struct Interrupt(OwnedFd);

impl Interrupt {
    /// Makes the current or the next wait return.
    pub(crate) fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight readable bytes; the descriptor is owned. A full counter cannot happen
        // before 2^64 rings, and other failures cannot happen on an eventfd of our own.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight writable bytes; non-blocking, so a spurious call returns at once.
        let _ = unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// One thread's epoll instance.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    interrupt: Arc<Interrupt>,
}

fn owned(fd: libc::c_int) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the kernel has just handed the descriptor to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Poller {
    /// A poller with nothing registered but its interrupt.
    pub(crate) fn new() -> Result<Poller, Errno> {
        // SAFETY: the calls take no pointers.
        let (epoll, event) = unsafe {
            (
                owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                owned(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?,
            )
        };
        let poller = Poller { epoll, interrupt: Arc::new(Interrupt(event)) };
        let events = (libc::EPOLLIN | libc::EPOLLET) as u32;
        poller.control(libc::EPOLL_CTL_ADD, poller.interrupt.0.as_raw_fd(), events, WAKE)?;
        Ok(poller)
    }

    /// What other threads ring.
    pub(crate) fn interrupt(&self) -> Arc<Interrupt> {
        Arc::clone(&self.interrupt)
    }

    fn control(&self, op: libc::c_int, fd: RawFd, events: u32, key: u64) -> Result<(), Errno> {
        let mut event = libc::epoll_event { events, u64: key };
        // SAFETY: `event` is valid for the call; the kernel checks the descriptor.
        let done = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), op, fd, &raw mut event) };
        if done == 0 { Ok(()) } else { Err(Errno::last()) }
    }

    /// Registers a descriptor, or changes what is reported for it; one report each time.
    pub(crate) fn rearm(
        &self,
        fd: RawFd,
        key: u64,
        readable: bool,
        writable: bool,
    ) -> Result<(), Errno> {
        let mut events = libc::EPOLLONESHOT;
        if readable {
            // Half an end is news for readers only: a writer would be told for ever.
            events |= libc::EPOLLIN | libc::EPOLLRDHUP;
        }
        if writable {
            events |= libc::EPOLLOUT;
        }
        match self.control(libc::EPOLL_CTL_MOD, fd, events as u32, key) {
            Err(Errno(libc::ENOENT)) => self.control(libc::EPOLL_CTL_ADD, fd, events as u32, key),
            other => other,
        }
    }

    /// Forgets a descriptor.
    pub(crate) fn remove(&self, fd: RawFd) {
        // A descriptor that was closed has gone by itself.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    /// Waits up to `timeout` nanoseconds (`None`: for ever) and calls `report` for what is ready.
    /// Never returns early for another reason than a report, an interrupt or a signal.
    pub(crate) fn wait(&self, timeout: Option<u64>, mut report: impl FnMut(Ready)) {
        const BATCH: usize = 64;
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        if timeout != Some(0) {
            self.sleep(timeout);
        }
        // SAFETY: the array has room for as many events as announced.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), BATCH as libc::c_int, 0)
        };
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            let (bits, key) = (event.events as libc::c_int, event.u64);
            if key == WAKE {
                self.interrupt.clear();
                continue;
            }
            let broken = bits & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
            report(Ready {
                key,
                readable: broken || bits & (libc::EPOLLIN | libc::EPOLLRDHUP) != 0,
                writable: broken || bits & libc::EPOLLOUT != 0,
            });
        }
    }

    /// Sleeps until the epoll instance has something to report: `ppoll` keeps nanoseconds, which
    /// `epoll_wait` does not, and exists everywhere, which `epoll_pwait2` does not.
    fn sleep(&self, timeout: Option<u64>) {
        let limit = timeout.map(|ns| libc::timespec {
            tv_sec: libc::time_t::try_from(ns / 1_000_000_000).unwrap_or(libc::time_t::MAX),
            tv_nsec: (ns % 1_000_000_000) as libc::c_long,
        });
        let limit = limit.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        let mut fd = libc::pollfd { fd: self.epoll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, a timespec that outlives the call or null, no signal mask.
        unsafe { libc::ppoll(&raw mut fd, 1, limit, core::ptr::null()) };
    }
}

/// Blocks the calling thread until a descriptor is ready or `deadline` (nanoseconds of the clock;
/// `None`: never) has come; false: it has. With the deadline 0 it does not block.
///
/// # Errors
///
/// The kernel's; a signal does not end the wait.
pub(crate) fn block_until_ready(
    fd: RawFd,
    readable: bool,
    deadline: Option<u64>,
) -> Result<bool, Errno> {
    let events = if readable { libc::POLLIN } else { libc::POLLOUT };
    loop {
        let limit = deadline.map(|at| {
            let ns = at.saturating_sub(super::clock::now());
            libc::timespec {
                tv_sec: libc::time_t::try_from(ns / 1_000_000_000).unwrap_or(libc::time_t::MAX),
                tv_nsec: (ns % 1_000_000_000) as libc::c_long,
            }
        });
        let limit_at = limit.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        let mut one = libc::pollfd { fd, events, revents: 0 };
        // SAFETY: one pollfd, a timespec that outlives the call or null, no signal mask.
        match unsafe { libc::ppoll(&raw mut one, 1, limit_at, core::ptr::null()) } {
            0 => return Ok(false),
            n if n > 0 && one.revents & libc::POLLNVAL != 0 => return Err(Errno(libc::EBADF)),
            n if n > 0 => return Ok(true),
            _ if Errno::last() == Errno(libc::EINTR) => {}
            _ => return Err(Errno::last()),
        }
    }
}

/// Makes timed sleeps of the calling thread end as close to their time as the kernel can.
pub(crate) fn sharpen_timers() {
    // SAFETY: the call takes no pointers; one nanosecond of slack for this thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize, 0, 0, 0) };
}
