//! The arms of a select: receive, send, time, cancel, any future.

use super::operation::{Arm, Operation, Place, Sealed};
use crate::cancel::{CancelToken, Cancelled, Registration};
use crate::channel::node::Node;
use crate::channel::shared::{Shared, Side};
use crate::channel::{Receiver, Sender};
use crate::error::{CancelReason, RecvError, SendError};
use crate::prim::{Arc, Mutex};
use crate::token::Outcome;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Receives the next value; made by [`Receiver::arm`](crate::channel::Receiver::arm).
pub struct RecvArm<'a, T> {
    shared: &'a Shared<T>,
    node: Node<T>,
    /// In a select: a partner may unlink the node, and give it a value.
    enlisted: bool,
}

/// Sends a value; made by [`Sender::arm`](crate::channel::Sender::arm).
pub struct SendArm<'a, T> {
    shared: &'a Shared<T>,
    node: Node<T>,
    /// In a select: a partner may unlink the node, and give it a value.
    enlisted: bool,
}

macro_rules! channel_operation {
    ($name:ident, $side:expr) => {
        impl<T> Sealed for $name<'_, T> {}

        impl<T> Operation for $name<'_, T> {
            #[inline]
            fn try_now(&mut self) -> bool {
                self.shared.try_now(&self.node, $side)
            }

            fn enlist(&mut self, place: Place) -> bool {
                // SAFETY: `choose` borrows the arm until it returns or unwinds, and calls `leave`
                // before that if the arm was not chosen; if it was, a partner has unlinked it.
                self.enlisted = unsafe { self.shared.enlist(&self.node, $side, place) };
                self.enlisted
            }

            fn leave(&mut self) {
                if std::mem::take(&mut self.enlisted) {
                    self.shared.abandon(&self.node, $side);
                }
            }

            fn chosen(&mut self) -> bool {
                self.enlisted = false;
                true
            }
        }

        impl<T> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.shared)
            }
        }
    };
}

channel_operation!(RecvArm, Side::Recv);
channel_operation!(SendArm, Side::Send);

impl<T> RecvArm<'_, T> {
    fn value(&mut self) -> Option<T> {
        // SAFETY: no select is under way, so the node is not linked and is the arm's own.
        unsafe { self.node.cell() }.take()
    }
}

impl<T> Arm for RecvArm<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn take(&mut self) -> Result<T, RecvError> {
        self.value().ok_or_else(|| self.shared.recv_failed())
    }
}

impl<T> SendArm<'_, T> {
    /// The value, if it was not sent.
    pub fn unsent(&mut self) -> Option<T> {
        // SAFETY: no select is under way, so the node is not linked and is the arm's own.
        unsafe { self.node.cell() }.take()
    }
}

impl<T> Arm for SendArm<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn take(&mut self) -> Result<(), SendError<T>> {
        match self.unsent() {
            None => Ok(()),
            Some(value) => Err(self.shared.send_failed(value)),
        }
    }
}

/// Is ready at a point in time; made by [`after`].
#[derive(Clone, Copy, Debug)]
pub struct AfterArm(Option<Instant>);

/// An arm that is ready after `duration`: `_ = after(duration) =>` in `select!`. One that is too
/// long for the clock never is.
#[must_use]
pub fn after(duration: Duration) -> AfterArm {
    AfterArm(Instant::now().checked_add(duration))
}

impl Sealed for AfterArm {}

impl Operation for AfterArm {
    fn try_now(&mut self) -> bool {
        self.0.is_some_and(|deadline| deadline <= Instant::now())
    }

    fn enlist(&mut self, _: Place) -> bool {
        !self.try_now()
    }

    fn leave(&mut self) {}

    fn deadline(&self) -> Option<Instant> {
        self.0
    }
}

impl Arm for AfterArm {
    type Output = ();

    fn take(&mut self) {}
}

/// Is ready when a token is cancelled.
#[derive(Debug)]
pub struct CancelArm<'a> {
    token: &'a CancelToken,
    registration: Option<Registration<'a>>,
}

/// For `select!`.
#[doc(hidden)]
pub fn cancel_arm<'a>(cancelled: &Cancelled<'a>) -> CancelArm<'a> {
    CancelArm { token: cancelled.token(), registration: None }
}

impl Sealed for CancelArm<'_> {}

impl Operation for CancelArm<'_> {
    fn try_now(&mut self) -> bool {
        self.token.is_cancelled()
    }

    fn enlist(&mut self, place: Place) -> bool {
        let outcome = Outcome::Ready(place.arm);
        self.registration = self.token.register(place.slot, place.generation, outcome);
        self.registration.is_some()
    }

    fn leave(&mut self) {
        self.registration = None;
    }
}

impl Arm for CancelArm<'_> {
    type Output = CancelReason;

    fn take(&mut self) -> CancelReason {
        self.registration = None;
        self.token.reason().unwrap_or_default()
    }
}

/// Is ready when a future is. A wait allocates its waker.
pub struct FutureArm<'a, F: Future> {
    future: Pin<&'a mut F>,
    output: Option<F::Output>,
    waker: Option<Arc<ArmWaker>>,
}

/// For `select!`.
#[doc(hidden)]
pub fn future_arm<F: Future>(future: Pin<&mut F>) -> FutureArm<'_, F> {
    FutureArm { future, output: None, waker: None }
}

/// Chooses an arm of the select that is enlisted, or remembers that it was called before.
struct ArmWaker(Mutex<Call>);

enum Call {
    /// Nobody is enlisted, and it was not called since the last poll.
    Awaited,
    /// It was called before the arm was enlisted.
    Came,
    Enlisted(Place),
}

impl Wake for ArmWaker {
    fn wake(self: Arc<ArmWaker>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<ArmWaker>) {
        let before = std::mem::replace(&mut *self.0.lock(), Call::Came);
        if let Call::Enlisted(Place { slot, generation, arm, .. }) = before
            && let Some(claim) = slot.claim(generation, Outcome::Ready(arm))
        {
            claim.wake();
        }
    }
}

impl<F: Future> FutureArm<'_, F> {
    fn poll(&mut self, waker: &Waker) -> bool {
        if self.output.is_none()
            && let Poll::Ready(output) = self.future.as_mut().poll(&mut Context::from_waker(waker))
        {
            self.output = Some(output);
        }
        self.output.is_some()
    }
}

impl<F: Future> Sealed for FutureArm<'_, F> {}

impl<F: Future> Operation for FutureArm<'_, F> {
    fn try_now(&mut self) -> bool {
        self.poll(Waker::noop())
    }

    fn prepare(&mut self) -> bool {
        let waker = self.waker.get_or_insert_with(|| Arc::new(ArmWaker(Mutex::new(Call::Awaited))));
        *waker.0.lock() = Call::Awaited;
        let waker = Waker::from(Arc::clone(waker));
        self.poll(&waker)
    }

    fn enlist(&mut self, place: Place) -> bool {
        let waker = self.waker.as_ref().expect("it was prepared");
        let mut call = waker.0.lock();
        let awaited = matches!(*call, Call::Awaited);
        if awaited {
            *call = Call::Enlisted(place);
        }
        awaited
    }

    fn leave(&mut self) {
        if let Some(waker) = &self.waker {
            *waker.0.lock() = Call::Awaited;
        }
    }

    fn chosen(&mut self) -> bool {
        self.leave();
        self.try_now()
    }
}

impl<F: Future> Arm for FutureArm<'_, F> {
    type Output = F::Output;

    fn take(&mut self) -> F::Output {
        self.output.take().expect("the arm was not chosen")
    }
}

impl<F: Future> fmt::Debug for FutureArm<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureArm").field("ready", &self.output.is_some()).finish_non_exhaustive()
    }
}

impl<T> Receiver<T> {
    /// An arm for a [`Select`](super::Select).
    #[must_use]
    pub fn arm(&self) -> RecvArm<'_, T> {
        RecvArm { shared: self.shared(), node: Node::new(None), enlisted: false }
    }
}

impl<T> Sender<T> {
    /// An arm for a [`Select`](super::Select); it keeps the value unless it is chosen.
    #[must_use]
    pub fn arm(&self, value: T) -> SendArm<'_, T> {
        SendArm { shared: self.shared(), node: Node::new(Some(value)), enlisted: false }
    }
}

impl<'a> Cancelled<'a> {
    /// An arm for a [`Select`](super::Select).
    #[must_use]
    pub fn arm(&self) -> CancelArm<'a> {
        cancel_arm(self)
    }
}
