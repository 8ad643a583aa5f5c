//! The runtime under load: races, lives and deaths, fairness, and processes that end in the middle.
//!
//! Every test that can hang has a watchdog, which says what the live coroutines wait for. Counts are
//! a hundredth in a build that is not optimised.

#[path = "stress/dump.rs"]
mod dump;
#[path = "stress/fairness.rs"]
mod fairness;
#[path = "stress/lives.rs"]
mod lives;
#[path = "stress/processes.rs"]
mod processes;
#[path = "stress/races.rs"]
mod races;
mod scale;
#[path = "stress/support.rs"]
mod support;
mod watchdog;
