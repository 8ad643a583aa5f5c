//! Ends of runtimes and other corners of the scheduler, each of which once went wrong.

mod watchdog;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kcoro::runtime::Runtime;
use watchdog::watchdog;

const SOON: Duration = Duration::from_millis(1);

/// Waits on the calling thread until `what` holds.
fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::sleep(SOON);
    }
}

#[test]
fn who_refuses_to_unwind_is_not_revived() {
    let _dog = watchdog("who_refuses_to_unwind_is_not_revived");
    for receiver_first in [true, false] {
        let rt = Runtime::builder().workers(1).build().unwrap();
        let (tx, rx) = kcoro::channel::rendezvous::<u8>();
        let parked = Arc::new(AtomicU64::new(0));
        let (here, there) = (Arc::clone(&parked), Arc::clone(&parked));
        let receive = move || {
            here.fetch_add(1, Ordering::SeqCst);
            while catch_unwind(AssertUnwindSafe(|| rx.recv())).is_err() {}
        };
        // Its unwinding closes the channel, which wakes the receiver that was given up.
        let hold = move || {
            let _tx = tx;
            there.fetch_add(1, Ordering::SeqCst);
            kcoro::coroutine::park();
        };
        let (receiver, holder) = if receiver_first {
            let receiver = rt.spawn(receive);
            (receiver, rt.spawn(hold))
        } else {
            let holder = rt.spawn(hold);
            (rt.spawn(receive), holder)
        };
        wait_until(|| parked.load(Ordering::SeqCst) == 2);
        let report = rt.shutdown(SOON);
        let refused = report.stuck.iter().find(|s| s.id == receiver.id());
        // Who is given up has ended as far as others are concerned.
        let was_given_up = refused.is_some_and(|s| !s.unwound);
        assert_eq!(receiver.join().is_err(), was_given_up);
        assert!(holder.join().unwrap_err().is::<kcoro::runtime::Aborted>());
    }
}

#[test]
fn stacks_of_any_size_are_reported_unwound() {
    let _dog = watchdog("stacks_of_any_size_are_reported_unwound");
    const COUNT: usize = 300;
    for size in [64 * 1024, 256 * 1024] {
        let rt = Runtime::builder().workers(1).build().unwrap();
        let parked = Arc::new(AtomicU64::new(0));
        for _ in 0..COUNT {
            let parked = Arc::clone(&parked);
            let builder = kcoro::Builder::new().stack_size(size);
            let body = move || {
                parked.fetch_add(1, Ordering::SeqCst);
                kcoro::coroutine::park();
            };
            rt.spawn_with(builder, body).unwrap().detach();
        }
        wait_until(|| parked.load(Ordering::SeqCst) == COUNT as u64);
        let report = rt.shutdown(SOON);
        assert_eq!(report.stuck.len(), COUNT);
        assert_eq!(report.stuck.iter().filter(|s| !s.unwound).count(), 0, "of {size} bytes");
    }
}

#[test]
fn a_wake_up_on_its_way_at_the_end_is_awaited() {
    let _dog = watchdog("a_wake_up_on_its_way_at_the_end_is_awaited");
    for _ in 0..200 {
        let rt = Runtime::builder().workers(1).build().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let handle = rt.spawn(move || {
            tell.send(kcoro::coroutine::unparker()).unwrap();
            kcoro::coroutine::park();
        });
        let unparker = told.recv().unwrap();
        let waker = std::thread::spawn(move || unparker.unpark());
        let _ = rt.shutdown(Duration::ZERO);
        // Whether it was woken or unwound, it has ended.
        let _ = handle.join();
        waker.join().unwrap();
    }
}

#[test]
fn a_pair_that_never_rests_is_ended() {
    let _dog = watchdog("a_pair_that_never_rests_is_ended");
    kcoro::run(|| {
        let (there, here) = kcoro::channel::rendezvous::<u64>();
        kcoro::spawn_local(move || while there.send(1).is_ok() {}).detach();
        kcoro::spawn_local(move || while here.recv().is_ok() {}).detach();
        kcoro::sleep(SOON);
    });
    kcoro::run(|| {
        kcoro::spawn_local(|| {
            loop {
                kcoro::coroutine::yield_now();
            }
        })
        .detach();
        kcoro::sleep(SOON);
    });
}

#[test]
fn the_unwound_are_no_detached_panics() {
    let _dog = watchdog("the_unwound_are_no_detached_panics");
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    let rt = Runtime::builder()
        .workers(1)
        .on_detached_panic(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    let parked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&parked);
    rt.spawn(move || {
        seen.store(true, Ordering::SeqCst);
        kcoro::coroutine::park();
    })
    .detach();
    wait_until(|| parked.load(Ordering::SeqCst));
    let report = rt.shutdown(SOON);
    assert_eq!(report.stuck.len(), 1);
    assert_eq!(told.load(Ordering::SeqCst), 0);
}

#[test]
fn a_panic_before_the_handle_goes_is_told_too() {
    let _dog = watchdog("a_panic_before_the_handle_goes_is_told_too");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let handle = rt.spawn(|| panic!("early"));
    wait_until(|| handle.is_finished());
    handle.detach();
    assert_eq!(rt.metrics().detached_panics, 1);
    let joined = rt.spawn(|| panic!("joined")).join();
    assert_eq!(joined.unwrap_err().downcast_ref::<&str>(), Some(&"joined"));
    assert_eq!(rt.metrics().detached_panics, 1);
}

#[test]
fn local_jobs_do_not_starve_the_others() {
    let _dog = watchdog("local_jobs_do_not_starve_the_others");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    fn again(done: Arc<AtomicBool>) {
        if !done.load(Ordering::Relaxed) {
            kcoro::spawn_local(move || again(done)).detach();
        }
    }
    rt.run(move || {
        again(Arc::clone(&done));
        kcoro::spawn(move || done.store(true, Ordering::Relaxed)).join().unwrap();
    });
}

#[test]
fn a_waker_that_panics_leaves_the_account_right() {
    struct Bomb;
    impl std::task::Wake for Bomb {
        fn wake(self: Arc<Bomb>) {
            panic!("a waker that panics");
        }
    }
    let _dog = watchdog("a_waker_that_panics_leaves_the_account_right");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let go = Arc::new(AtomicBool::new(false));
    let wait = Arc::clone(&go);
    let mut handle = rt.spawn(move || {
        while !wait.load(Ordering::SeqCst) {
            kcoro::sleep(SOON);
        }
    });
    let waker = std::task::Waker::from(Arc::new(Bomb));
    let polled = std::pin::Pin::new(&mut handle).poll(&mut std::task::Context::from_waker(&waker));
    assert!(polled.is_pending());
    go.store(true, Ordering::SeqCst);
    assert!(rt.drain(Duration::from_secs(60)));
    assert!(handle.is_finished());
}

#[test]
fn generators_that_leave_runtimes_in_any_order() {
    let _dog = watchdog("generators_that_leave_runtimes_in_any_order");
    let enter = || {
        let mut generator = kcoro::coroutine::Coroutine::<(), (), ()>::new(|yielder, ()| {
            let rt = Runtime::builder().workers(1).build().unwrap();
            rt.block_on(async { yielder.suspend(()) });
        });
        let _ = generator.resume(());
        generator
    };
    let (first, second) = (enter(), enter());
    drop(first);
    drop(second);
    // The first one's runtime is gone: nothing may lead there.
    let spawned = kcoro::Builder::new().try_spawn(|| ());
    assert!(matches!(spawned, Err(kcoro::error::SpawnError::NoRuntime)), "{spawned:?}");
}

static CLONE_PANICS: AtomicBool = AtomicBool::new(false);

struct Fragile;

impl Clone for Fragile {
    fn clone(&self) -> Fragile {
        assert!(!CLONE_PANICS.swap(false, Ordering::SeqCst), "a clone that panics");
        Fragile
    }
}

kcoro::coroutine_local! {
    #[inherit]
    static FRAGILE: Fragile = Fragile;
}

/// An offer is made in the middle of a fork, or of a park: it runs no code of the program's, so a
/// clone that panics or waits can neither leave a fork behind nor disturb the wait.
#[test]
fn an_offer_clones_nothing() {
    let _dog = watchdog("an_offer_clones_nothing");
    let rt = Runtime::builder().workers(2).build().unwrap();
    rt.run(|| {
        FRAGILE.with(|_| ());
        CLONE_PANICS.store(true, Ordering::SeqCst);
        for _ in 0..200 {
            let (slept, there) = kcoro::join(|| kcoro::sleep(SOON), || 1);
            assert_eq!((slept, there), ((), 1));
            kcoro::join(|| (), || ());
        }
        assert!(CLONE_PANICS.swap(false, Ordering::SeqCst), "nothing was cloned");
        // A spawn still passes the value on.
        CLONE_PANICS.store(true, Ordering::SeqCst);
        let spawned = catch_unwind(AssertUnwindSafe(|| kcoro::spawn(|| ()).detach()));
        assert!(spawned.is_err());
        assert!(!CLONE_PANICS.load(Ordering::SeqCst));
    });
}
