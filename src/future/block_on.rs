//! Waiting for a future on the stack of a coroutine or a thread.

#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::signal::Signal;
use crate::cancel::CancelToken;
use crate::coroutine::WaitReason;
use crate::error::Cancelled;
use crate::token::{Outcome, Ticket, Wait};

struct Polled(Signal);

impl Wake for Polled {
    fn wake(self: Arc<Polled>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Polled>) {
        if let Some(ticket) = self.0.notify()
            && let Some(claim) = Ticket::from_raw(ticket).claim(Outcome::Ready(0))
        {
            claim.wake();
        }
    }
}

impl Polled {
    fn wait(self: &Arc<Polled>) {
        let wait = Wait::begin_for(WaitReason::Future, Arc::as_ptr(self).addr());
        if self.0.announce(wait.ticket().into_raw()) {
            wait.park();
            self.0.consume();
        } else if let Err(claimed) = wait.retract() {
            // Nobody was told of it, so nobody can have claimed it.
            claimed.park();
        }
    }
}

/// Runs `future` to its end and returns its output. In a coroutine only the coroutine waits, on a
/// plain thread the thread.
///
/// Futures that need their own executor (tokio's timers and sockets) are made while that is entered,
/// as with `tokio::runtime::Handle::enter`. Drop such a guard before waiting: it is the thread's,
/// and other coroutines would see it.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = futures::channel::oneshot::channel();
/// kcoro::run(|| {
///     let waiting = kcoro::spawn(|| kcoro::block_on(receiver));
///     sender.send(7).unwrap();
///     assert_eq!(waiting.join().unwrap(), Ok(7));
/// });
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let polled = Arc::new(Polled(Signal::new()));
    let waker = Waker::from(Arc::clone(&polled));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => polled.wait(),
        }
    }
}

/// [`block_on`], unless `token` is cancelled first; the future is dropped then.
///
/// # Errors
///
/// [`Cancelled`]. A token that is cancelled comes before an output that is there.
///
/// # Examples
///
/// ```
/// use kcoro::cancel::CancelToken;
///
/// let token = CancelToken::new();
/// kcoro::run(|| {
///     let mine = token.clone();
///     let waiting = kcoro::spawn(move || {
///         kcoro::block_on_cancellable(std::future::pending::<()>(), &mine)
///     });
///     token.cancel_with(2);
///     assert_eq!(waiting.join().unwrap().unwrap_err().0, 2.into());
/// });
/// ```
pub fn block_on_cancellable<F: Future>(
    future: F,
    token: &CancelToken,
) -> Result<F::Output, Cancelled> {
    let (mut future, mut cancelled) = (pin!(future), pin!(token.cancelled()));
    block_on(poll_fn(|context| match cancelled.as_mut().poll(context) {
        Poll::Ready(reason) => Poll::Ready(Err(Cancelled(reason))),
        Poll::Pending => future.as_mut().poll(context).map(Ok),
    }))
}
