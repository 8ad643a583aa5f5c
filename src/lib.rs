//! Stackful coroutines with hand-written context switches, a safe work-stealing scheduler, tickets
//! that correlate every wait with its completion, channels and select.

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("kcoro supports x86_64 and aarch64 Linux; this target has no context switch yet");

#[cfg(not(loom))]
#[allow(dead_code, unused_imports, reason = "the layers above land one by one")]
mod arch;
#[allow(clippy::disallowed_types, reason = "the lint sees through the names that prim re-exports")]
#[cfg_attr(loom, allow(dead_code, reason = "only its pure files are built under loom"))]
pub mod arena;
#[cfg(not(loom))]
#[allow(clippy::disallowed_types, reason = "the lint sees through the names that prim re-exports")]
pub mod cancel;
#[allow(clippy::disallowed_types, reason = "the lint sees through the names that prim re-exports")]
#[cfg_attr(loom, allow(dead_code, reason = "only its pure files are built under loom"))]
pub mod channel;
#[cfg(not(loom))]
#[allow(dead_code, unused_imports, reason = "the layers above land one by one")]
pub mod coroutine;
/// What the models of `channel` need of it.
#[cfg(all(test, loom))]
#[path = "../tests/loom/coroutine_stand_in.rs"]
mod coroutine;
pub mod error;
#[cfg_attr(loom, allow(dead_code, reason = "only its pure file is built under loom"))]
mod future;
#[cfg(not(loom))]
pub mod io;
#[cfg(not(loom))]
pub mod machine;
/// The file of `coroutine` that builds under loom.
#[cfg(loom)]
#[allow(dead_code, reason = "its callers do not build under loom")]
#[path = "coroutine/permit.rs"]
mod permit;
#[allow(dead_code, unused_imports)]
mod prim;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod raw;
#[cfg(not(loom))]
mod services;
#[cfg(not(loom))]
#[allow(dead_code, unused_imports, reason = "the layers above land one by one")]
mod stack;
#[cfg(not(loom))]
#[allow(dead_code, reason = "the layers above land one by one")]
mod sys;
#[allow(dead_code, unused_imports, reason = "the layers above land one by one")]
mod timer;
#[allow(dead_code, unused_imports, reason = "the layers above land one by one")]
pub mod token;

#[cfg(not(loom))]
pub mod runtime;
#[allow(dead_code, reason = "the layers above land one by one")]
mod sched;
#[cfg(not(loom))]
pub mod time;
#[cfg(any(not(loom), test))]
#[cfg_attr(loom, allow(dead_code))]
mod util;
#[cfg(not(loom))]
mod wait;

#[cfg(not(loom))]
pub use coroutine::{CoroutineRef, Unparker, current, park, unparker, yield_now};
#[cfg(not(loom))]
pub use future::{block_on, block_on_cancellable};
#[cfg(not(loom))]
pub use runtime::{Runtime, run};
#[cfg(not(loom))]
pub use sched::{
    Builder, JoinHandle, LocalJoinHandle, block_in_place, blocking, blocking_cancellable,
    cancel_token, join, spawn, spawn_local, with_cancel_token,
};
#[cfg(not(loom))]
pub use services::monster;
#[cfg(not(loom))]
pub use time::{sleep, sleep_cancellable, sleep_until, timeout};
#[cfg(not(loom))]
pub use wait::park_cancellable;

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
