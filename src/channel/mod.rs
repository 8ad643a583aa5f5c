//! Channels: one engine for rendezvous, bounded, unbounded and conflated ones.
//!
//! A channel has any number of [`Sender`]s and [`Receiver`]s, each on a coroutine, a plain thread or
//! a future, mixed as one likes. Values arrive in the order in which they were sent, each at exactly
//! one receiver. A value that could not be sent comes back in the error; a value that will never be
//! received goes to the undelivered hook, or is dropped.
//!
//! | constructor      | capacity  | a send without room                    |
//! |------------------|-----------|----------------------------------------|
//! | [`rendezvous`]   | 0         | waits for a receiver                   |
//! | [`bounded`]      | n, exactly| waits for room                         |
//! | [`unbounded`]    | none      | always has room                        |
//! | [`conflated`]    | 1         | replaces the value that is there       |
//! | [`oneshot`]      | 1, once   | there is only one send                 |
//! | [`builder`]      | any       | as [`Overflow`] says                   |
//!
//! A channel closes when the last sender or the last receiver is dropped, or by `close`: then sends
//! fail, and receivers drain what is left.
//!
//! # Examples
//!
//! ```
//! use kcoro::channel;
//!
//! let (tx, rx) = channel::bounded(2);
//! let sender = std::thread::spawn(move || (0..10).try_for_each(|n| tx.send(n)));
//! assert_eq!(rx.iter().sum::<i32>(), 45);
//! sender.join().unwrap()?;
//! # Ok::<(), kcoro::error::SendError<i32>>(())
//! ```

#[cfg_attr(loom, allow(dead_code))]
mod end;
#[cfg_attr(loom, allow(dead_code))]
mod gate;
#[cfg_attr(loom, allow(dead_code))]
mod queue;
pub mod spsc;

#[cfg(not(loom))]
mod batch;
#[cfg(not(loom))]
mod broadcast;
#[cfg(not(loom))]
mod builder;
#[cfg(not(loom))]
mod count;
#[cfg(not(loom))]
mod deadline;
#[cfg(any(not(loom), test))]
mod engine;
#[cfg(not(loom))]
mod future;
#[cfg(not(loom))]
pub mod local;
#[cfg(not(loom))]
mod lock;
#[cfg(not(loom))]
mod metrics;
#[cfg(not(loom))]
mod metrics_pipe;
#[cfg(any(not(loom), test))]
mod node;
#[cfg(not(loom))]
mod oneshot;
#[cfg(not(loom))]
mod parties;
#[cfg(any(not(loom), test))]
mod policy;
#[cfg(not(loom))]
mod receiver;
#[cfg(any(not(loom), test))]
#[doc(hidden)]
pub mod select;
#[cfg(not(loom))]
mod sender;
#[cfg(not(loom))]
mod shared;
#[cfg(not(loom))]
mod verbs;
#[cfg(not(loom))]
mod wait;
#[cfg(not(loom))]
mod watch;
#[cfg(not(loom))]
pub mod zref;

#[cfg(all(test, not(loom)))]
#[path = "../../tests/channel/inside.rs"]
mod inside;

#[cfg(not(loom))]
pub use broadcast::{BroadcastSender, Subscriber, broadcast};
#[cfg(not(loom))]
pub use builder::{Builder, bounded, builder, conflated, rendezvous, unbounded};
#[cfg(all(not(loom), feature = "sink"))]
pub use future::SendSink;
#[cfg(not(loom))]
pub use future::{IntoStream, RecvFuture, RecvStream, SendFuture};
#[cfg(not(loom))]
pub use metrics::{Rate, Snapshot};
#[cfg(not(loom))]
pub use metrics_pipe::{MetricsConfig, MetricsEvent, MetricsPipe};
#[cfg(not(loom))]
pub use oneshot::{OneshotReceiver, OneshotSender, oneshot};
#[cfg(not(loom))]
pub use policy::Overflow;
#[cfg(not(loom))]
pub use receiver::{IntoIter, Iter, Receiver, TryIter};
#[cfg(not(loom))]
pub use select::{Arm, Operation, RecvArm, Select, SendArm, after};
#[cfg(not(loom))]
pub use sender::Sender;
#[cfg(not(loom))]
pub use spsc::spsc;
#[cfg(not(loom))]
pub use watch::{WatchReceiver, WatchSender, Watched, watch};
#[cfg(not(loom))]
pub use zref::{
    BytesReceiver, BytesSender, Capacity, Traffic, ZrefReceiver, ZrefRecvArm, ZrefSendArm,
    ZrefSender, bytes, bytes_in, zref,
};
