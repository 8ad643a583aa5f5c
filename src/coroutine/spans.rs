//! `tracing` spans that follow a coroutine: left when it parks, entered again when it goes on.
//!
//! Entered spans are kept by the thread. Without this, a span that a coroutine had entered would
//! stay entered for whoever runs next on the worker.
//!
//! # Invariants
//!
//! 1. What [`leave`] left, [`enter`] enters again in the same order, on the same thread.
//!
//! # Who calls this, and what it may call
//!
//! The switch of scheduled coroutines, on both sides. A hand-driven task shares its driver's spans.

use tracing::dispatcher::get_default;
use tracing::span::Id;

/// Spans that a coroutine had entered when it stopped running, innermost first.
#[derive(Debug)]
pub(super) struct Left(Vec<Id>);

/// More spans than anybody nests; a subscriber that does not pop what is left ends here.
const DEEPEST: usize = 1024;

/// Leaves every span that is entered on this thread.
pub(super) fn leave() -> Left {
    let mut left = Vec::new();
    get_default(|dispatch| {
        while left.len() < DEEPEST
            && let Some(id) = dispatch.current_span().id().cloned()
        {
            dispatch.exit(&id);
            left.push(id);
        }
    });
    Left(left)
}

/// Enters again what [`leave`] left.
pub(super) fn enter(left: Left) {
    if !left.0.is_empty() {
        get_default(|dispatch| left.0.iter().rev().for_each(|id| dispatch.enter(id)));
    }
}
