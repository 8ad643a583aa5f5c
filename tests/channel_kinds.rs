//! The same tests, by the same names, for every kind of channel, through one pair of traits.
//!
//! Values are byte strings, which every kind can carry. What a kind is like is said by a few
//! constants: whether it keeps every value, whether a full one makes senders wait, whether a value
//! comes back when nobody is left to receive it.

#![allow(clippy::disallowed_types, reason = "a test has no loom build")]

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use kcoro::arena::Arena;
use kcoro::cancel::CancelToken;
use kcoro::channel::{self, Capacity, local, spsc};
use kcoro::coroutine::Task;
use kcoro::error::*;
use kcoro::select;

#[path = "channel/support.rs"]
#[allow(dead_code, reason = "shared with the other channel tests")]
mod support;
use support::{Census, drive, scaled, watched};

type Bytes = Vec<u8>;

/// Why a call did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    Full,
    Empty,
    Closed,
    Timeout,
    Cancelled,
}

type Sent = Result<(), (Why, Bytes)>;
type Got = Result<Bytes, Why>;

/// A sending end. Where sending never waits, all forms are the same.
trait Put {
    fn put(&mut self, value: Bytes) -> Sent;
    fn try_put(&mut self, value: Bytes) -> Sent {
        self.put(value)
    }
    fn put_timeout(&mut self, value: Bytes, _: Duration) -> Sent {
        self.put(value)
    }
    fn put_cancellable(&mut self, value: Bytes, _: &CancelToken) -> Sent {
        self.put(value)
    }
    fn put_async(&mut self, value: Bytes) -> impl Future<Output = Sent> {
        let sent = self.put(value);
        async { sent }
    }
    fn end(self);
}

/// A receiving end.
trait Get {
    fn get(&mut self) -> Got;
    fn try_get(&mut self) -> Got;
    fn get_timeout(&mut self, timeout: Duration) -> Got;
    fn get_cancellable(&mut self, token: &CancelToken) -> Got;
    fn get_async(&mut self) -> impl Future<Output = Got>;
}

fn not_sent(error: SendError<Bytes>) -> (Why, Bytes) {
    match error {
        SendError::Full(value) => (Why::Full, value),
        error => (Why::Closed, error.into_inner()),
    }
}

fn not_tried(error: TrySendError<Bytes>) -> (Why, Bytes) {
    match error {
        TrySendError::Full(value) => (Why::Full, value),
        error => (Why::Closed, error.into_inner()),
    }
}

fn not_in_time(error: SendTimeoutError<Bytes>) -> (Why, Bytes) {
    match error {
        SendTimeoutError::Timeout(value) => (Why::Timeout, value),
        SendTimeoutError::Full(value) => (Why::Full, value),
        error => (Why::Closed, error.into_inner()),
    }
}

fn not_before_cancel(error: SendCancelError<Bytes>) -> (Why, Bytes) {
    match error {
        SendCancelError::Cancelled(value) => (Why::Cancelled, value),
        SendCancelError::Timeout(value) => (Why::Timeout, value),
        SendCancelError::Full(value) => (Why::Full, value),
        error => (Why::Closed, error.into_inner()),
    }
}

fn none_now(error: TryRecvError) -> Why {
    if error == TryRecvError::Empty { Why::Empty } else { Why::Closed }
}

fn none_in_time(error: RecvTimeoutError) -> Why {
    if error == RecvTimeoutError::Timeout { Why::Timeout } else { Why::Closed }
}

fn none_before_cancel(error: RecvCancelError) -> Why {
    match error {
        RecvCancelError::Cancelled => Why::Cancelled,
        RecvCancelError::Timeout => Why::Timeout,
        _ => Why::Closed,
    }
}

macro_rules! typed {
    ($($sender:ty, $receiver:ty;)*) => {$(
        impl Put for $sender {
            fn put(&mut self, value: Bytes) -> Sent {
                self.send(value).map_err(not_sent)
            }
            fn try_put(&mut self, value: Bytes) -> Sent {
                self.try_send(value).map_err(not_tried)
            }
            fn put_timeout(&mut self, value: Bytes, timeout: Duration) -> Sent {
                self.send_timeout(value, timeout).map_err(not_in_time)
            }
            fn put_cancellable(&mut self, value: Bytes, token: &CancelToken) -> Sent {
                self.send_cancellable(value, token).map_err(not_before_cancel)
            }
            async fn put_async(&mut self, value: Bytes) -> Sent {
                self.send_async(value).await.map_err(not_sent)
            }
            fn end(#[allow(unused_mut)] mut self) {
                assert!(self.close() && !self.close());
            }
        }

        impl Get for $receiver {
            fn get(&mut self) -> Got {
                self.recv().map_err(|_| Why::Closed)
            }
            fn try_get(&mut self) -> Got {
                self.try_recv().map_err(none_now)
            }
            fn get_timeout(&mut self, timeout: Duration) -> Got {
                self.recv_timeout(timeout).map_err(none_in_time)
            }
            fn get_cancellable(&mut self, token: &CancelToken) -> Got {
                self.recv_cancellable(token).map_err(none_before_cancel)
            }
            async fn get_async(&mut self) -> Got {
                self.recv_async().await.map_err(|_| Why::Closed)
            }
        }
    )*};
}

typed! {
    channel::Sender<Bytes>, channel::Receiver<Bytes>;
    local::Sender<Bytes>, local::Receiver<Bytes>;
    spsc::Sender<Bytes>, spsc::Receiver<Bytes>;
}

/// The handles are used up by one value.
struct Once<H>(Option<H>);

impl Put for Once<channel::OneshotSender<Bytes>> {
    fn put(&mut self, value: Bytes) -> Sent {
        match self.0.take() {
            Some(tx) => tx.send(value).map_err(not_sent),
            None => Err((Why::Closed, value)),
        }
    }
    fn end(self) {}
}

impl Get for Once<channel::OneshotReceiver<Bytes>> {
    fn get(&mut self) -> Got {
        self.0.take().expect("once").recv().map_err(|_| Why::Closed)
    }
    fn try_get(&mut self) -> Got {
        self.0.as_ref().expect("once").try_recv().map_err(none_now)
    }
    fn get_timeout(&mut self, timeout: Duration) -> Got {
        self.0.as_ref().expect("once").recv_timeout(timeout).map_err(none_in_time)
    }
    fn get_cancellable(&mut self, token: &CancelToken) -> Got {
        self.0.as_ref().expect("once").recv_cancellable(token).map_err(none_before_cancel)
    }
    async fn get_async(&mut self) -> Got {
        let rx = self.0.as_ref().expect("once").as_receiver();
        rx.recv_async().await.map_err(|_| Why::Closed)
    }
}

impl Put for channel::BroadcastSender<Bytes> {
    fn put(&mut self, value: Bytes) -> Sent {
        self.send(value).map(drop).map_err(not_sent)
    }
    fn end(self) {
        assert!(self.close() && !self.close());
    }
}

impl Get for channel::Subscriber<Bytes> {
    fn get(&mut self) -> Got {
        self.recv().map_err(|error| panic_if_lagged(error == BroadcastError::Closed))
    }
    fn try_get(&mut self) -> Got {
        self.try_recv().map_err(|error| match error {
            TryBroadcastError::Empty => Why::Empty,
            error => panic_if_lagged(error == TryBroadcastError::Closed),
        })
    }
    fn get_timeout(&mut self, timeout: Duration) -> Got {
        self.recv_timeout(timeout).map_err(|error| match error {
            BroadcastTimeoutError::Timeout => Why::Timeout,
            error => panic_if_lagged(error == BroadcastTimeoutError::Closed),
        })
    }
    fn get_cancellable(&mut self, token: &CancelToken) -> Got {
        self.recv_cancellable(token).map_err(|error| match error {
            BroadcastCancelError::Cancelled => Why::Cancelled,
            error => panic_if_lagged(error == BroadcastCancelError::Closed),
        })
    }
    async fn get_async(&mut self) -> Got {
        self.recv_async().await.map_err(|error| panic_if_lagged(error == BroadcastError::Closed))
    }
}

fn panic_if_lagged(closed: bool) -> Why {
    assert!(closed, "nobody lags here");
    Why::Closed
}

impl Put for channel::WatchSender<Bytes> {
    fn put(&mut self, value: Bytes) -> Sent {
        self.send(value).map(drop).map_err(not_sent)
    }
    fn end(self) {
        assert!(self.close() && !self.close());
    }
}

impl Get for channel::WatchReceiver<Bytes> {
    fn get(&mut self) -> Got {
        self.changed().map_err(|_| Why::Closed).map(|()| self.borrow_and_update().clone())
    }
    fn try_get(&mut self) -> Got {
        match self.changed_timeout(Duration::ZERO).map_err(none_in_time) {
            Err(Why::Timeout) => Err(Why::Empty),
            other => other.map(|()| self.borrow_and_update().clone()),
        }
    }
    fn get_timeout(&mut self, timeout: Duration) -> Got {
        self.changed_timeout(timeout)
            .map_err(none_in_time)
            .map(|()| self.borrow_and_update().clone())
    }
    fn get_cancellable(&mut self, token: &CancelToken) -> Got {
        self.changed_cancellable(token)
            .map_err(none_before_cancel)
            .map(|()| self.borrow_and_update().clone())
    }
    async fn get_async(&mut self) -> Got {
        self.changed_async()
            .await
            .map_err(|_| Why::Closed)
            .map(|()| self.borrow_and_update().clone())
    }
}

/// Payloads of an arena of its own.
struct Payloads(channel::ZrefSender, Arena);

impl Payloads {
    fn payload(&self, value: &[u8]) -> kcoro::arena::Payload {
        self.1.copy(value).unwrap()
    }
}

impl Put for Payloads {
    fn put(&mut self, value: Bytes) -> Sent {
        let sent = self.0.send(self.payload(&value));
        sent.map_err(|error| (Why::Closed, error.into_inner().to_vec()))
    }
    fn try_put(&mut self, value: Bytes) -> Sent {
        self.0.try_send(self.payload(&value)).map_err(|error| match error {
            TrySendError::Full(value) => (Why::Full, value.to_vec()),
            error => (Why::Closed, error.into_inner().to_vec()),
        })
    }
    fn put_timeout(&mut self, value: Bytes, timeout: Duration) -> Sent {
        self.0.send_timeout(self.payload(&value), timeout).map_err(|error| match error {
            SendTimeoutError::Timeout(value) => (Why::Timeout, value.to_vec()),
            error => (Why::Closed, error.into_inner().to_vec()),
        })
    }
    fn put_cancellable(&mut self, value: Bytes, token: &CancelToken) -> Sent {
        self.0.send_cancellable(self.payload(&value), token).map_err(|error| match error {
            SendCancelError::Cancelled(value) => (Why::Cancelled, value.to_vec()),
            error => (Why::Closed, error.into_inner().to_vec()),
        })
    }
    async fn put_async(&mut self, value: Bytes) -> Sent {
        let sent = self.0.send_async(self.payload(&value)).await;
        sent.map_err(|error| (Why::Closed, error.into_inner().to_vec()))
    }
    fn end(self) {
        assert!(self.0.close() && !self.0.close());
    }
}

macro_rules! payloads {
    ($($receiver:ty)*) => {$(
        impl Get for $receiver {
            fn get(&mut self) -> Got {
                self.recv().map_err(|_| Why::Closed).map(|payload| payload.to_vec())
            }
            fn try_get(&mut self) -> Got {
                self.try_recv().map_err(none_now).map(|payload| payload.to_vec())
            }
            fn get_timeout(&mut self, timeout: Duration) -> Got {
                self.recv_timeout(timeout).map_err(none_in_time).map(|payload| payload.to_vec())
            }
            fn get_cancellable(&mut self, token: &CancelToken) -> Got {
                let got = self.recv_cancellable(token).map_err(none_before_cancel);
                got.map(|payload| payload.to_vec())
            }
            async fn get_async(&mut self) -> Got {
                let got = self.recv_async().await;
                got.map_err(|_| Why::Closed).map(|payload| payload.to_vec())
            }
        }
    )*};
}

payloads! { channel::ZrefReceiver channel::BytesReceiver }

impl Put for channel::BytesSender {
    fn put(&mut self, value: Bytes) -> Sent {
        self.send(&value).map_err(|error| (why(error), value))
    }
    fn try_put(&mut self, value: Bytes) -> Sent {
        self.try_send(&value).map_err(|error| (why(error), value))
    }
    fn put_timeout(&mut self, value: Bytes, timeout: Duration) -> Sent {
        self.send_timeout(&value, timeout).map_err(|error| (why(error), value))
    }
    fn put_cancellable(&mut self, value: Bytes, token: &CancelToken) -> Sent {
        self.send_cancellable(&value, token).map_err(|error| (why(error), value))
    }
    async fn put_async(&mut self, value: Bytes) -> Sent {
        let sent = self.send_async(&value).await;
        sent.map_err(|error| (why(error), value))
    }
    fn end(self) {
        assert!(self.close() && !self.close());
    }
}

fn why(error: SendBytesError) -> Why {
    match error {
        SendBytesError::Full => Why::Full,
        SendBytesError::Timeout => Why::Timeout,
        SendBytesError::Cancelled => Why::Cancelled,
        SendBytesError::Closed => Why::Closed,
        error => panic!("{error}"),
    }
}

/// The bytes that stand for a number.
fn bytes_of(number: usize) -> Bytes {
    number.to_ne_bytes().to_vec()
}

fn number_of(bytes: &[u8]) -> usize {
    usize::from_ne_bytes(bytes.try_into().expect("a number"))
}

/// Checks numbers in the order in which they come: rising, and all of them if the kind keeps all.
struct Rising {
    next: usize,
    keeps: bool,
}

impl Rising {
    fn see(&mut self, bytes: &[u8]) {
        let number = number_of(bytes);
        assert!(
            number == self.next || !self.keeps && number > self.next,
            "{number}, {}",
            self.next
        );
        self.next = number + 1;
    }
}

const SHORT: Duration = Duration::from_millis(3);

/// `keeps`: every value is received. `waits`: a send may wait. `back`: a value comes back when nobody
/// is left. `many`: more than one value.
macro_rules! suite {
    ($name:ident, $make:expr, keeps $keeps:literal, waits $waits:literal, back $back:literal,
     many $many:literal $(, $sent:ident)?) => {
        mod $name {
            use super::*;

            const KEEPS: bool = $keeps;
            const WAITS: bool = $waits;
            const COUNT: usize = if $many { 300 } else { 1 };

            /// Fills the channel until a send would wait.
            fn fill(tx: &mut impl Put) -> usize {
                (0..).take_while(|&n| tx.try_put(bytes_of(n)).is_ok()).count()
            }

            #[test]
            fn smoke() {
                watched(|| {
                    let (mut tx, mut rx) = $make;
                    assert_eq!(rx.try_get(), Err(Why::Empty));
                    let receiver = Task::new(move || assert_eq!(rx.get(), Ok(bytes_of(7))));
                    receiver.resume().unwrap();
                    assert!(receiver.is_parked());
                    tx.put(bytes_of(7)).unwrap();
                    drive(&[receiver]);
                });
            }

            #[test]
            fn fifo() {
                watched(|| {
                    let (mut tx, mut rx) = $make;
                    let receiver = Task::new(move || {
                        let mut rising = Rising { next: 0, keeps: KEEPS };
                        while rising.next < COUNT {
                            rising.see(&rx.get().unwrap());
                        }
                    });
                    let sender = Task::new(move || {
                        (0..COUNT).for_each(|n| tx.put(bytes_of(n)).unwrap());
                    });
                    drive(&[sender, receiver]);
                });
            }

            #[test]
            fn close_wakes_receivers() {
                watched(|| {
                    for drops in [false, true] {
                        let (tx, mut rx) = $make;
                        let receiver = Task::new(move || assert_eq!(rx.get(), Err(Why::Closed)));
                        receiver.resume().unwrap();
                        assert!(receiver.is_parked());
                        if drops { drop(tx) } else { tx.end() }
                        drive(&[receiver]);
                    }
                });
            }

            #[test]
            fn drop_of_the_receiver() {
                watched(|| {
                    let (mut tx, rx) = $make;
                    drop(rx);
                    let sent = tx.put(bytes_of(3));
                    assert_eq!(sent, if $back { Err((Why::Closed, bytes_of(3))) } else { Ok(()) });
                    if WAITS {
                        // And while a sender waits.
                        let (mut tx, rx) = $make;
                        fill(&mut tx);
                        let sender = Task::new(move || {
                            assert_eq!(tx.put(bytes_of(4)), Err((Why::Closed, bytes_of(4))));
                        });
                        sender.resume().unwrap();
                        assert!(sender.is_parked());
                        drop(rx);
                        drive(&[sender]);
                    }
                });
            }

            #[test]
            fn timeout() {
                watched(|| {
                    let (mut tx, mut rx) = $make;
                    assert_eq!(rx.get_timeout(Duration::ZERO), Err(Why::Timeout));
                    assert_eq!(rx.get_timeout(SHORT), Err(Why::Timeout));
                    if WAITS {
                        let there = fill(&mut tx);
                        let sent = tx.put_timeout(bytes_of(9), SHORT);
                        assert_eq!(sent, Err((Why::Timeout, bytes_of(9))));
                        (0..there).for_each(|n| assert_eq!(rx.get_timeout(SHORT), Ok(bytes_of(n))));
                    }
                    assert_eq!(rx.try_get(), Err(Why::Empty), "nothing was left behind");
                    drop(tx);
                    assert_eq!(rx.get_timeout(Duration::MAX), Err(Why::Closed));
                });
            }

            #[test]
            fn cancel_returns_value() {
                watched(|| {
                    let (mut tx, mut rx) = $make;
                    let token = CancelToken::new();
                    let receiver = {
                        let token = token.child();
                        Task::new(move || {
                            assert_eq!(rx.get_cancellable(&token), Err(Why::Cancelled));
                            // A token that is cancelled already comes before a value.
                            assert_eq!(rx.get_cancellable(&token), Err(Why::Cancelled));
                            let open = CancelToken::new();
                            assert_eq!(rx.get_cancellable(&open), Ok(bytes_of(5)));
                        })
                    };
                    receiver.resume().unwrap();
                    assert!(receiver.is_parked());
                    token.cancel();
                    while !receiver.is_parked() {
                        receiver.resume().unwrap();
                    }
                    let open = CancelToken::new();
                    tx.put_cancellable(bytes_of(5), &open).unwrap();
                    drive(&[receiver]);
                    if WAITS {
                        let (mut tx, mut rx) = $make;
                        let there = fill(&mut tx);
                        let token = CancelToken::new();
                        let sender = {
                            let token = token.child();
                            Task::new(move || {
                                let sent = tx.put_cancellable(bytes_of(6), &token);
                                assert_eq!(sent, Err((Why::Cancelled, bytes_of(6))));
                            })
                        };
                        sender.resume().unwrap();
                        assert!(sender.is_parked());
                        token.cancel();
                        drive(&[sender]);
                        assert_eq!((0..there).filter(|_| rx.try_get().is_ok()).count(), there);
                    }
                });
            }

            #[test]
            fn futures() {
                watched(|| {
                    let (mut tx, mut rx) = $make;
                    {
                        let mut abandoned = std::pin::pin!(rx.get_async());
                        assert!(abandoned.as_mut().now_or_never().is_none());
                        assert!(abandoned.as_mut().now_or_never().is_none());
                    }
                    {
                        let mut waiting = std::pin::pin!(rx.get_async());
                        assert!(waiting.as_mut().now_or_never().is_none());
                        assert_eq!(tx.put_async(bytes_of(1)).now_or_never(), Some(Ok(())));
                        assert_eq!(waiting.now_or_never(), Some(Ok(bytes_of(1))));
                    }
                    if WAITS {
                        let there = fill(&mut tx);
                        assert!(tx.put_async(bytes_of(2)).now_or_never().is_none(), "dropped");
                        let both = async {
                            let sending = tx.put_async(bytes_of(there));
                            let receiving = async {
                                for n in 0..=there {
                                    assert_eq!(rx.get_async().await, Ok(bytes_of(n)));
                                }
                            };
                            futures::join!(sending, receiving).0
                        };
                        assert_eq!(futures::executor::block_on(both), Ok(()));
                    }
                    drop(tx);
                    assert_eq!(rx.get_async().now_or_never(), Some(Err(Why::Closed)));
                });
            }

            #[test]
            fn unwound_while_waiting() {
                watched(|| {
                    let (mut tx, mut rx) = $make;
                    let receiver = Task::new(move || drop(rx.get()));
                    receiver.resume().unwrap();
                    assert!(receiver.is_parked());
                    drop(receiver);
                    let sent = tx.put(bytes_of(8));
                    assert_eq!(sent.is_err(), $back);
                });
            }

            #[test]
            fn sizes() {
                watched(|| {
                    for size in [0, 1, 1 << 20] {
                        let (mut tx, mut rx) = $make;
                        let value = vec![0xa5; size];
                        let receiver = {
                            let value = value.clone();
                            Task::new(move || assert!(rx.get() == Ok(value)))
                        };
                        receiver.resume().unwrap();
                        tx.put(value).unwrap();
                        drive(&[receiver]);
                    }
                });
            }

            #[test]
            fn short_waits_lose_nothing() {
                watched(|| {
                    let (mut tx, mut rx) = $make;
                    let count = if COUNT == 1 { 1 } else { scaled(COUNT) };
                    kcoro::run(move || {
                        let sender = kcoro::spawn_local(move || {
                            for n in 0..count {
                                let mut value = bytes_of(n);
                                let wait = Duration::from_micros(20);
                                while let Err((why, back)) = tx.put_timeout(value, wait) {
                                    assert_eq!(why, Why::Timeout);
                                    value = back;
                                }
                                kcoro::yield_now();
                            }
                        });
                        let mut rising = Rising { next: 0, keeps: KEEPS };
                        while rising.next < count {
                            match rx.get_timeout(Duration::from_micros(20)) {
                                Ok(bytes) => rising.see(&bytes),
                                Err(why) => assert_eq!(why, Why::Timeout),
                            }
                        }
                        sender.join().unwrap();
                    });
                });
            }

            /// As an arm of a select, beside one that is never ready.
            #[test]
            fn selected_as_a_future() {
                watched(|| {
                    let (mut tx, mut rx) = $make;
                    let receiver = Task::new(move || {
                        let (_keep, idle) = channel::bounded::<()>(1);
                        let got = select! {
                            got = rx.get_async() => got,
                            _ = idle.recv() => panic!("nothing is there"),
                        };
                        assert_eq!(got, Ok(bytes_of(2)));
                    });
                    receiver.resume().unwrap();
                    assert!(receiver.is_parked());
                    tx.put(bytes_of(2)).unwrap();
                    drive(&[receiver]);
                });
            }

            $(suite!(@$sent $make);)?
        }
    };

    // For ends that may go to other threads.
    (@sent $make:expr) => {
        /// A thread, a coroutine and a future on either side.
        #[test]
        fn mixed_parties() {
            watched(|| {
                for (sends, receives) in (0..9).map(|at| (at / 3, at % 3)) {
                    let (mut tx, mut rx) = $make;
                    let sender = match sends {
                        0 | 1 => party(sends, move || {
                            (0..COUNT).for_each(|n| tx.put(bytes_of(n)).unwrap());
                        }),
                        _ => party(0, move || {
                            futures::executor::block_on(async {
                                for n in 0..COUNT {
                                    tx.put_async(bytes_of(n)).await.unwrap();
                                }
                            });
                        }),
                    };
                    let mut rising = Rising { next: 0, keeps: KEEPS };
                    let receiver = match receives {
                        0 | 1 => party(receives, move || {
                            while rising.next < COUNT {
                                rising.see(&rx.get().unwrap());
                            }
                        }),
                        _ => party(0, move || {
                            futures::executor::block_on(async {
                                while rising.next < COUNT {
                                    rising.see(&rx.get_async().await.unwrap());
                                }
                            });
                        }),
                    };
                    sender.join().unwrap();
                    receiver.join().unwrap();
                }
            });
        }
    };
}

/// A party of its own thread: plain, or a coroutine.
fn party(form: usize, work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || if form == 0 { work() } else { kcoro::run(work) })
}

fn payloads(capacity: impl Into<Capacity>) -> (Payloads, channel::ZrefReceiver) {
    let (tx, rx) = channel::zref(capacity);
    (Payloads(tx, Arena::new()), rx)
}

fn once() -> (Once<channel::OneshotSender<Bytes>>, Once<channel::OneshotReceiver<Bytes>>) {
    let (tx, rx) = channel::oneshot();
    (Once(Some(tx)), Once(Some(rx)))
}

const LARGE: usize = 1 << 20;

suite!(rendezvous, channel::rendezvous(), keeps true, waits true, back true, many true, sent);
suite!(bounded, channel::bounded(3), keeps true, waits true, back true, many true, sent);
suite!(unbounded, channel::unbounded(), keeps true, waits false, back true, many true, sent);
suite!(conflated, channel::conflated(), keeps false, waits false, back true, many true, sent);
suite!(oneshot, once(), keeps true, waits false, back true, many false, sent);
suite!(broadcast, channel::broadcast(1024), keeps true, waits false, back false, many true, sent);
suite!(watch, channel::watch(Bytes::new()), keeps false, waits false, back false, many true, sent);
suite!(local_rendezvous, local::rendezvous(), keeps true, waits true, back true, many true);
suite!(local_bounded, local::bounded(3), keeps true, waits true, back true, many true);
suite!(local_unbounded, local::unbounded(), keeps true, waits false, back true, many true);
suite!(local_conflated, local::conflated(), keeps false, waits false, back true, many true);
suite!(ring, channel::spsc(3), keeps true, waits true, back true, many true, sent);
suite!(zref_rendezvous, payloads(Capacity::Rendezvous), keeps true, waits true, back true, many true, sent);
suite!(zref_bounded, payloads(3), keeps true, waits true, back true, many true, sent);
suite!(zref_unbounded, payloads(Capacity::Unbounded), keeps true, waits false, back true, many true, sent);
suite!(bytes_rendezvous, channel::bytes(Capacity::Rendezvous, LARGE), keeps true, waits true, back true, many true, sent);
suite!(bytes_bounded, channel::bytes(3, LARGE), keeps true, waits true, back true, many true, sent);

/// A value that panics when it is dropped, once.
struct Grumpy(#[allow(dead_code)] support::Counted);

impl Drop for Grumpy {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

fn panics(work: impl FnOnce() + Send + 'static) {
    assert!(std::thread::spawn(work).join().is_err(), "the panic comes out");
}

/// Kinds that let go of one value: its panic comes out where it was let go, and the channel goes on.
#[test]
fn panicking_drop_of_a_replaced_value() {
    watched(|| {
        let census = Census::default();
        let (tx, rx) = channel::conflated();
        tx.send(Grumpy(census.value(0))).ok().unwrap();
        let (sender, second) = (tx.clone(), Grumpy(census.value(1)));
        panics(move || drop(sender.send(second)));
        assert_eq!((census.alive(), rx.len()), (1, 1));
        panics(move || drop((tx, rx)));
        assert_eq!(census.alive(), 0);

        let (tx, rx) = channel::oneshot();
        tx.send(Grumpy(census.value(2))).ok().unwrap();
        panics(move || drop(rx));
        assert_eq!(census.alive(), 0);

        let (tx, rx) = channel::watch(Grumpy(census.value(3)));
        let (sender, next) = (tx.clone(), Grumpy(census.value(4)));
        panics(move || drop(sender.send(next)));
        assert!(!tx.is_closed() && census.alive() == 1);
        panics(move || drop((tx, rx)));
        assert_eq!(census.alive(), 0);

        let census_inside = census.clone();
        panics(move || {
            let (tx, _rx) = local::conflated();
            tx.send(Grumpy(census_inside.value(5))).ok().unwrap();
            let _ = tx.send(Grumpy(census_inside.value(6)));
        });
        assert_eq!(census.alive(), 0);
    });
}

/// Values without size in the kinds that have other places for them.
#[test]
fn zero_sized() {
    let (tx, mut rx) = channel::broadcast(1);
    assert_eq!((tx.send(()), rx.recv()), (Ok(1), Ok(())));
    let (tx, mut rx) = channel::watch(());
    assert!(tx.send(()).is_ok() && rx.changed().is_ok());
    let (tx, rx) = channel::oneshot();
    assert_eq!((tx.send(()), rx.recv()), (Ok(()), Ok(())));
    let (tx, rx) = channel::conflated();
    (0..3).for_each(|_| tx.send(()).unwrap());
    assert_eq!(rx.try_iter().count(), 1);
}

/// The greatest and the least capacity of each kind that has one.
#[test]
fn capacity_extremes() {
    let (tx, rx) = local::bounded(usize::MAX);
    tx.try_send(1).unwrap();
    assert_eq!((tx.capacity(), rx.try_recv()), (Some(usize::MAX), Ok(1)));
    let (tx, rx) = channel::bytes(usize::MAX, usize::MAX);
    tx.send(b"a").unwrap();
    assert_eq!((tx.capacity(), rx.recv_into(&mut Vec::new())), (Some(usize::MAX), Ok(1)));
    let (tx, mut rx) = channel::broadcast(usize::MAX);
    tx.send(1).unwrap();
    assert_eq!((tx.capacity(), rx.recv()), (usize::MAX, Ok(1)));
    let (mut tx, mut rx) = channel::spsc(1);
    tx.try_send(1).unwrap();
    assert_eq!((tx.try_send(2), rx.try_recv()), (Err(TrySendError::Full(2)), Ok(1)));
    for absurd in [|| drop(channel::spsc::<u64>(usize::MAX)), || drop(channel::spsc::<u64>(0))] {
        panics(absurd);
    }
    panics(|| drop(channel::broadcast::<u8>(0)));
}

/// Payload channels in a select, as channel arms: by descriptor, both ways, and counted.
#[test]
fn payloads_in_a_select() {
    watched(|| {
        let arena = Arena::new();
        let (tx, rx) = channel::zref(1);
        let (_keep, idle) = channel::bounded::<()>(1);
        let (first, second) = (arena.copy(b"first").unwrap(), arena.copy(b"second").unwrap());
        select! {
            sent = tx.send(first) => sent.unwrap(),
            _ = idle.recv() => panic!("nothing is there"),
        }
        let back = select! {
            sent = tx.send(second) => panic!("{sent:?}"),
            default => second,
        };
        assert_eq!(back, b"second");
        let got = select! {
            got = rx.recv() => got.unwrap(),
            _ = idle.recv() => panic!("nothing is there"),
        };
        assert_eq!((&got[..], tx.traffic().messages, rx.traffic().bytes), (&b"first"[..], 1, 5));
        let (tx, rx) = channel::bytes(1, 8);
        let receiver = Task::new(move || {
            let got = select! {
                got = rx.recv() => got.unwrap(),
                _ = idle.recv() => panic!("nothing is there"),
            };
            assert_eq!(got, b"bytes");
        });
        receiver.resume().unwrap();
        tx.send(b"bytes").unwrap();
        drive(&[receiver]);
        let (tx, rx) = channel::oneshot();
        tx.send(3).unwrap();
        assert_eq!(select! { got = rx.recv() => got, default => Err(RecvError) }, Ok(3));
    });
}

/// A future that waits for room in the arena goes on when there is room, and ends with the channel.
#[test]
fn bytes_wait_for_room_as_a_future() {
    watched(|| {
        let arena = Arena::builder().limit(4096).build();
        let (tx, rx) = channel::bytes_in(&arena, Capacity::Unbounded, 4096);
        let held: Vec<_> = std::iter::from_fn(|| arena.alloc(1024).ok()).collect();
        {
            let mut sending = std::pin::pin!(tx.send_async(&[7; 1024]));
            assert!(sending.as_mut().now_or_never().is_none());
            drop(held);
            assert_eq!(futures::executor::block_on(sending), Ok(()));
        }
        assert_eq!(rx.recv().unwrap()[..], [7; 1024]);
        let held: Vec<_> = std::iter::from_fn(|| arena.alloc(1024).ok()).collect();
        let mut sending = std::pin::pin!(tx.send_async(&[8; 1024]));
        assert!(sending.as_mut().now_or_never().is_none());
        rx.close();
        assert_eq!(sending.now_or_never(), Some(Err(SendBytesError::Closed)));
        drop(held);
    });
}

/// What waits for a value that is as it should be ends with time, cancel, and the value.
#[test]
fn watchers_wait_for_a_value_within_limits() {
    watched(|| {
        let (tx, mut rx) = channel::watch(0);
        let token = CancelToken::new();
        assert_eq!(rx.wait_for_timeout(|n| *n == 2, SHORT).unwrap_err(), RecvTimeoutError::Timeout);
        token.cancel();
        let ended = rx.wait_for_cancellable(|n| *n == 2, &token);
        assert_eq!(ended.unwrap_err(), RecvCancelError::Cancelled);
        let waiting = std::thread::spawn(move || {
            let value = futures::executor::block_on(rx.wait_for_async(|n| *n == 2));
            *value.unwrap()
        });
        (1..3).for_each(|n| drop(tx.send(n).unwrap()));
        assert_eq!(waiting.join().unwrap(), 2);
    });
}
