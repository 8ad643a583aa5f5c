//! What a runtime says about its coroutines while they run.

use std::time::Duration;

use kcoro::coroutine::{State, WaitReason};
use kcoro::{Builder, channel};

use super::support::watched;

#[test]
fn a_dump_names_who_waits_for_what() {
    let (rt, _dog) = watched("a_dump_names_who_waits_for_what", 2);
    let (tx, rx) = channel::bounded::<()>(1);
    let receiver =
        rt.spawn_with(Builder::new().name("receiver"), move || rx.recv().is_err()).unwrap();
    let id = receiver.id();
    let joiner = rt.spawn(move || receiver.join().unwrap());
    let sleeper = rt.spawn(|| {
        kcoro::sleep_cancellable(Duration::MAX, &kcoro::cancel_token()).unwrap_err();
    });
    let observer = rt.observer();
    let dump = loop {
        let dump = observer.dump(Duration::from_secs(60));
        if dump.coroutines().filter(|c| c.state == State::Parked).count() == 3 {
            break dump;
        }
    };
    assert_eq!(dump.alive, 3);
    let find = |reason| dump.coroutines().find(|c| c.reason == reason).unwrap();
    assert_eq!(find(WaitReason::Recv).name.as_deref(), Some("receiver"));
    assert_eq!(find(WaitReason::Join).waits_on, id);
    assert_eq!(find(WaitReason::Sleep).id, sleeper.id());
    assert!(dump.to_string().contains("\"receiver\""), "{dump}");
    // From a coroutine of the runtime itself, which it names as well.
    let inner = observer.clone();
    let count = rt.spawn(move || inner.dump(Duration::from_secs(60)).coroutines().count());
    assert_eq!(count.join().unwrap(), 4);
    sleeper.cancel();
    sleeper.join().unwrap();
    drop(tx);
    assert!(joiner.join().unwrap());
    drop(rt);
    assert_eq!(observer.alive(), 0);
}

#[test]
fn a_stuck_worker_is_named() {
    let (rt, _dog) = watched("a_stuck_worker_is_named", 2);
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let (started, wait) = std::sync::mpsc::channel();
    let stuck = rt.spawn(move || {
        started.send(()).unwrap();
        receive.recv().unwrap(); // blocks the worker's thread
    });
    wait.recv().unwrap();
    let dump = rt.observer().dump(Duration::from_millis(100));
    assert_eq!(dump.stuck_workers().count(), 1, "{dump}");
    send.send(()).unwrap();
    stuck.join().unwrap();
    assert_eq!(rt.observer().dump(Duration::from_secs(60)).stuck_workers().count(), 0);
}
