//! A join handle as a future.
//!
//! # Invariants
//!
//! 1. While `polling` is set, the job's waiter cell names that wait, or the job is done.
//! 2. The registration is withdrawn before its wait goes, and before the handle waits otherwise.
//!
//! # Who calls this, and what it may call
//!
//! Executors of any kind, on any thread.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::job::JobResult;
use super::join::JoinHandle;
use crate::token::AsyncWait;

/// Awaits the end of the coroutine, from a task of any executor. The result is that of
/// [`join`](JoinHandle::join).
///
/// Dropping the handle detaches the coroutine, polled or not.
impl<T: Send> Future for JoinHandle<T> {
    type Output = JobResult<T>;

    /// # Panics
    ///
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<JobResult<T>> {
        if self.polling.is_none() {
            if self.is_finished() {
                return Poll::Ready(self.take());
            }
            let wait = Box::new(AsyncWait::begin());
            if !self.register(&wait) {
                return Poll::Ready(self.take());
            }
            self.polling = Some(wait);
        }
        let wait = self.polling.as_mut().expect("just set");
        match wait.poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => {
                self.polling = None;
                Poll::Ready(self.take())
            }
        }
    }
}
