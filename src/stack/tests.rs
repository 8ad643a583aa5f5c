//! Stacks against a real kernel.

use super::{Stack, StackCache, StackSize, stats, trim};
use crate::error::StackError;
use std::panic::Location;

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
