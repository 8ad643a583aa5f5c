//! The arena at its edges and under threads; `model` runs random programs.
//!
//! Long because: one list of tests shares the model and the watchdog at its top.

use super::refcount::{RefWord, Released, Retained, Sound};
use super::*;
use crate::error::{ArenaError, RegionError, StaleDescriptor};
use crate::prim::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

mod model;

/// Ends the process if what it guards hangs; dropped, it goes.
struct Watchdog(#[allow(dead_code, reason = "its drop is the signal")] mpsc::Sender<()>);

fn watchdog(arena: &Arena) -> Watchdog {
    let (alive, done) = mpsc::channel();
    let arena = arena.clone();
    std::thread::spawn(move || {
        if done.recv_timeout(Duration::from_secs(120)) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("the test hangs: {:#?}", arena.stats());
            std::process::abort();
        }
    });
    Watchdog(alive)
}

/// Everything is given back: what the last payload leaves behind.
fn assert_empty(arena: &Arena) {
    let stats = arena.stats();
    assert_eq!((stats.depth, stats.bytes, stats.used.unwrap_or(0)), (0, 0, 0), "{stats:?}");
    assert_eq!((stats.large, stats.large_bytes, stats.aliases, stats.spilled), (0, 0, 0, 0));
    assert!(stats.classes.iter().all(|class| class.live == 0), "{stats:?}");
}

#[test]
fn every_length_around_every_class_keeps_its_bytes() {
    let arena = Arena::new();
    let around = |n: usize| [n - 1, n, n + 1];
    let sizes = [64, 256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 3 << 20];
    let lengths = sizes.into_iter().flat_map(around).chain([0, 1]);
    let payloads: Vec<_> = lengths
        .enumerate()
        .map(|(n, length)| (n as u8, length, arena.copy(&vec![n as u8; length]).unwrap()))
        .collect();
    for (n, length, payload) in &payloads {
        assert_eq!(payload.len(), *length);
        assert!(payload.iter().all(|byte| byte == n));
        assert_eq!(payload.as_ptr().align_offset(64), 0);
    }
    assert_eq!(arena.stats().large, 4);
    for absurd in [usize::MAX, isize::MAX as usize, usize::MAX - 5000] {
        assert!(matches!(arena.alloc(absurd), Err(ArenaError::Map { .. })));
    }
    drop(payloads);
    assert_empty(&arena);
}

#[test]
fn limit_refuses_and_says_what_to_do() {
    let arena = Arena::builder().limit(1 << 20).build();
    let mut held: Vec<_> = (0..1024).map(|_| arena.alloc(1000).unwrap()).collect();
    let error = arena.alloc(1).unwrap_err();
    assert_eq!(error, ArenaError::Full { requested: 64, used: 1 << 20, limit: 1 << 20 });
    assert!(error.to_string().contains("on_room"), "{error}");
    assert!(arena.alloc(2 << 20).is_err(), "a payload with a mapping of its own counts as well");
    held.truncate(1023);
    assert!(arena.alloc(1000).is_ok());
    assert!(arena.alias(vec![0; 1 << 21]).is_ok(), "foreign memory does not count");
    assert_eq!(arena.stats().refused, 2);
    drop(held);
    assert_empty(&arena);
    drop(arena.alloc(1 << 20).unwrap());
    assert_empty(&arena);
}

#[test]
fn on_room_wakes_once_and_only_if_full() {
    let arena = Arena::builder().limit(128).build();
    let (wake, woken) = mpsc::channel();
    let waiter = |n: u32| {
        let wake = wake.clone();
        move || wake.send(n).unwrap()
    };
    assert!(!arena.on_room(64, waiter(0)), "there is room");
    let held = (arena.copy(b"a").unwrap(), arena.copy(b"b").unwrap());
    assert!(arena.on_room(64, waiter(1)) && arena.on_room(64, waiter(2)));
    assert!(woken.try_recv().is_err());
    drop(held.0);
    assert_eq!(woken.try_iter().collect::<Vec<_>>(), [1, 2]);
    drop(held.1);
    assert!(woken.try_recv().is_err());
    assert!(!Arena::new().on_room(64, waiter(3)), "no limit, nothing to wait for");
}

#[test]
fn a_wait_for_room_that_is_given_up_leaves_nothing() {
    let arena = Arena::builder().limit(64).build();
    let _held = arena.copy(b"all there is").unwrap();
    let kept = Arc::new(());
    for _ in 0..3 {
        let share = Arc::clone(&kept);
        let wait = arena.wait_for_room(1, move || drop(share));
        assert!(wait.is_some());
        drop(wait);
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}

/// Threads that wait for room with `on_room` alone: none is forgotten.
#[test]
fn waiters_for_room_all_get_it() {
    let arena = Arena::builder().limit(2 * 64).build();
    let _watchdog = watchdog(&arena);
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let payload = loop {
                        match arena.alloc(10) {
                            Ok(payload) => break payload,
                            Err(_) => {
                                let waiting = std::thread::current();
                                if arena.on_room(10, move || waiting.unpark()) {
                                    std::thread::park();
                                }
                            }
                        }
                    };
                    std::thread::yield_now();
                    drop(payload);
                }
            });
        }
    });
    assert_empty(&arena);
}

struct Noisy(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Noisy {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
        if self.0.is_empty() {
            panic!("the owner's drop panics");
        }
    }
}

#[test]
fn alias_drops_its_owner_once_after_the_last_reference() {
    let (arena, drops) = (Arena::new(), Arc::new(AtomicUsize::new(0)));
    let payload = arena.alias(Noisy(vec![1, 2, 3], drops.clone())).unwrap();
    let (mut copy, part) = (payload.clone(), payload.slice(1..));
    assert!(copy.get_mut().is_none() && copy.clone().try_into_mut().is_err());
    drop(payload);
    drop(arena);
    drop(copy);
    assert_eq!((part.to_vec(), drops.load(Ordering::Relaxed)), (vec![2, 3], 0));
    std::thread::spawn(move || drop(part)).join().unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), 1);

    let arena = Arena::new();
    let payload = arena.alias(Noisy(Vec::new(), drops.clone())).unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload)));
    assert!(panic.is_err());
    assert_eq!(drops.load(Ordering::Relaxed), 2);
    assert_empty(&arena);

    let inline = arena.alias([7_u8; 24]).unwrap();
    assert_eq!(inline, [7; 24]);
    let bytes: &'static [u8] = b"raw";
    let (done, released) = mpsc::channel();
    // SAFETY: the bytes are constant.
    let raw = unsafe {
        arena.alias_raw(std::ptr::NonNull::from(bytes).cast(), 3, move || done.send(()).unwrap())
    };
    assert_eq!(raw.unwrap(), *b"raw");
    released.try_recv().unwrap();
}

#[test]
fn payloads_outlive_arena_and_threads() {
    let arena = Arena::new();
    let other = arena.clone();
    let payloads = std::thread::spawn(move || {
        (0..200_u8).map(|n| other.copy(&[n; 100]).unwrap()).collect::<Vec<_>>()
    });
    let payloads = payloads.join().unwrap();
    assert_eq!(arena.stats().depth, 200);
    let name = payloads[7].descriptor();
    assert_eq!(arena.resolve(name).unwrap(), payloads[7]);
    drop(arena);
    assert!(payloads.iter().enumerate().all(|(n, payload)| *payload == [n as u8; 100]));
    std::thread::spawn(move || drop(payloads)).join().unwrap();
    for _ in 0..100 {
        let arena = Arena::new();
        drop((arena.copy(b"x").unwrap(), arena));
    }
    release_thread();
}

#[test]
fn forged_descriptors_are_stale() {
    let arena = Arena::new();
    let payload = arena.copy(b"never named").unwrap();
    let named = arena.copy(b"named").unwrap();
    let name = named.descriptor().to_u64();
    for bits in (0..64).map(|bit| name ^ 1 << bit).chain([0, u64::MAX, 8 << 60, 9 << 60, 15 << 60])
    {
        assert_eq!(arena.resolve(Descriptor::from_u64(bits)).unwrap_err(), StaleDescriptor);
    }
    assert_eq!(payload.references(), 1);
}

#[test]
fn saturated_count_leaks_instead_of_freeing() {
    let word = RefWord::<Sound>::new(0);
    word.begin();
    word.set_count((1 << 30) - 2);
    assert_eq!(word.retain(), Retained::Counted);
    assert_eq!(word.retain(), Retained::BecameSticky);
    let stuck = word.count();
    word.expose();
    assert_eq!((word.retain(), word.try_retain(0)), (Retained::Counted, Some(Retained::Counted)));
    assert!((0..10).all(|_| word.release() == Released::Shared) && !word.try_unique());
    assert_eq!(word.count(), stuck);

    let last = RefWord::<Sound>::new(u32::MAX);
    last.begin();
    assert_eq!(last.expose(), u32::MAX);
    assert!(!last.try_unique(), "there is no generation to go to");
    assert_eq!(last.release(), Released::Last);
    assert!(!last.retire(), "and no life either");
}

#[test]
fn spilled_payloads_are_like_others() {
    let arena = Arena::builder().limit(4096).spill_above(1000).build();
    let mut held = Vec::new();
    for n in 0..10_u8 {
        held.push(arena.copy(&vec![n; 100_000 * n as usize + 1001]).unwrap());
    }
    let stats = arena.stats();
    assert_eq!((stats.spilled, stats.spills, stats.used), (10, 10, Some(0)));
    assert!(held.iter().enumerate().all(|(n, p)| p.iter().all(|&byte| byte as usize == n)));
    held[3].make_mut().unwrap()[0] = 9;
    assert_eq!(arena.resolve(held[3].descriptor()).unwrap()[0], 9);
    drop(held);
    assert_empty(&arena);
    let lost = Arena::builder().spill_above(10).spill_dir("/nonexistent").build();
    assert!(matches!(lost.alloc(11), Err(ArenaError::Spill { bytes: 11, .. })));
    assert_empty(&lost);
}

#[test]
fn trim_gives_pages_back_and_blocks_stay_usable() {
    let arena = Arena::new();
    drop((0..8).map(|_| arena.copy(&[1; 1 << 20]).unwrap()).collect::<Vec<_>>());
    release_thread();
    assert_eq!((arena.trim(), arena.trim()), (8 << 20, 0));
    let again: Vec<_> = (0..8).map(|_| arena.alloc(1 << 20).unwrap()).collect();
    assert!(again.iter().all(|payload| payload.iter().all(|&byte| byte == 0)));
    assert_eq!(arena.trim(), 0);
}

#[test]
fn many_blocks_span_chunks_and_are_all_distinct() {
    let count = if cfg!(miri) { 3_000 } else { 50_000_u64 };
    let arena = Arena::new();
    let held: Vec<_> = (0..count).map(|n| arena.copy(&n.to_le_bytes()).unwrap()).collect();
    let names: Vec<_> = held.iter().map(Payload::descriptor).collect();
    for (n, name) in names.iter().enumerate() {
        assert_eq!(arena.resolve(*name).unwrap(), (n as u64).to_le_bytes());
    }
    let class = arena.stats().classes[0];
    assert_eq!((class.live as u64, class.high_water >= class.live), (count, true));
    drop(held);
    assert!(names.iter().all(|&name| arena.resolve(name).is_err()));
    assert_empty(&arena);
    let again: Vec<_> = (0..count).map(|_| arena.alloc(64).unwrap()).collect();
    assert!(arena.stats().classes[0].blocks <= class.blocks, "the same blocks again");
    drop(again);
}

#[test]
fn stream_between_threads_recycles_a_handful_of_blocks() {
    let count = if cfg!(miri) { 500 } else { 100_000_u32 };
    let arena = Arena::new();
    let _watchdog = watchdog(&arena);
    let (send, receive) = mpsc::sync_channel(16);
    std::thread::scope(|scope| {
        let arena = &arena;
        scope.spawn(move || {
            for n in 0..count {
                send.send(arena.copy(&n.to_le_bytes()).unwrap()).unwrap();
            }
        });
        for (n, payload) in receive.iter().enumerate() {
            assert_eq!(payload, (n as u32).to_le_bytes());
        }
    });
    // Two full magazines, the queue, and what is under way.
    assert!(arena.stats().classes[0].blocks <= 3 * 64, "{:?}", arena.stats());
    assert_empty(&arena);
}

/// Producers, consumers and resolvers over queues: every byte right, nothing left.
#[test]
fn thread_stress() {
    let arena = Arena::new();
    let _watchdog = watchdog(&arena);
    let rounds = if cfg!(miri) { 30 } else { 20_000_u64 };
    std::thread::scope(|scope| {
        let (names, named) = mpsc::channel::<Descriptor>();
        for seed in 0..2_u64 {
            let (send, receive) = mpsc::sync_channel::<Payload>(64);
            let (arena, names) = (&arena, names.clone());
            scope.spawn(move || {
                for n in 0..rounds {
                    let length = (n * 7 + seed) as usize % 700 + 8;
                    let mut bytes = arena.alloc(length).unwrap();
                    bytes.fill(length as u8);
                    let payload = bytes.freeze();
                    if n % 8 == 0 {
                        names.send(payload.descriptor()).unwrap();
                    }
                    send.send(if n % 3 == 0 { payload.slice(4..) } else { payload }).unwrap();
                }
            });
            scope.spawn(move || {
                for mut payload in receive {
                    let value = payload[0];
                    assert!(payload.iter().all(|&byte| byte == value));
                    let kept = payload.clone();
                    assert!(payload.get_mut().is_none());
                    drop(kept);
                    if let Ok(mut own) = payload.try_into_mut() {
                        own.fill(0);
                        own.fill(value);
                    }
                }
            });
        }
        drop(names);
        let arena = &arena;
        scope.spawn(move || {
            for name in named {
                if let Ok(payload) = arena.resolve(name) {
                    assert!(payload.iter().all(|&byte| byte == payload.len() as u8));
                }
            }
        });
    });
    assert_empty(&arena);
}

#[test]
fn region_claims_exclude_each_other_and_close_waits() {
    let region = Region::register(10_000).unwrap();
    let mut writer = region.write(100..200).unwrap();
    assert_eq!(region.slice(199..300).unwrap_err(), RegionError::Busy);
    assert_eq!(region.write(0..101).unwrap_err(), RegionError::Busy);
    assert_eq!(region.slice(200..300).unwrap().len(), 100);
    assert!(matches!(region.slice(9_999..10_001), Err(RegionError::OutOfBounds { .. })));
    writer.fill(5);
    let slice = writer.freeze();
    assert_eq!(region.write(150..151).unwrap_err(), RegionError::Busy);
    let part = slice.slice(10..20);
    let handle = part.handle();
    assert_eq!((handle.offset, handle.length), (110, 10));
    assert_eq!(handle.resolve().unwrap()[..], [5; 10]);
    assert!(RegionHandle { offset: usize::MAX, ..handle }.resolve().is_err());
    drop(slice);
    assert_eq!(region.outstanding(), 1, "the part keeps the claim");

    let arena = Arena::new();
    let _watchdog = watchdog(&arena);
    let payload = arena.alias(part).unwrap();
    let outstanding = RegionError::Outstanding { slices: 1 };
    assert_eq!(region.close_timeout(Duration::from_millis(1)), Err(outstanding));
    assert_eq!(region.slice(0..1).unwrap_err(), RegionError::Closed);
    assert_eq!(handle.resolve().unwrap_err(), RegionError::Closed);
    let dropper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(payload, [5; 10]);
        drop(payload);
    });
    region.close();
    assert_eq!(region.close_timeout(Duration::MAX), Ok(()));
    dropper.join().unwrap();
    assert_empty(&arena);
    assert_eq!(Region::register(0).unwrap().slice(0..0).unwrap().len(), 0);
}

#[test]
fn mapped_file_keeps_what_was_written() {
    let path = std::env::temp_dir().join(format!("kcoro-region-{}", std::process::id()));
    // SAFETY: nobody else knows the file.
    let region = unsafe { Region::map_file(&path, 5_000) }.unwrap();
    region.write(4_000..4_005).unwrap().copy_from_slice(b"hello");
    region.close();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!((bytes.len(), &bytes[4_000..4_005]), (5_000, &b"hello"[..]));
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Payload>();
    shared::<PayloadMut>();
    shared::<Arena>();
    shared::<Region>();
    shared::<RegionSlice>();
    shared::<RegionSliceMut>();
};
