//! Payload channels in a select: the arms of the channel inside, and the count of what they did.

#![forbid(unsafe_code)]

use super::super::select::{Arm, Operation, Place, RecvArm, Sealed, SendArm};
use super::{ZrefReceiver, ZrefSender};
use crate::arena::Payload;
use crate::error::{RecvError, SendError};
use std::fmt;

/// Receives the next payload; made by [`ZrefReceiver::arm`].
pub struct ZrefRecvArm<'a> {
    arm: RecvArm<'a, Payload>,
    receiver: &'a ZrefReceiver,
}

impl<'a> ZrefRecvArm<'a> {
    pub(super) fn new(receiver: &'a ZrefReceiver) -> ZrefRecvArm<'a> {
        ZrefRecvArm { arm: receiver.rx.arm(), receiver }
    }
}

/// Sends a payload; made by [`ZrefSender::arm`].
pub struct ZrefSendArm<'a> {
    arm: SendArm<'a, Payload>,
    sender: &'a ZrefSender,
    length: usize,
}

impl<'a> ZrefSendArm<'a> {
    pub(super) fn new(sender: &'a ZrefSender, payload: Payload) -> ZrefSendArm<'a> {
        ZrefSendArm { length: payload.len(), arm: sender.tx.arm(payload), sender }
    }

    /// The payload, if it was not sent.
    pub fn unsent(&mut self) -> Option<Payload> {
        self.arm.unsent()
    }
}

macro_rules! operation {
    ($name:ident) => {
        impl Sealed for $name<'_> {}

        impl Operation for $name<'_> {
            #[inline]
            fn try_now(&mut self) -> bool {
                self.arm.try_now()
            }

            fn enlist(&mut self, place: Place) -> bool {
                self.arm.enlist(place)
            }

            fn leave(&mut self) {
                self.arm.leave();
            }

            fn chosen(&mut self) -> bool {
                self.arm.chosen()
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "Zref{:?}", self.arm)
            }
        }
    };
}

operation!(ZrefRecvArm);
operation!(ZrefSendArm);

impl Arm for ZrefRecvArm<'_> {
    type Output = Result<Payload, RecvError>;

    fn take(&mut self) -> Result<Payload, RecvError> {
        self.receiver.note(self.arm.take())
    }
}

impl Arm for ZrefSendArm<'_> {
    type Output = Result<(), SendError<Payload>>;

    fn take(&mut self) -> Result<(), SendError<Payload>> {
        let outcome = self.arm.take();
        self.sender.tally.count(self.length, outcome.is_ok());
        outcome
    }
}
