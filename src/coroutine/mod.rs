//! Coroutines: generators, tasks that are driven by hand, and what scheduled ones are made of.
//!
//! * [`Coroutine`] is a generator: resumed with a value, it suspends with a value. It needs nothing
//!   but a stack and costs about an empty call for each pair of switches.
//! * [`Task`] is a coroutine with a life of its own but without a scheduler: its owner resumes it.
//! * Coroutines spawned on a runtime share [`park`], [`yield_now`], [`unparker`] and [`current`].
//!
//! Started coroutines never change threads, unless their spawner has promised that they may
//! ([`Builder::migratable`](crate::Builder::migratable)). What that buys, and what remains dangerous
//! all the same, is written in `docs/SAFETY.md`.

mod control;
mod core;
mod entry;
mod generator;
mod hooks;
mod local;
mod migrate;
mod park;
mod permit;
pub(crate) mod sched;
#[cfg(not(feature = "tracing"))]
#[path = "no_spans.rs"]
mod spans;
#[cfg(feature = "tracing")]
mod spans;
mod state;
mod task;
mod unparker;
mod watch;

use std::panic::Location;
use std::sync::Arc;

pub(crate) use control::ControlRef;
pub(crate) use core::{
    Core, HANDOFF_BUDGET, SWITCH_BUDGET, Schedule, core, core_or_make, here, id_without_core,
};
pub use generator::{Coroutine, CoroutineBuilder, CoroutineState, Yielder};
pub(crate) use hooks::SwitchHooks;
pub use local::LocalKey;
pub(crate) use local::{Inherited, adopt, inherit};
pub(crate) use migrate::Migrant;
pub(crate) use park::{current_waiter, finish_wake, is_forced_unwind, wait_for_wake};
pub use park::{park, yield_now};
pub use state::{State, WaitReason};
pub use task::{Task, TaskBuilder, yield_to};
pub use unparker::{Unparker, unparker};
pub(crate) use watch::{Glance, Watch};

pub use crate::stack::{Stats as StackStats, stats as stack_stats};

/// What can be said about the running coroutine.
#[derive(Debug, Clone)]
pub struct CoroutineRef {
    id: u64,
    name: Option<Arc<str>>,
    location: &'static Location<'static>,
}

impl CoroutineRef {
    /// A number that no other coroutine of the process has or had.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was spawned or created.
    #[must_use]
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.location
    }
}

/// The running coroutine, or `None` on a plain thread. Within a generator it is the coroutine that
/// resumed it.
///
/// # Examples
///
/// ```
/// use kcoro::coroutine::{self, Task};
///
/// assert!(coroutine::current().is_none());
/// let task = Task::builder().name("me").build(|| {
///     assert_eq!(coroutine::current().unwrap().name(), Some("me"));
/// })?;
/// task.resume().unwrap();
/// # Ok::<(), kcoro::error::StackError>(())
/// ```
#[must_use]
pub fn current() -> Option<CoroutineRef> {
    let me = core().and_then(Core::current)?;
    Some(CoroutineRef { id: me.id(), name: me.name(), location: me.location() })
}
