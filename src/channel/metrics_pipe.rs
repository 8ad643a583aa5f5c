//! A channel's figures as a channel of their own: one event each period.
//!
//! # Invariants
//!
//! 1. A pipe keeps neither the channel nor its ends alive; when the channel has gone, the pipe closes.
//! 2. A reader that is slow loses the oldest events, never the channel's time.
//!
//! # Who calls this, and what it may call
//!
//! The kernel's thread makes the events; anybody receives them.

#![forbid(unsafe_code)]

use super::builder::builder;
use super::metrics::{Rate, Snapshot};
use super::policy::Overflow;
use super::shared::Shared;
use super::{Receiver, Sender};
use crate::prim::{Arc, Mutex};
use crate::token::{Chore, Kernel, KernelGuard};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Weak;
use std::time::Duration;

/// How often a [`MetricsPipe`] reports, and how many events it holds.
///
/// # Examples
///
/// ```
/// use kcoro::channel::MetricsConfig;
/// use std::time::Duration;
///
/// let config = MetricsConfig::new().period(Duration::from_millis(100)).capacity(32);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct MetricsConfig {
    period: Duration,
    capacity: usize,
}

impl MetricsConfig {
    /// One event a second, the last 16 of them kept.
    pub fn new() -> MetricsConfig {
        MetricsConfig { period: Duration::from_secs(1), capacity: 16 }
    }

    /// Reports every `period`, at most a thousand times a second.
    pub fn period(mut self, period: Duration) -> MetricsConfig {
        self.period = period.max(Duration::from_millis(1));
        self
    }

    /// Keeps up to `events` that nobody has received yet, at least one; the oldest fall out.
    pub fn capacity(mut self, events: usize) -> MetricsConfig {
        self.capacity = events.max(1);
        self
    }
}

impl Default for MetricsConfig {
    fn default() -> MetricsConfig {
        MetricsConfig::new()
    }
}

/// A channel's figures at one moment, and what happened since the event before.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MetricsEvent {
    /// The figures.
    pub snapshot: Snapshot,
    /// What happened per second since the last event, or since the pipe was made.
    pub rate: Rate,
}

/// The receiving end of periodic [`MetricsEvent`]s; the events end when it is dropped.
///
/// It is a [`Receiver`], and closes when the channel that it reports on has gone.
pub struct MetricsPipe {
    events: Receiver<MetricsEvent>,
    _chore: Chore,
    _kernel: KernelGuard,
}

impl Deref for MetricsPipe {
    type Target = Receiver<MetricsEvent>;

    fn deref(&self) -> &Receiver<MetricsEvent> {
        &self.events
    }
}

impl fmt::Debug for MetricsPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MetricsPipe").field(&self.events).finish()
    }
}

/// What the chore works with: the way out, and the figures of the last event.
struct Reporter<T> {
    channel: Weak<Shared<T>>,
    out: Mutex<Option<(Sender<MetricsEvent>, Snapshot)>>,
}

impl<T> Reporter<T> {
    fn report(&self) {
        let mut out = self.out.lock();
        let Some((events, before)) = &mut *out else { return };
        let Some(channel) = self.channel.upgrade() else {
            // The channel has gone: dropping the only sender closes the pipe.
            let last = out.take();
            drop(out);
            return drop(last);
        };
        let snapshot = channel.snapshot();
        drop(channel);
        let rate = snapshot.rate_since(before);
        *before = snapshot;
        // The oldest falls out where there is no room, so this neither waits nor fails.
        let _ = events.try_send(MetricsEvent { snapshot, rate });
    }
}

/// Starts the reports on a channel.
pub(super) fn pipe<T: Send + 'static>(
    channel: &Arc<Shared<T>>,
    config: MetricsConfig,
) -> io::Result<MetricsPipe> {
    let kernel = Kernel::start()?;
    let (tx, rx) = builder().capacity(config.capacity).overflow(Overflow::DropOldest).build();
    let reporter = Reporter {
        channel: Arc::downgrade(channel),
        out: Mutex::new(Some((tx, channel.snapshot()))),
    };
    let chore = Kernel::every(config.period, move || reporter.report());
    Ok(MetricsPipe { events: rx, _chore: chore, _kernel: kernel })
}
