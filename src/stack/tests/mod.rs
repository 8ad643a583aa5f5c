//! Stacks against a real kernel.

mod children;

use super::{Stack, StackCache, StackSize, ThreadAltStack, stats, trim};
use crate::error::StackError;
use crate::sys::memory::page_size;
use crate::sys::signal::alternate_stack;
use std::panic::Location;
use std::thread;

/// Touches the page below the top, as the first frames would.
fn touch(stack: &Stack) {
    // SAFETY: the stack is owned and its usable part is writable.
    unsafe { stack.top().sub(8).cast::<u64>().write_volatile(0x5eed) };
}

#[test]
fn last_released_is_first_acquired() {
    let cache = StackCache::new();
    let first = cache.acquire(StackSize::DEFAULT).unwrap();
    let second = cache.acquire(StackSize::DEFAULT).unwrap();
    let top = second.top();
    assert_ne!(first.top(), top);
    cache.release(first);
    cache.release(second);
    assert_eq!(cache.acquire(StackSize::DEFAULT).unwrap().top(), top);
}

#[test]
fn layout() {
    let cache = StackCache::new();
    for shift in 14..=26 {
        let size = StackSize::new(1 << shift).unwrap();
        let stack = cache.acquire(size).unwrap();
        touch(&stack);
        assert!(stack.size() >= 1 << shift);
        assert_eq!(stack.top().addr().get() % 64, 0);
        let end = stack.base().addr().get() + stack.size();
        let above = end - stack.top().addr().get();
        assert!((64..=2048).contains(&above), "{above}");
        assert_eq!(stack.usable() + stack.guard() + above, stack.size());
        stack.set_label(7, Some("layout"), Location::caller());
        cache.release(stack);
    }
}

#[test]
fn neighbours_have_different_colours() {
    let cache = StackCache::new();
    let size = StackSize::new(32 << 10).unwrap();
    let stacks: Vec<Stack> = (0..32).map(|_| cache.acquire(size).unwrap()).collect();
    let mut tops: Vec<usize> = stacks.iter().map(|s| s.top().addr().get() % 4096).collect();
    tops.sort_unstable();
    tops.dedup();
    assert!(tops.len() >= 16, "{}", tops.len());
}

#[test]
fn sizes_are_checked() {
    assert_eq!(
        StackSize::new(0),
        Err(StackError::TooSmall { requested: 0, minimum: StackSize::MIN })
    );
    assert_eq!(
        StackSize::new(usize::MAX),
        Err(StackError::TooLarge { requested: usize::MAX, maximum: StackSize::MAX })
    );
    assert_eq!(StackSize::new(256 << 10).unwrap(), StackSize::DEFAULT);
    assert_eq!(StackSize::new((128 << 10) + 1).unwrap(), StackSize::DEFAULT);
}

#[test]
fn leaks_are_counted() {
    let cache = StackCache::new();
    let before = stats().leaked;
    cache.acquire(StackSize::DEFAULT).unwrap().leak();
    assert!(stats().leaked > before);
}

#[test]
fn trim_and_overflow_into_the_pool() {
    let cache = StackCache::new();
    let size = StackSize::new(128 << 10).unwrap();
    let stacks: Vec<Stack> = (0..5000).map(|_| cache.acquire(size).unwrap()).collect();
    stacks.iter().for_each(touch);
    stacks.into_iter().for_each(|stack| cache.release(stack));
    assert!(cache.len() <= 64);
    trim(0);
    let again: Vec<Stack> = (0..5000).map(|_| cache.acquire(size).unwrap()).collect();
    again.iter().for_each(touch);
}

#[test]
fn high_water_is_the_deepest_touch() {
    let cache = StackCache::new();
    let stack = cache.acquire(StackSize::new(2 << 20).unwrap()).unwrap();
    touch(&stack);
    let shallow = stack.high_water();
    assert!((page_size()..=2 * page_size()).contains(&shallow), "{shallow}");
    // SAFETY: a megabyte below the top of two is writable.
    unsafe { stack.top().sub(1 << 20).write_volatile(1) };
    let deep = stack.high_water();
    assert!((1 << 20..=(1 << 20) + 2 * page_size() + 2048).contains(&deep), "{deep}");
    // SAFETY: the lowest byte above the guard is writable.
    unsafe { stack.bottom().write_volatile(1) };
    assert_eq!(stack.high_water(), stack.size() - stack.guard());
}

#[test]
fn trim_gives_pages_back() {
    let size = StackSize::new(4 << 20).unwrap();
    let cache = StackCache::new();
    let stack = cache.acquire(size).unwrap();
    // SAFETY: the lowest byte above the guard is writable.
    unsafe { stack.bottom().write_volatile(1) };
    cache.release(stack);
    drop(cache);
    trim(0);
    let cache = StackCache::new();
    let again = cache.acquire(size).unwrap();
    touch(&again);
    assert!(again.high_water() <= 2 * page_size(), "{}", again.high_water());
}

#[test]
fn idle_stacks_are_bounded() {
    let size = StackSize::new(8 << 20).unwrap();
    let bound = super::pool::warm_bound(size.class());
    let cache = StackCache::new();
    let stacks: Vec<Stack> = (0..4 * bound).map(|_| cache.acquire(size).unwrap()).collect();
    stacks.into_iter().for_each(|stack| cache.release(stack));
    assert_eq!(cache.len(), 2, "a thread keeps few large ones");
    drop(cache);
    // Where a runtime of another test has asked the kernel's thread to do it: in two periods.
    super::decay();
    super::decay();
    assert!(super::pool::warm_count(size.class()) < 2 * bound);
}

#[test]
fn stacks_move_between_threads() {
    let stacks: Vec<Stack> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let cache = StackCache::new();
                    (0..200).map(|_| cache.acquire(StackSize::DEFAULT).unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut bases: Vec<usize> = stacks.iter().map(|stack| stack.base().addr().get()).collect();
    bases.sort_unstable();
    bases.dedup();
    assert_eq!(bases.len(), 800);
    let cache = StackCache::new();
    stacks.into_iter().for_each(|stack| cache.release(stack));
    assert!(cache.len() <= 64);
}

#[test]
fn raw_form_is_the_same_stack() {
    let cache = StackCache::new();
    let top = cache.acquire(StackSize::DEFAULT).unwrap().into_top();
    // SAFETY: from `into_top`, once.
    let stack = unsafe { Stack::from_top(top) };
    assert_eq!(stack.top(), top);
    cache.release(stack);
}

#[test]
fn alternate_stack_is_given_and_restored() {
    thread::spawn(|| {
        let before = alternate_stack();
        let ours = ThreadAltStack::install().unwrap();
        assert!(alternate_stack().unwrap().bytes >= 64 * 1024);
        let inner = ThreadAltStack::install().unwrap();
        drop(inner);
        assert!(alternate_stack().unwrap().bytes >= 64 * 1024);
        drop(ours);
        assert_eq!(alternate_stack(), before);
    })
    .join()
    .unwrap();
}
