//! Waiting for file descriptors, and reading and writing them, without blocking a worker.
//!
//! Every call works on any descriptor, blocking or not, and leaves its flags alone. A coroutine
//! parks until the descriptor is ready; on a plain thread the thread blocks. A wait is a ticket like
//! any other: readiness, the deadline and the end of the coroutine compete for it, and one wins.
//! Several coroutines may wait for one descriptor, in both directions and on several workers; all of
//! them are told, and each looks for itself.
//!
//! Files and block devices count as always ready. Reading one may wait for the medium and keeps the
//! worker that long; [`blocking`](crate::blocking) takes such reads off it.
//!
//! The borrow keeps a descriptor open while a call waits for it. Where unsafe code closes it all the
//! same, the kernel says nothing, and the call returns at its deadline, or when the number has been
//! given to another file that becomes ready.
//!
//! # Examples
//!
//! ```
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//! use kcoro::io;
//!
//! kcoro::run(|| {
//!     let (near, far) = UnixStream::pair()?;
//!     let echo = kcoro::spawn(move || -> std::io::Result<()> {
//!         let mut word = [0; 5];
//!         io::read_exact(&far, &mut word, None)?;
//!         Ok(io::write_all(&far, &word, None)?)
//!     });
//!     io::write_all(&near, b"hello", None)?;
//!     let mut word = [0; 5];
//!     io::read_exact(&near, &mut word, None)?;
//!     assert_eq!(&word, b"hello");
//!     echo.join().unwrap()
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Instant;

use crate::cancel::CancelToken;
use crate::error::Cancelled;
pub use crate::error::Incomplete;
use crate::sched::io::{Interest, Limits, Waited, wait_ready};
use crate::sys::{Errno, transfer};
use crate::timer::{self, FOREVER};

/// Waits until reading from `fd` would not block: there is something, or an end, or an error.
///
/// Another reader may still be faster.
///
/// # Errors
///
/// [`TimedOut`](ErrorKind::TimedOut) once `deadline` has passed, with `None` never; the system's if
/// the descriptor cannot be waited for.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// kcoro::run(|| {
///     let (near, _far) = std::os::unix::net::UnixStream::pair()?;
///     let soon = Instant::now() + Duration::from_millis(2);
///     let error = kcoro::io::wait_readable(&near, Some(soon)).unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
///     kcoro::io::wait_writable(&near, None)
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_readable(fd: &impl AsFd, deadline: Option<Instant>) -> Result<()> {
    wait(fd.as_fd().as_raw_fd(), Interest::Readable, until(deadline))
}

/// Waits until writing to `fd` would not block: there is room, or an error.
///
/// # Errors
///
/// As [`wait_readable`].
pub fn wait_writable(fd: &impl AsFd, deadline: Option<Instant>) -> Result<()> {
    wait(fd.as_fd().as_raw_fd(), Interest::Writable, until(deadline))
}

/// Reads once into `buffer`, waiting until there is something; returns how many bytes. 0 is the end,
/// or an empty buffer.
///
/// # Errors
///
/// [`TimedOut`](ErrorKind::TimedOut) if there was nothing until `deadline`; the system's. Nothing
/// has been read then.
pub fn read(fd: &impl AsFd, buffer: &mut [u8], deadline: Option<Instant>) -> Result<usize> {
    read_once(fd.as_fd().as_raw_fd(), buffer, until(deadline))
}

/// Writes once from `buffer`, waiting until there is room; returns how many bytes were taken.
///
/// # Errors
///
/// [`TimedOut`](ErrorKind::TimedOut) if there was no room until `deadline`; the system's. Nothing
/// has been written then.
pub fn write(fd: &impl AsFd, buffer: &[u8], deadline: Option<Instant>) -> Result<usize> {
    write_once(fd.as_fd().as_raw_fd(), buffer, until(deadline))
}

/// Reads until `buffer` is full.
///
/// # Errors
///
/// [`Incomplete`] says how much was read before the end, the deadline or the system's error came.
pub fn read_exact(
    fd: &impl AsFd,
    buffer: &mut [u8],
    deadline: Option<Instant>,
) -> core::result::Result<(), Incomplete> {
    read_all(fd.as_fd().as_raw_fd(), buffer, until(deadline))
}

/// Writes all of `buffer`.
///
/// # Errors
///
/// [`Incomplete`] says how much was written before the deadline or the system's error came.
pub fn write_all(
    fd: &impl AsFd,
    buffer: &[u8],
    deadline: Option<Instant>,
) -> core::result::Result<(), Incomplete> {
    write_whole(fd.as_fd().as_raw_fd(), buffer, until(deadline))
}

/// [`wait_readable`], unless `token` is cancelled first.
///
/// # Errors
///
/// As [`wait_readable`]; and the cancel, which [`Cancelled::of`](crate::error::Cancelled::of)
/// recognises. A token that is cancelled comes before everything else.
///
/// # Examples
///
/// ```
/// use kcoro::cancel::CancelToken;
/// use kcoro::error::Cancelled;
///
/// let token = CancelToken::new();
/// kcoro::run(|| {
///     let (near, _far) = std::os::unix::net::UnixStream::pair()?;
///     let mine = token.clone();
///     let reader = kcoro::spawn(move || {
///         kcoro::io::read_cancellable(&near, &mut [0], None, &mine)
///     });
///     token.cancel_with("enough");
///     let error = reader.join().unwrap().unwrap_err();
///     assert_eq!(Cancelled::of(&error), Some(Cancelled("enough".into())));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_readable_cancellable(
    fd: &impl AsFd,
    deadline: Option<Instant>,
    token: &CancelToken,
) -> Result<()> {
    wait(fd.as_fd().as_raw_fd(), Interest::Readable, until(deadline).or(token))
}

/// [`wait_writable`], unless `token` is cancelled first.
///
/// # Errors
///
/// As [`wait_readable_cancellable`].
pub fn wait_writable_cancellable(
    fd: &impl AsFd,
    deadline: Option<Instant>,
    token: &CancelToken,
) -> Result<()> {
    wait(fd.as_fd().as_raw_fd(), Interest::Writable, until(deadline).or(token))
}

/// [`read`], unless `token` is cancelled first.
///
/// # Errors
///
/// As [`read`] and [`wait_readable_cancellable`]. Nothing has been read then.
pub fn read_cancellable(
    fd: &impl AsFd,
    buffer: &mut [u8],
    deadline: Option<Instant>,
    token: &CancelToken,
) -> Result<usize> {
    read_once(fd.as_fd().as_raw_fd(), buffer, until(deadline).or(token))
}

/// [`write()`], unless `token` is cancelled first.
///
/// # Errors
///
/// As [`write()`] and [`wait_readable_cancellable`]. Nothing has been written then.
pub fn write_cancellable(
    fd: &impl AsFd,
    buffer: &[u8],
    deadline: Option<Instant>,
    token: &CancelToken,
) -> Result<usize> {
    write_once(fd.as_fd().as_raw_fd(), buffer, until(deadline).or(token))
}

/// [`read_exact`], unless `token` is cancelled first.
///
/// # Errors
///
/// [`Incomplete`] says how much was read before.
pub fn read_exact_cancellable(
    fd: &impl AsFd,
    buffer: &mut [u8],
    deadline: Option<Instant>,
    token: &CancelToken,
) -> core::result::Result<(), Incomplete> {
    read_all(fd.as_fd().as_raw_fd(), buffer, until(deadline).or(token))
}

/// [`write_all`], unless `token` is cancelled first.
///
/// # Errors
///
/// [`Incomplete`] says how much was written before.
pub fn write_all_cancellable(
    fd: &impl AsFd,
    buffer: &[u8],
    deadline: Option<Instant>,
    token: &CancelToken,
) -> core::result::Result<(), Incomplete> {
    write_whole(fd.as_fd().as_raw_fd(), buffer, until(deadline).or(token))
}

/// The limits of a call without a token.
fn until<'a>(deadline: Option<Instant>) -> Limits<'a> {
    Limits { deadline: deadline.map_or(FOREVER, timer::deadline), cancel: None }
}

impl<'a> Limits<'a> {
    fn or(self, token: &'a CancelToken) -> Limits<'a> {
        Limits { cancel: Some(token), ..self }
    }
}

fn wait(fd: RawFd, interest: Interest, limits: Limits<'_>) -> Result<()> {
    match wait_ready(fd, interest, limits) {
        Ok(Waited::Ready) => Ok(()),
        Ok(Waited::TimedOut) if !limits.is_cancelled() => Err(ErrorKind::TimedOut.into()),
        Ok(_) => Err(cancelled(limits)),
        Err(errno) => Err(system(errno)),
    }
}

/// The cancel of a token that is cancelled.
#[cold]
fn cancelled(limits: Limits<'_>) -> Error {
    Cancelled(limits.cancel.and_then(CancelToken::reason).unwrap_or_default()).into()
}

fn system(errno: Errno) -> Error {
    Error::from_raw_os_error(errno.0)
}

fn read_all(
    fd: RawFd,
    buffer: &mut [u8],
    limits: Limits<'_>,
) -> core::result::Result<(), Incomplete> {
    let mut done = 0;
    while done < buffer.len() {
        match read_once(fd, &mut buffer[done..], limits) {
            Ok(0) => return Err(Incomplete::new(done, ErrorKind::UnexpectedEof.into())),
            Ok(count) => done += count,
            Err(error) => return Err(Incomplete::new(done, error)),
        }
    }
    Ok(())
}

fn write_whole(
    fd: RawFd,
    buffer: &[u8],
    limits: Limits<'_>,
) -> core::result::Result<(), Incomplete> {
    let mut done = 0;
    while done < buffer.len() {
        match write_once(fd, &buffer[done..], limits) {
            Ok(0) => return Err(Incomplete::new(done, ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) => return Err(Incomplete::new(done, error)),
        }
    }
    Ok(())
}

fn read_once(fd: RawFd, buffer: &mut [u8], limits: Limits<'_>) -> Result<usize> {
    transfer(fd, Interest::Readable, limits, |way| match way {
        // Nothing to transfer is no reason to wait, also where the kernel makes no promises.
        Way::Now if buffer.is_empty() => transfer::read(fd, buffer),
        Way::Now => transfer::read_now(fd, buffer),
        Way::AsItIs | Way::WhenReady => transfer::read(fd, buffer),
    })
}

fn write_once(fd: RawFd, buffer: &[u8], limits: Limits<'_>) -> Result<usize> {
    transfer(fd, Interest::Writable, limits, |way| match way {
        Way::Now if buffer.is_empty() => transfer::write(fd, buffer),
        Way::Now => transfer::write_now(fd, buffer),
        Way::AsItIs => transfer::write(fd, buffer),
        Way::WhenReady => transfer::write(fd, &buffer[..buffer.len().min(transfer::PIPE_CHUNK)]),
    })
}

/// How one attempt keeps from blocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The call asks the kernel not to block.
    Now,
    /// The descriptor is non-blocking, or a file.
    AsItIs,
    /// It has been seen ready; a pipe that is takes [`transfer::PIPE_CHUNK`] bytes.
    WhenReady,
}

/// Attempts until something was transferred, waiting where it would have to block.
fn transfer(
    fd: RawFd,
    interest: Interest,
    limits: Limits<'_>,
    mut attempt: impl FnMut(Way) -> core::result::Result<usize, Errno>,
) -> Result<usize> {
    if limits.is_cancelled() {
        return Err(cancelled(limits));
    }
    let mut way = Way::Now;
    loop {
        if way == Way::WhenReady {
            wait(fd, interest, limits)?;
        }
        match attempt(way) {
            Ok(count) => return Ok(count),
            Err(errno) if errno.is_interrupted() => {}
            // A file that is not in memory, or a kernel that makes no promises for this kind.
            Err(errno) if way == Way::Now && errno.is_unsupported() => {
                let at_once = match interest {
                    Interest::Readable => transfer::reads_at_once(fd),
                    Interest::Writable => transfer::writes_at_once(fd),
                };
                way = if at_once.map_err(system)? { Way::AsItIs } else { Way::WhenReady };
            }
            Err(errno) if errno.would_block() => {
                if way == Way::Now && transfer::is_file(fd).map_err(system)? {
                    way = Way::AsItIs;
                } else if way != Way::WhenReady {
                    wait(fd, interest, limits)?;
                }
            }
            Err(errno) => return Err(system(errno)),
        }
    }
}
