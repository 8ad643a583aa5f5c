//! What a channel does when it is full, and with a value that nobody will receive.

#![forbid(unsafe_code)]

use crate::util::Panics;
use std::fmt;

/// What a send does when the channel has no room for the value.
///
/// On a channel of capacity 0 "no room" means that no receiver waits, and there is no oldest value:
/// both drop policies drop the one that was offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Overflow {
    /// It waits.
    #[default]
    Suspend,
    /// It takes the place of the oldest value, which goes to the undelivered hook. Never waits.
    DropOldest,
    /// The value itself goes to the undelivered hook. Never waits.
    DropLatest,
    /// It fails and gives the value back. Never waits.
    Fail,
}

/// What the user wants done with values that nobody will receive.
pub(super) type Hook<T> = Box<dyn Fn(T) + Send + Sync>;

/// The undelivered hook, or none.
pub(super) struct Undelivered<T>(pub(super) Option<Hook<T>>);

impl<T> Undelivered<T> {
    /// Hands `value` to the hook, or drops it. Either is code of the user's: no lock may be held.
    pub(super) fn one(&self, value: T) {
        match &self.0 {
            Some(hook) => hook(value),
            None => drop(value),
        }
    }

    /// Hands over all values that `next` gives. A hook or `Drop` that panics does not keep the others
    /// from their turn.
    pub(super) fn all(&self, mut next: impl FnMut() -> Option<T>, panics: &mut Panics) {
        while let Some(value) = next() {
            panics.catch(|| self.one(value));
        }
    }
}

impl<T> fmt::Debug for Undelivered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Undelivered(hook)" } else { "Undelivered(drop)" })
    }
}
