//! What ends a process or needs one of its own: overflows and exhausted limits.

use crate::error::StackError;
use crate::stack::{Stack, StackCache, StackSize, ThreadAltStack, guard, stats};
use crate::sys::limits;
use crate::sys::memory::page_size;
use crate::sys::tests::{died_of, in_child, in_child_after, lock_future_memory, text};
use std::panic::Location;
use std::ptr::NonNull;

const SIGABRT: i32 = 6;

/// Accesses `offset` bytes above the base of a labelled stack.
fn access(stack: &Stack, name: Option<&str>, offset: usize) {
    let _alternate = ThreadAltStack::install().unwrap();
    stack.set_label(4711, name, Location::caller());
    // SAFETY: none for the guard; the fault is the point, and volatile keeps it.
    unsafe { stack.base().add(offset).write_volatile(1) };
}

#[test]
fn access_to_the_guard_is_reported() {
    if let Some(output) = in_child("stack::tests::children::access_to_the_guard_is_reported") {
        let text = text(&output);
        assert!(died_of(&output, SIGABRT), "{text}");
        assert!(text.contains("kcoro: coroutine 4711 \"reader\" (spawned at "), "{text}");
        assert!(text.contains("children.rs:"), "{text}");
        assert!(text.contains("its stack: 16777216 bytes, guard "), "{text}");
        assert!(text.contains(", fault address 0x"), "{text}");
        return;
    }
    let cache = StackCache::new();
    // The number of a slot in its class, not in its region, decides where the header is: the tenth
    // of this size is in the third region.
    let size = StackSize::new(16 << 20).unwrap();
    let mut stacks: Vec<Stack> = (0..10).map(|_| cache.acquire(size).unwrap()).collect();
    let stack = stacks.pop().unwrap();
    access(&stack, Some("reader"), stack.guard() - 1);
}

#[test]
fn lowest_byte_of_the_guard_faults() {
    if let Some(output) = in_child("stack::tests::children::lowest_byte_of_the_guard_faults") {
        let text = text(&output);
        assert!(died_of(&output, SIGABRT), "{text}");
        assert!(text.contains("kcoro: coroutine 4711 (spawned at "), "{text}");
        return;
    }
    let stack = StackCache::new().acquire(StackSize::new(StackSize::MIN).unwrap()).unwrap();
    access(&stack, None, 0);
}

#[test]
fn mapped_guard_faults() {
    if let Some(output) = in_child("stack::tests::children::mapped_guard_faults") {
        let text = text(&output);
        assert!(died_of(&output, SIGABRT), "{text}");
        assert!(text.contains("kcoro: coroutine 4711 \"mapped\""), "{text}");
        assert!(text.contains("its stack: 262144 bytes, guard "), "{text}");
        return;
    }
    guard::use_mappings();
    let stack = StackCache::new().acquire(StackSize::DEFAULT).unwrap();
    access(&stack, Some("mapped"), 0);
}

#[test]
fn stale_name_does_not_stop_the_report() {
    if let Some(output) = in_child("stack::tests::children::stale_name_does_not_stop_the_report") {
        let text = text(&output);
        assert!(died_of(&output, SIGABRT), "{text}");
        assert!(text.contains("kcoro: coroutine 4711 \"\" (spawned at "), "{text}");
        return;
    }
    let stack = StackCache::new().acquire(StackSize::DEFAULT).unwrap();
    let name = vec![b'x'; 8];
    let name = std::str::from_utf8(&name).unwrap();
    // A page that is not mapped takes the place of a freed name.
    let stale = NonNull::new(std::ptr::without_provenance_mut::<u8>(0x1234_5000)).unwrap();
    stack.set_stale_label(4711, stale, name.len(), Location::caller());
    let _alternate = ThreadAltStack::install().unwrap();
    // SAFETY: none; the fault is the point.
    unsafe { stack.base().write_volatile(1) };
}

#[test]
fn guard_survives_trim() {
    if let Some(output) = in_child("stack::tests::children::guard_survives_trim") {
        assert!(died_of(&output, SIGABRT), "{}", text(&output));
        assert!(text(&output).contains("kcoro: coroutine 4711 \"again\""), "{}", text(&output));
        return;
    }
    let cache = StackCache::new();
    drop(cache.acquire(StackSize::DEFAULT).unwrap());
    assert_eq!(crate::stack::trim(0), 1);
    let again = cache.acquire(StackSize::DEFAULT).unwrap();
    access(&again, Some("again"), 0);
}

#[test]
fn locked_memory_still_has_guards() {
    if let Some(output) = in_child("stack::tests::children::locked_memory_still_has_guards") {
        let skipped = text(&output).contains("may not lock memory");
        assert!(skipped || died_of(&output, SIGABRT), "{}", text(&output));
        return;
    }
    let kind = guard::kind();
    if !lock_future_memory() {
        return println!("may not lock memory");
    }
    let stack = StackCache::new().acquire(StackSize::DEFAULT).unwrap();
    assert!(
        kind == guard::GuardKind::Mapping || guard::mapped() == 0,
        "the cheap guard was refused"
    );
    assert!(stack.high_water() <= 2 * page_size(), "the region was faulted in");
    access(&stack, Some("locked"), 0);
}

#[test]
#[cfg_attr(
    any(kcoro_asan, kcoro_tsan),
    ignore = "the shadow of a sanitizer takes more address space than any limit"
)]
fn exhausted_address_space_is_an_error() {
    let test = "stack::tests::children::exhausted_address_space_is_an_error";
    if let Some(output) = in_child_after("ulimit -v 2000000", test) {
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("RLIMIT_AS, which is 2048000000 bytes"), "{text}");
        return;
    }
    let cache = StackCache::new();
    let size = StackSize::new(16 << 20).unwrap();
    let mut stacks = Vec::new();
    let error = loop {
        match cache.acquire(size) {
            Ok(stack) => stacks.push(stack),
            Err(error) => break error,
        }
    };
    println!("{error}, after {} stacks", stacks.len());
    assert!(matches!(error, StackError::AddressSpace { limit: 2_048_000_000, .. }), "{error:?}");
    // What was had still works, and is had again.
    cache.release(stacks.pop().unwrap());
    cache.acquire(size).unwrap();
}

#[test]
fn exhausted_mappings_are_an_error() {
    if let Some(output) = in_child("stack::tests::children::exhausted_mappings_are_an_error") {
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        return;
    }
    if limits::max_map_count().is_none_or(|limit| limit > 100_000) {
        return println!("too many mappings are allowed here");
    }
    guard::use_mappings();
    let cache = StackCache::new();
    let size = StackSize::new(64 << 10).unwrap();
    let mut stacks = Vec::new();
    let error = loop {
        match cache.acquire(size) {
            Ok(stack) => stacks.push(stack),
            Err(error) => break error,
        }
    };
    println!("{error}, after {} stacks", stacks.len());
    assert!(matches!(error, StackError::Mappings { .. }), "{error:?}");
    cache.release(stacks.pop().unwrap());
    cache.acquire(size).unwrap();
}

#[test]
fn many_stacks_are_few_mappings() {
    if let Some(output) = in_child("stack::tests::children::many_stacks_are_few_mappings") {
        assert!(output.status.success(), "{}", text(&output));
        return;
    }
    let before = limits::map_count().unwrap();
    let cache = StackCache::new();
    let stacks: Result<Vec<Stack>, _> =
        (0..100_000).map(|_| cache.acquire(StackSize::DEFAULT)).collect();
    match (stats().guard, stacks) {
        (guard::GuardKind::Mapping, stacks) => assert!(stacks.is_err()),
        (guard::GuardKind::PageTable, stacks) => {
            assert_eq!(stacks.unwrap().len(), 100_000);
            let added = limits::map_count().unwrap() - before;
            // ThreadSanitizer maps memory of its own for them.
            let bound = if cfg!(kcoro_tsan) { 200 } else { 60 };
            assert!(added < bound, "{added} mappings");
        }
    }
}
