//! The verbs that the ends of several kinds share, written once with their documentation.
//!
//! An end brings what is its own: a send or a receive with [`Limits`]. From it come the forms with a timeout, a deadline, a cancel token and both; the looks at a channel;
//! the iterators. `[&self]` or `[&mut self]` says how an end is used.
//!
//! [`Limits`]: super::wait::Limits

/// From `send_limited`, of values of type `$value`.
macro_rules! limited_sends {
    ($self:ident, [$($this:tt)+], $value:ty) => {
        /// Sends `value`, waiting for `timeout` at most; zero tries.
        ///
        /// # Errors
        ///
        /// The time is up, or as without a timeout: the value comes back.
        #[inline(always)]
        pub fn send_timeout(
            $($this)+,
            value: $value,
            timeout: std::time::Duration,
        ) -> Result<(), $crate::error::SendTimeoutError<$value>> {
            $self.send_until(value, $crate::channel::deadline::after(timeout))
        }

        /// Sends `value`, waiting until `deadline` at most; one that has passed tries.
        ///
        /// # Errors
        ///
        /// The deadline has passed, or as without a deadline: the value comes back.
        #[inline(always)]
        pub fn send_deadline(
            $($this)+,
            value: $value,
            deadline: std::time::Instant,
        ) -> Result<(), $crate::error::SendTimeoutError<$value>> {
            $self.send_until(value, $crate::channel::deadline::at(deadline))
        }

        #[inline(always)]
        fn send_until(
            $($this)+,
            value: $value,
            deadline: Option<u64>,
        ) -> Result<(), $crate::error::SendTimeoutError<$value>> {
            use $crate::channel::shared::End;
            use $crate::error::SendTimeoutError;
            let limits = $crate::channel::wait::Limits { deadline, cancel: None };
            $self.send_limited(value, limits).map_err(|(value, end)| match end {
                End::TimedOut => SendTimeoutError::Timeout(value),
                End::Refused => SendTimeoutError::Full(value),
                _ => SendTimeoutError::Closed(value),
            })
        }

        /// Sends `value`, unless `token` is cancelled before it is sent.
        ///
        /// A cancel that comes when the value is already with a receiver has no effect on this call.
        ///
        /// # Errors
        ///
        /// The token is cancelled, or as without a token: the value comes back.
        pub fn send_cancellable(
            $($this)+,
            value: $value,
            token: &$crate::cancel::CancelToken,
        ) -> Result<(), $crate::error::SendCancelError<$value>> {
            $self.send_cancel_limited(value, token, None)
        }

        /// Sends `value`, unless `token` is cancelled or `timeout` is over before it is sent.
        ///
        /// # Errors
        ///
        /// The token is cancelled (this comes first), the time is up, or as without either: the
        /// value comes back.
        pub fn send_timeout_cancellable(
            $($this)+,
            value: $value,
            timeout: std::time::Duration,
            token: &$crate::cancel::CancelToken,
        ) -> Result<(), $crate::error::SendCancelError<$value>> {
            let deadline = $crate::channel::deadline::after(timeout);
            $self.send_cancel_limited(value, token, deadline)
        }

        /// Sends `value`, unless `token` is cancelled or `deadline` passes before it is sent.
        ///
        /// # Errors
        ///
        /// As [`send_timeout_cancellable`](Self::send_timeout_cancellable).
        pub fn send_deadline_cancellable(
            $($this)+,
            value: $value,
            deadline: std::time::Instant,
            token: &$crate::cancel::CancelToken,
        ) -> Result<(), $crate::error::SendCancelError<$value>> {
            $self.send_cancel_limited(value, token, $crate::channel::deadline::at(deadline))
        }

        fn send_cancel_limited(
            $($this)+,
            value: $value,
            token: &$crate::cancel::CancelToken,
            deadline: Option<u64>,
        ) -> Result<(), $crate::error::SendCancelError<$value>> {
            use $crate::channel::shared::End;
            use $crate::error::SendCancelError;
            let limits = $crate::channel::wait::Limits { deadline, cancel: Some(token) };
            $self.send_limited(value, limits).map_err(|(value, end)| match end {
                End::Cancelled => SendCancelError::Cancelled(value),
                End::TimedOut => SendCancelError::Timeout(value),
                End::Refused => SendCancelError::Full(value),
                _ => SendCancelError::Closed(value),
            })
        }
    };
}
pub(in crate::channel) use limited_sends;

/// From a call with limits, which gives `$value`: the five limited forms of it, by their names.
macro_rules! limited_waits {
    (
        $self:ident, [$($this:tt)+], $value:ty, $what:literal,
        $limited:ident => $timeout:ident $deadline:ident $cancellable:ident
        $timeout_cancellable:ident $deadline_cancellable:ident
    ) => {
        #[doc = concat!($what, ", waiting for `timeout` at most; zero tries.")]
        ///
        /// # Errors
        ///
        /// The time is up, or as without a timeout.
        #[inline(always)]
        pub fn $timeout(
            $($this)+,
            timeout: std::time::Duration,
        ) -> Result<$value, $crate::error::RecvTimeoutError> {
            let deadline = $crate::channel::deadline::after(timeout);
            let limits = $crate::channel::wait::Limits { deadline, cancel: None };
            $self.$limited(limits).map_err(|end| end.timeout_error())
        }

        #[doc = concat!($what, ", waiting until `deadline` at most; one that has passed tries.")]
        ///
        /// # Errors
        ///
        /// The deadline has passed, or as without a deadline.
        #[inline(always)]
        pub fn $deadline(
            $($this)+,
            deadline: std::time::Instant,
        ) -> Result<$value, $crate::error::RecvTimeoutError> {
            let deadline = $crate::channel::deadline::at(deadline);
            let limits = $crate::channel::wait::Limits { deadline, cancel: None };
            $self.$limited(limits).map_err(|end| end.timeout_error())
        }

        #[doc = concat!($what, ", unless `token` is cancelled before.")]
        ///
        /// What has come is returned even if the token is cancelled in the same moment.
        ///
        /// # Errors
        ///
        /// The token is cancelled, or as without a token.
        pub fn $cancellable(
            $($this)+,
            token: &$crate::cancel::CancelToken,
        ) -> Result<$value, $crate::error::RecvCancelError> {
            let limits = $crate::channel::wait::Limits { deadline: None, cancel: Some(token) };
            $self.$limited(limits).map_err(|end| end.cancel_error())
        }

        #[doc = concat!($what, ", unless `token` is cancelled or `timeout` is over before.")]
        ///
        /// # Errors
        ///
        /// The token is cancelled (this comes first), the time is up, or as without either.
        pub fn $timeout_cancellable(
            $($this)+,
            timeout: std::time::Duration,
            token: &$crate::cancel::CancelToken,
        ) -> Result<$value, $crate::error::RecvCancelError> {
            let deadline = $crate::channel::deadline::after(timeout);
            let limits = $crate::channel::wait::Limits { deadline, cancel: Some(token) };
            $self.$limited(limits).map_err(|end| end.cancel_error())
        }

        #[doc = concat!($what, ", unless `token` is cancelled or `deadline` passes before.")]
        ///
        /// # Errors
        ///
        /// The token is cancelled (this comes first), the deadline has passed, or as without either.
        pub fn $deadline_cancellable(
            $($this)+,
            deadline: std::time::Instant,
            token: &$crate::cancel::CancelToken,
        ) -> Result<$value, $crate::error::RecvCancelError> {
            let deadline = $crate::channel::deadline::at(deadline);
            let limits = $crate::channel::wait::Limits { deadline, cancel: Some(token) };
            $self.$limited(limits).map_err(|end| end.cancel_error())
        }
    };
}
pub(in crate::channel) use limited_waits;

/// [`limited_waits`] of a receive: from `recv_limited`.
macro_rules! limited_recvs {
    ($self:ident, [$($this:tt)+], $value:ty) => {
        $crate::channel::verbs::limited_waits! {
            $self, [$($this)+], $value, "Receives the next value",
            recv_limited => recv_timeout recv_deadline recv_cancellable
            recv_timeout_cancellable recv_deadline_cancellable
        }
    };
}
pub(in crate::channel) use limited_recvs;

/// Looks at the channel behind `$field`, which has the same methods.
macro_rules! looks {
    ($field:ident) => {
        /// Whether the channel is closed; something may be left in it.
        #[must_use]
        pub fn is_closed(&self) -> bool {
            self.$field.is_closed()
        }

        /// Values in the buffer at this moment; those of waiting senders do not count.
        #[must_use]
        pub fn len(&self) -> usize {
            self.$field.len()
        }

        /// Whether the buffer is empty at this moment.
        #[must_use]
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Whether the buffer is full at this moment; at a rendezvous it always is.
        #[must_use]
        pub fn is_full(&self) -> bool {
            self.capacity().is_some_and(|capacity| self.len() >= capacity)
        }

        /// How many values the buffer holds; `None` without a bound.
        #[must_use]
        pub fn capacity(&self) -> Option<usize> {
            self.$field.capacity()
        }
    };
}
pub(in crate::channel) use looks;

/// What iterates over the values of a receiver, and how one comes by it. `[T]` are the type's
/// parameters; `[mut]`: it is borrowed mutably.
macro_rules! iterators {
    ([$($T:ident)?] $receiver:ty, $value:ty, [$($mut:ident)?]) => {
        /// Receives until the channel is closed and empty, waiting for each value.
        #[derive(Debug)]
        pub struct Iter<'a $(, $T)?> {
            receiver: &'a $($mut)? $receiver,
        }

        impl<$($T)?> Iterator for Iter<'_ $(, $T)?> {
            type Item = $value;

            #[inline(always)]
            fn next(&mut self) -> Option<$value> {
                self.receiver.recv().ok()
            }
        }

        impl<$($T)?> std::iter::FusedIterator for Iter<'_ $(, $T)?> {}

        /// Receives what is there, and ends when nothing is.
        #[derive(Debug)]
        pub struct TryIter<'a $(, $T)?> {
            receiver: &'a $($mut)? $receiver,
        }

        impl<$($T)?> Iterator for TryIter<'_ $(, $T)?> {
            type Item = $value;

            #[inline]
            fn next(&mut self) -> Option<$value> {
                self.receiver.try_recv().ok()
            }
        }

        /// What `for value in receiver` iterates with: it owns the receiver.
        #[derive(Debug)]
        pub struct IntoIter<$($T)?> {
            receiver: $receiver,
        }

        impl<$($T)?> Iterator for IntoIter<$($T)?> {
            type Item = $value;

            #[inline(always)]
            fn next(&mut self) -> Option<$value> {
                self.receiver.recv().ok()
            }
        }

        impl<$($T)?> std::iter::FusedIterator for IntoIter<$($T)?> {}

        impl<$($T)?> IntoIterator for $receiver {
            type Item = $value;
            type IntoIter = IntoIter<$($T)?>;

            fn into_iter(self) -> IntoIter<$($T)?> {
                IntoIter { receiver: self }
            }
        }

        impl<'a $(, $T)?> IntoIterator
            for &'a $($mut)? $receiver
        {
            type Item = $value;
            type IntoIter = Iter<'a $(, $T)?>;

            fn into_iter(self) -> Iter<'a $(, $T)?> {
                self.iter()
            }
        }

        impl<$($T)?> $receiver {
            /// Receives until the channel is closed and empty, waiting for each value.
            #[must_use]
            pub fn iter(&$($mut)? self) -> Iter<'_ $(, $T)?> {
                Iter { receiver: self }
            }

            /// Receives what is there, and ends when nothing is.
            #[must_use]
            pub fn try_iter(&$($mut)? self) -> TryIter<'_ $(, $T)?> {
                TryIter { receiver: self }
            }
        }
    };
}
pub(in crate::channel) use iterators;
