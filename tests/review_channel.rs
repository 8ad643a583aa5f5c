//! Corners of channels, selects and arenas, each of which once went wrong.

mod watchdog;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use kcoro::arena::Arena;
use kcoro::channel::{self, Arm, Overflow, Select, Sender};
use kcoro::coroutine::Task;
use kcoro::error::{RecvError, RecvTimeoutError, SendBytesError};
use kcoro::select;
use watchdog::watchdog;

const SOON: Duration = Duration::from_millis(20);

/// Polls once, by `waker`.
fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Panics when it is called.
struct Refuses;

impl Wake for Refuses {
    fn wake(self: Arc<Self>) {
        panic!("as it was told to");
    }
}

/// Counts its calls.
#[derive(Default)]
struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Looks at a channel when it is dropped.
struct Looks<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for Looks<F> {
    fn wake(self: Arc<Self>) {}
}

impl<F: Fn() + Send + Sync> Drop for Looks<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Sends into the channel that it came through when it is dropped.
struct Echo(Option<Sender<Echo>>);

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(channel) = self.0.take() {
            channel.try_send(Echo(None)).unwrap();
        }
    }
}

#[test]
fn a_value_left_in_an_arm_is_not_dropped_within_the_channel() {
    let _dog = watchdog("a_value_left_in_an_arm_is_not_dropped_within_the_channel");
    let (tx, rx) = channel::unbounded();
    tx.send(Echo(Some(tx.clone()))).unwrap();
    tx.send(Echo(None)).unwrap();
    let mut arm = rx.arm();
    for _ in 0..2 {
        // The second time the first value is still there.
        let mut select = Select::new();
        select.add(&mut arm);
        select.wait();
        assert_eq!(rx.len(), 1);
        assert_eq!(Select::new().try_wait(), None);
    }
    let mut select = Select::new();
    select.add(&mut arm);
    assert_eq!(select.ready(), 0);
    drop(arm.take().unwrap());
    assert_eq!(rx.len(), 2);
}

#[test]
fn an_arm_sends_once() {
    let _dog = watchdog("an_arm_sends_once");
    let (tx, rx) = channel::rendezvous();
    let first = rx.clone();
    let received = thread::spawn(move || first.recv());
    let mut arm = tx.arm(1);
    let mut select = Select::new();
    select.add(&mut arm);
    select.wait();
    assert_eq!(received.join().unwrap(), Ok(1));
    // A receiver that waits would get nothing from it.
    let received = thread::spawn(move || rx.recv());
    thread::sleep(SOON);
    let again = catch_unwind(AssertUnwindSafe(|| {
        let mut select = Select::new();
        select.add(&mut arm);
        select.try_wait()
    }));
    assert!(again.is_err());
    tx.send(2).unwrap();
    assert_eq!(received.join().unwrap(), Ok(2));
}

#[test]
fn a_future_sends_once() {
    let _dog = watchdog("a_future_sends_once");
    let (tx, rx) = channel::bounded(1);
    let mut sending = pin!(tx.send_async(1));
    assert_eq!(poll(sending.as_mut(), Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(rx.recv(), Ok(1));
    let received = thread::spawn(move || rx.recv());
    thread::sleep(SOON);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(sending.as_mut(), Waker::noop()))).is_err());
    tx.send(2).unwrap();
    assert_eq!(received.join().unwrap(), Ok(2));
}

/// A future that is never ready and runs `code` when it is polled for the second time, which is when
/// a select waits.
fn second_poll(mut code: impl FnMut()) -> impl Future<Output = ()> {
    let mut polls = 0;
    poll_fn(move |_| {
        polls += 1;
        if polls == 2 {
            code();
        }
        Poll::Pending
    })
}

#[test]
fn a_panic_in_a_select_leaves_no_wait_behind() {
    let _dog = watchdog("a_panic_in_a_select_leaves_no_wait_behind");
    let test = || {
        let (tx, rx) = channel::unbounded::<u8>();
        let future = second_poll(|| {
            tx.send(1).unwrap();
            panic!("as it was told to");
        });
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            select! {
                biased;
                value = rx.recv() => panic!("{value:?}"),
                _ = future => unreachable!(),
            }
        }));
        assert!(outcome.is_err());
        assert_eq!(rx.recv(), Ok(1));
        // A wake that came too late would end this wait.
        assert_eq!(rx.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
        let late = tx.clone();
        let late = thread::spawn(move || {
            thread::sleep(SOON);
            late.send(2)
        });
        assert_eq!(rx.recv(), Ok(2));
        late.join().unwrap().unwrap();
    };
    test();
    let runtime = kcoro::runtime::Runtime::builder().workers(1).build().unwrap();
    runtime.spawn(test).join().unwrap();
}

#[test]
fn a_future_of_a_select_may_wait() {
    let _dog = watchdog("a_future_of_a_select_may_wait");
    let test = || {
        let (tx, rx) = channel::unbounded::<u8>();
        let (inner_tx, inner_rx) = channel::unbounded::<u8>();
        let sender = thread::spawn(move || {
            thread::sleep(SOON);
            inner_tx.send(1).unwrap();
            thread::sleep(SOON);
            tx.send(2).unwrap();
        });
        let future = second_poll(|| assert_eq!(inner_rx.recv(), Ok(1)));
        let got = select! {
            biased;
            value = rx.recv() => value,
            _ = future => unreachable!(),
        };
        assert_eq!(got, Ok(2));
        sender.join().unwrap();
    };
    test();
    let runtime = kcoro::runtime::Runtime::builder().workers(1).build().unwrap();
    runtime.spawn(test).join().unwrap();
}

/// A future that is never ready and takes its time to say so.
fn slow() -> impl Future<Output = ()> {
    poll_fn(|_| {
        thread::sleep(SOON);
        Poll::Pending
    })
}

#[test]
fn who_looks_hears_of_a_select_that_comes() {
    let _dog = watchdog("who_looks_hears_of_a_select_that_comes");
    // The select has tried its arm, and then lets the other go to sleep before it enlists it.
    let (tx, rx) = channel::rendezvous();
    let looks = thread::spawn(move || {
        let mut arm = rx.arm();
        loop {
            let mut select = Select::new();
            select.add(&mut arm);
            select.ready();
            if let Ok(value) = rx.try_recv() {
                return value;
            }
        }
    });
    thread::sleep(SOON);
    select! {
        biased;
        sent = tx.send(1) => sent.unwrap(),
        _ = slow() => unreachable!(),
    }
    assert_eq!(looks.join().unwrap(), 1);

    let (tx, rx) = channel::rendezvous();
    let looks = thread::spawn(move || {
        let mut arm = tx.arm(0);
        loop {
            let mut select = Select::new();
            select.add(&mut arm);
            select.ready();
            if tx.try_send(2).is_ok() {
                return;
            }
        }
    });
    thread::sleep(SOON);
    let got = select! {
        biased;
        value = rx.recv() => value,
        _ = slow() => unreachable!(),
    };
    assert_eq!(got, Ok(2));
    looks.join().unwrap();
}

#[test]
fn a_forgotten_future_does_not_keep_its_seat() {
    let _dog = watchdog("a_forgotten_future_does_not_keep_its_seat");
    let (mut tx, mut rx) = channel::spsc(1);
    let mut receiving = rx.recv_async();
    assert!(poll(Pin::new(&mut receiving), Waker::noop()).is_pending());
    std::mem::forget(receiving);
    assert_eq!(rx.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
    tx.send(1).unwrap();
    let mut sending = tx.send_async(2);
    assert!(poll(Pin::new(&mut sending), Waker::noop()).is_pending());
    std::mem::forget(sending);
    assert!(tx.send_timeout(3, SOON).is_err());
    assert_eq!(rx.recv(), Ok(1));
}

#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    let _dog = watchdog("a_waker_that_panics_keeps_nobody_asleep");
    let refuses = Waker::from(Arc::new(Refuses));
    let counts = Arc::new(Counts::default());
    let waker = Waker::from(Arc::clone(&counts));

    // More than are woken at a time.
    let (tx, rx) = channel::bounded::<u8>(1);
    let mut receiving: Vec<_> = (0..100).map(|_| Box::pin(rx.recv_async())).collect();
    for (at, future) in receiving.iter_mut().enumerate() {
        let waker = if at == 0 { &refuses } else { &waker };
        assert!(poll(future.as_mut(), waker).is_pending());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| tx.close())).is_err());
    assert_eq!(counts.0.swap(0, Ordering::SeqCst), 99);

    let (tx, first) = channel::broadcast::<u8>(1);
    let (mut first, mut second) = (first.clone(), first);
    let (mut one, mut two) = (pin!(first.recv_async()), pin!(second.recv_async()));
    assert!(poll(one.as_mut(), &refuses).is_pending());
    assert!(poll(two.as_mut(), &waker).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| tx.send(1))).is_err());
    assert_eq!(counts.0.swap(0, Ordering::SeqCst), 1);

    let (tx, first) = channel::watch(1);
    let (mut first, mut second) = (first.clone(), first);
    let (mut one, mut two) = (pin!(first.changed_async()), pin!(second.changed_async()));
    assert!(poll(one.as_mut(), &refuses).is_pending());
    assert!(poll(two.as_mut(), &waker).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| tx.close())).is_err());
    assert_eq!(counts.0.swap(0, Ordering::SeqCst), 1);
}

#[test]
fn a_waker_that_panics_keeps_no_value_from_the_hook() {
    let _dog = watchdog("a_waker_that_panics_keeps_no_value_from_the_hook");
    let (given, hook) = mpsc::channel();
    let (tx, rx) = channel::builder()
        .capacity(1)
        .on_undelivered(move |value| given.send(value).unwrap())
        .build();
    tx.send(1).unwrap();
    let refuses = Waker::from(Arc::new(Refuses));
    let mut sending = pin!(tx.send_async(2));
    assert!(poll(sending.as_mut(), &refuses).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
    assert_eq!(hook.try_recv(), Ok(1));

    // The end of a sender closes the channel, whatever the waker of a value's receiver does.
    let (mut tx, mut rx) = channel::spsc(4);
    let mut receiving = rx.recv_async();
    assert!(poll(Pin::new(&mut receiving), &refuses).is_pending());
    let mut chunk = tx.write_chunk(1).unwrap();
    chunk.push(1).unwrap();
    std::mem::forget(chunk);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(tx))).is_err());
    drop(receiving);
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Err(RecvError)));
}

#[test]
fn a_hook_that_panics_gets_the_other_values_too() {
    let (given, hook) = mpsc::channel();
    let (tx, rx) = channel::builder()
        .capacity(1)
        .overflow(Overflow::DropLatest)
        .on_undelivered(move |value| {
            given.send(value).unwrap();
            panic!("as it was told to");
        })
        .build();
    assert!(catch_unwind(AssertUnwindSafe(|| tx.send_many(0..4))).is_err());
    assert_eq!(hook.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(rx.recv(), Ok(0));
}

#[test]
fn wakers_are_dropped_outside_of_locks() {
    let _dog = watchdog("wakers_are_dropped_outside_of_locks");
    let (tx, mut rx) = channel::broadcast::<u8>(1);
    let looks = || {
        let tx = tx.clone();
        Waker::from(Arc::new(Looks(move || assert!(tx.is_empty()))))
    };
    for _ in 0..2 {
        // Each replaces the one before.
        assert!(poll(pin!(rx.recv_async()), &looks()).is_pending());
    }
    drop(rx);

    let (tx, mut rx) = channel::watch(1);
    let looks = || {
        let tx = tx.clone();
        Waker::from(Arc::new(Looks(move || assert!(!tx.is_closed()))))
    };
    for _ in 0..2 {
        assert!(poll(pin!(rx.changed_async()), &looks()).is_pending());
    }
    drop(rx);
}

#[test]
fn a_waker_may_end_a_coroutine_that_is_woken_with_it() {
    thread_local! {
        static TASK: std::cell::RefCell<Option<Task>> = const { std::cell::RefCell::new(None) };
    }
    struct Ends;
    impl Wake for Ends {
        fn wake(self: Arc<Self>) {
            drop(TASK.take());
        }
    }
    let _dog = watchdog("a_waker_may_end_a_coroutine_that_is_woken_with_it");
    let (tx, rx) = channel::bounded::<u8>(1);
    let mut receiving = pin!(rx.recv_async());
    assert!(poll(receiving.as_mut(), &Waker::from(Arc::new(Ends))).is_pending());
    let receiver = rx.clone();
    let task = Task::new(move || {
        let _ = receiver.recv();
    });
    task.resume().unwrap();
    assert!(task.is_parked());
    TASK.set(Some(task));
    tx.close();
    assert!(TASK.take().is_none());
}

#[test]
fn room_in_an_arena_is_told_to_everybody() {
    let arena = Arena::builder().limit(64).build();
    let payload = arena.copy(b"all there is").unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    assert!(arena.on_room(1, || panic!("as it was told to")));
    let counted = Arc::clone(&told);
    assert!(arena.on_room(1, move || {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn a_close_ends_the_wait_for_room_in_the_arena() {
    let _dog = watchdog("a_close_ends_the_wait_for_room_in_the_arena");
    let arena = Arena::builder().limit(64).build();
    let _payload = arena.copy(b"all there is").unwrap();
    for way in 0..3 {
        let (tx, rx) = channel::bytes_in(&arena, 4, 64);
        let (sender, other) = (tx.clone(), tx);
        let sent = thread::spawn(move || sender.send(b"no room"));
        thread::sleep(SOON);
        match way {
            0 => assert!(rx.close()),
            1 => assert!(other.close()),
            _ => drop(rx),
        }
        assert_eq!(sent.join().unwrap(), Err(SendBytesError::Closed));
    }
}

#[test]
fn a_value_that_comes_back_is_counted_once() {
    let (tx, rx) = channel::builder().capacity(1).metrics(true).build();
    {
        let mut receiving = Box::pin(rx.recv_async());
        assert!(poll(receiving.as_mut(), Waker::noop()).is_pending());
        tx.send(1).unwrap();
    }
    let figures = rx.snapshot();
    assert_eq!((figures.sends, figures.recvs, figures.depth), (1, 0, 1));
    assert_eq!(rx.recv(), Ok(1));
    let figures = rx.snapshot();
    assert_eq!((figures.sends, figures.recvs, figures.depth), (1, 1, 0));
}

#[test]
fn a_receive_that_panics_loses_nothing() {
    let (tx, rx) = channel::builder().capacity(1).metrics(true).build();
    let refuses = Waker::from(Arc::new(Refuses));
    tx.send(1).unwrap();
    let mut sending = pin!(tx.send_async(2));
    assert!(poll(sending.as_mut(), &refuses).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| rx.recv())).is_err());
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2]);
    let figures = rx.snapshot();
    assert_eq!((figures.sends, figures.recvs), (2, 2));
}

#[test]
fn a_local_receive_that_panics_loses_nothing() {
    let refuses = Waker::from(Arc::new(Refuses));
    for capacity in [0, 1] {
        let (tx, rx) = channel::local::bounded(capacity);
        let mut sending: Vec<_> = (0..=capacity).map(|n| Box::pin(tx.send_async(n))).collect();
        sending.iter_mut().for_each(|future| {
            let _ = poll(future.as_mut(), &refuses);
        });
        assert!(catch_unwind(AssertUnwindSafe(|| rx.try_recv())).is_err());
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), (0..=capacity).collect::<Vec<_>>());
    }
}

/// A channel with a gate at each end, across many of its blocks.
#[test]
fn overflow_and_returns_across_blocks() {
    let fallen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fallen);
    let (tx, rx) = channel::builder()
        .capacity(9)
        .overflow(Overflow::DropOldest)
        .on_undelivered(move |value: usize| {
            assert_eq!(counted.fetch_add(1, Ordering::SeqCst), value, "the oldest falls out");
        })
        .build();
    (0..1000).for_each(|n| tx.send(n).unwrap());
    assert_eq!(fallen.load(Ordering::SeqCst), 991);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), (991..1000).collect::<Vec<_>>());

    let (tx, rx) = channel::bounded(9);
    for round in 0..100 {
        let mut receiving = Box::pin(rx.recv_async());
        assert!(poll(receiving.as_mut(), Waker::noop()).is_pending());
        let first = round * 10;
        (first..first + 10).for_each(|n| tx.try_send(n).unwrap());
        assert!(tx.try_send(0).is_err());
        // The first one was given to the future, and comes back in front of the others.
        drop(receiving);
        assert_eq!(rx.len(), 10);
        assert!(tx.try_send(0).is_err());
        assert_eq!(rx.recv(), Ok(first));
        assert!(tx.try_send(0).is_err());
        let all: Vec<_> = rx.try_iter().collect();
        assert_eq!(all, (first + 1..first + 10).collect::<Vec<_>>());
    }
}
