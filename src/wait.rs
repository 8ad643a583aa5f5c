//! Parking that a token may end.

#![forbid(unsafe_code)]

use crate::cancel::CancelToken;
use crate::coroutine::{park, unparker};
use crate::error::Cancelled;

/// [`park`](crate::park), unless `token` is cancelled first.
///
/// A cancel that comes together with an unpark may leave a permit behind, so that the next park
/// returns at once: check the condition that you wait for in a loop, as with [`park`](crate::park).
///
/// # Errors
///
/// [`Cancelled`], also if an unpark came at the same time.
///
/// # Examples
///
/// ```
/// use kcoro::cancel::CancelToken;
///
/// let token = CancelToken::new();
/// kcoro::run(|| {
///     let inner = token.clone();
///     let parked = kcoro::spawn(move || kcoro::park_cancellable(&inner));
///     token.cancel_with(3);
///     assert_eq!(parked.join().unwrap().unwrap_err().0, 3.into());
/// });
/// ```
pub fn park_cancellable(token: &CancelToken) -> Result<(), Cancelled> {
    if !token.is_cancelled() {
        let me = unparker();
        let added = Added(Some(token.on_cancel(move |_| me.unpark())));
        park();
        drop(added);
    }
    Cancelled::check(token.is_cancelled().then(|| token.reason().unwrap_or_default()))
}

/// A callback that is taken back also if the coroutine is unwound.
struct Added(Option<crate::cancel::OnCancel>);

impl Drop for Added {
    fn drop(&mut self) {
        if let Some(added) = self.0.take() {
            added.remove();
        }
    }
}
