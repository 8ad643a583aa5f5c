//! Time for waits: which of a worker's waits has a deadline, and when the next one falls due.
//!
//! Each worker owns one [`Wheel`]; nothing here is shared, locked or knows who waits. A deadline is
//! nanoseconds of `CLOCK_MONOTONIC` ([`crate::sys::clock`]), the payload is a ticket, and what fell
//! due is handed to the caller, who claims the ticket and wakes its owner.

#[cfg(not(loom))]
mod timers;
mod wheel;

#[cfg(test)]
mod tests;

#[cfg(not(loom))]
pub(crate) use timers::{CLOCK, Timers, deadline, park_deadline};
pub(crate) use wheel::{FOREVER, Progress, TimerKey, Wheel};
