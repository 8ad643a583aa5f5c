//! Which cancel token is meant where nobody names one: that of the running coroutine, or of the
//! innermost scope it is in.
//!
//! A coroutine's own token is a child of its runtime's, so that the end of the runtime cancels it,
//! and not of its spawner's: a coroutine may outlive the one that spawned it. Who wants it to end
//! with the spawner says so with `Builder::cancel_with`. It is made when somebody first asks for it,
//! the coroutine or its handle, whichever is first.
//!
//! # Invariants
//!
//! 1. A job has one token for its whole life.
//! 2. A scope is left in the order in which it was entered, also by unwinding.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines, tasks and threads. Cancelling may run callbacks.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::sync::Arc;

use super::job::{Header, with_current};
use super::shared::Shared;
use super::worker::current_worker;
use crate::cancel::{CancelToken, OnCancel};

crate::coroutine_local! {
    /// The innermost scope's token; of a plain thread or a task without one, its own.
    static SCOPE: RefCell<Option<CancelToken>> = RefCell::new(None);
}

/// The token of a job.
#[derive(Debug)]
pub(crate) struct JobToken {
    token: CancelToken,
    /// Passes the end of the runtime on to a token that is not below the runtime's.
    link: Option<OnCancel>,
}

impl JobToken {
    /// A child of `parent` that the end of the runtime cancels as well.
    pub(super) fn below(parent: &CancelToken, shared: &Shared) -> JobToken {
        let token = parent.child();
        let linked = token.clone();
        let link = shared.token.on_cancel(move |reason| {
            linked.cancel_with(reason);
        });
        JobToken { token, link: Some(link) }
    }
}

impl Drop for JobToken {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            link.remove();
        }
    }
}

impl Header {
    /// The job's token. Made by the coroutine itself it is below the runtime's; made by a handle it
    /// is about to be cancelled, so it needs no parent.
    pub(super) fn token(&self) -> &CancelToken {
        let running = with_current(|job| job.is_some_and(|job| std::ptr::eq(job, self)));
        let runtime = current_worker().filter(|_| running).map(|worker| Arc::clone(&worker.shared));
        let make = || JobToken {
            token: runtime.map_or_else(CancelToken::new, |shared| shared.token.child()),
            link: None,
        };
        &self.token.get_or_init(|| Box::new(make())).token
    }
}

/// The cancel token of the running coroutine, or of the innermost
/// [`with_cancel_token`] or [`timeout`](crate::timeout) that it is in.
///
/// It is cancelled by [`JoinHandle::cancel`](crate::JoinHandle::cancel), by the end of the runtime,
/// and with the parent named by [`Builder::cancel_with`](crate::Builder::cancel_with). It does not
/// depend on the spawner's token. A plain thread and a hand-driven task have a token of their own.
///
/// Only waits that are given the token see it; the others wait on.
///
/// # Examples
///
/// ```
/// use kcoro::cancel_token;
///
/// let (tx, rx) = kcoro::channel::bounded::<u8>(1);
/// kcoro::run(|| {
///     let reader = kcoro::spawn(move || rx.recv_cancellable(&cancel_token()).is_err());
///     reader.cancel();
///     assert!(reader.join().unwrap());
/// });
/// # drop(tx);
/// ```
#[must_use]
pub fn cancel_token() -> CancelToken {
    if let Some(token) = SCOPE.with(|scope| scope.borrow().clone()) {
        return token;
    }
    match with_current(|job| job.map(|job| job.token().clone())) {
        Some(token) => token,
        None => SCOPE.with(|scope| scope.borrow_mut().get_or_insert_default().clone()),
    }
}

/// Runs `f` with `token` as what [`cancel_token`] returns.
///
/// The scope is that of the calling coroutine or thread; coroutines spawned in `f` are not in it.
pub fn with_cancel_token<T>(token: &CancelToken, f: impl FnOnce() -> T) -> T {
    let _scope = Scope(SCOPE.with(|scope| scope.replace(Some(token.clone()))));
    f()
}

struct Scope(Option<CancelToken>);

impl Drop for Scope {
    fn drop(&mut self) {
        let own = SCOPE.with(|scope| std::mem::replace(&mut *scope.borrow_mut(), self.0.take()));
        drop(own);
    }
}
