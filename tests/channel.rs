//! Channels: one suite of the same names for every kind, and what only some kinds have.

#![allow(clippy::disallowed_types, reason = "a test has no loom build")]

#[path = "channel/support.rs"]
mod support;

#[path = "channel/limits.rs"]
#[macro_use]
mod limits;

#[path = "channel/suite.rs"]
#[macro_use]
mod suite;

#[path = "channel/extras.rs"]
mod extras;

#[path = "channel/overflow.rs"]
mod overflow;

suite!(rendezvous, kcoro::channel::rendezvous, Some(0));
suite!(bounded_1, || kcoro::channel::bounded(1), Some(1));
suite!(bounded_3, || kcoro::channel::bounded(3), Some(3));
suite!(bounded_64, || kcoro::channel::bounded(64), Some(64));
suite!(unbounded, kcoro::channel::unbounded, None);
