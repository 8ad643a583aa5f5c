//! The two ends of a channel, the same for every library.
//!
//! [`Put`] and [`Take`] suspend the coroutine or block the thread that calls; [`PutLater`] and
//! [`TakeLater`] are futures. Receiving gives `None` when the channel is closed and drained.

use std::future::Future;

/// A sender that a coroutine or a thread uses.
pub trait Put<T>: Send + 'static {
    /// Sends; somebody receives.
    fn put(&mut self, value: T);
}

/// A receiver that a coroutine or a thread uses.
pub trait Take<T>: Send + 'static {
    /// The next value.
    fn take(&mut self) -> Option<T>;
}

/// A sender that a task uses.
pub trait PutLater<T>: Send + 'static {
    /// Sends; somebody receives.
    fn put(&mut self, value: T) -> impl Future<Output = ()> + Send;
}

/// A receiver that a task uses.
pub trait TakeLater<T>: Send + 'static {
    /// The next value.
    fn take(&mut self) -> impl Future<Output = Option<T>> + Send;
}

/// Senders whose `send` suspends or blocks.
macro_rules! put {
    ($($sender:ty)*) => {$(
        impl<T: Send + Unpin + 'static> Put<T> for $sender {
            #[inline]
            fn put(&mut self, value: T) {
                assert!(self.send(value).is_ok(), "the receiver is there until the end");
            }
        }
    )*};
}

/// Receivers whose `recv` suspends or blocks.
macro_rules! take {
    ($($receiver:ty)*) => {$(
        impl<T: Send + Unpin + 'static> Take<T> for $receiver {
            #[inline]
            fn take(&mut self) -> Option<T> {
                self.recv().ok()
            }
        }
    )*};
}

/// Senders with an asynchronous method of this name.
macro_rules! put_later {
    ($($sender:ty, $send:ident;)*) => {$(
        impl<T: Send + Unpin + 'static> PutLater<T> for $sender {
            async fn put(&mut self, value: T) {
                assert!(self.$send(value).await.is_ok(), "the receiver is there until the end");
            }
        }
    )*};
}

/// Senders of tasks that never wait, because there is always room.
macro_rules! put_at_once {
    ($($sender:ty)*) => {$(
        impl<T: Send + Unpin + 'static> PutLater<T> for $sender {
            async fn put(&mut self, value: T) {
                assert!(self.send(value).is_ok(), "the receiver is there until the end");
            }
        }
    )*};
}

/// Receivers with an asynchronous method of this name, whose result has this method for an option.
macro_rules! take_later {
    ($($receiver:ty, $recv:ident $(, $option:ident)?;)*) => {$(
        impl<T: Send + Unpin + 'static> TakeLater<T> for $receiver {
            async fn take(&mut self) -> Option<T> {
                self.$recv().await$(.$option())?
            }
        }
    )*};
}

put! {
    kcoro::channel::Sender<T>
    kcoro::channel::spsc::Sender<T>
    may::sync::spsc::Sender<T>
    may::sync::mpsc::Sender<T>
    may::sync::mpmc::Sender<T>
    kanal::Sender<T>
    flume::Sender<T>
    crossbeam_channel::Sender<T>
    std::sync::mpsc::Sender<T>
    std::sync::mpsc::SyncSender<T>
    crossfire::Tx<crossfire::spsc::Array<T>>
    crossfire::Tx<crossfire::spsc::List<T>>
    crossfire::MTx<crossfire::mpsc::Array<T>>
    crossfire::MTx<crossfire::mpsc::List<T>>
    crossfire::MTx<crossfire::mpmc::Array<T>>
    crossfire::MTx<crossfire::mpmc::List<T>>
}

// An unbounded channel of one consumer is the same type for one producer and for several.
take! {
    kcoro::channel::Receiver<T>
    kcoro::channel::spsc::Receiver<T>
    may::sync::spsc::Receiver<T>
    may::sync::mpsc::Receiver<T>
    may::sync::mpmc::Receiver<T>
    kanal::Receiver<T>
    flume::Receiver<T>
    crossbeam_channel::Receiver<T>
    std::sync::mpsc::Receiver<T>
    crossfire::Rx<crossfire::spsc::Array<T>>
    crossfire::Rx<crossfire::mpsc::Array<T>>
    crossfire::Rx<crossfire::mpsc::List<T>>
    crossfire::MRx<crossfire::mpmc::Array<T>>
    crossfire::MRx<crossfire::mpmc::List<T>>
}

put_later! {
    tokio::sync::mpsc::Sender<T>, send;
    kanal::AsyncSender<T>, send;
    flume::Sender<T>, send_async;
    async_channel::Sender<T>, send;
    crossfire::AsyncTx<crossfire::spsc::Array<T>>, send;
    crossfire::MAsyncTx<crossfire::mpsc::Array<T>>, send;
    crossfire::MAsyncTx<crossfire::mpmc::Array<T>>, send;
}

put_at_once! {
    tokio::sync::mpsc::UnboundedSender<T>
    crossfire::Tx<crossfire::spsc::List<T>>
    crossfire::MTx<crossfire::mpsc::List<T>>
    crossfire::MTx<crossfire::mpmc::List<T>>
}

take_later! {
    tokio::sync::mpsc::Receiver<T>, recv;
    tokio::sync::mpsc::UnboundedReceiver<T>, recv;
    kanal::AsyncReceiver<T>, recv, ok;
    flume::Receiver<T>, recv_async, ok;
    async_channel::Receiver<T>, recv, ok;
    crossfire::AsyncRx<crossfire::spsc::Array<T>>, recv, ok;
    crossfire::AsyncRx<crossfire::mpsc::Array<T>>, recv, ok;
    crossfire::AsyncRx<crossfire::mpsc::List<T>>, recv, ok;
    crossfire::MAsyncRx<crossfire::mpmc::Array<T>>, recv, ok;
    crossfire::MAsyncRx<crossfire::mpmc::List<T>>, recv, ok;
}
