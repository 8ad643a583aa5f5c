//! Regression, not marketing: what a switch, a generator, a life and a cached stack cost, each
//! compared with its own past. Rivals are in `lab/benches/versus_switch.rs`.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]

use criterion::{Criterion, criterion_group, criterion_main};
use kcoro::coroutine::{self, Coroutine, Task, yield_to};
use kcoro::raw::{self, FIRST_FRAME, Leave, RawStack, StackPointer};
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;

/// Two contexts that switch to each other for ever; the other one returns what it is given.
struct Pair {
    main: Cell<StackPointer>,
    other: Cell<StackPointer>,
    _stack: RawStack,
}

/// # Safety
///
/// - `pair` is the address of the [`Pair`] whose `other` this context is.
unsafe extern "C" fn echo_token(pair: usize, mut value: usize, _: usize) -> Leave {
    // SAFETY: the pair outlives the context, and each side switches to the other in turn.
    unsafe {
        let pair = &*(pair as *const Pair);
        loop {
            value = raw::token_switch(pair.other.as_ptr(), pair.main.get(), value, 0).value;
        }
    }
}

/// # Safety
///
/// - As [`echo_token`].
unsafe extern "C" fn echo_called(pair: usize, mut value: usize, _: usize) -> Leave {
    // SAFETY: as above.
    unsafe {
        let pair = &*(pair as *const Pair);
        loop {
            value = raw::call_switch(pair.other.as_ptr(), pair.main.get(), value, 0).value;
        }
    }
}

fn pair(stack: RawStack, init: impl FnOnce(usize, usize) -> StackPointer) -> Box<Pair> {
    let top = stack.top();
    assert!(top - FIRST_FRAME > stack.bottom());
    let pair = Box::new(Pair { main: Cell::new(0), other: Cell::new(0), _stack: stack });
    pair.other.set(init(top, &raw const *pair as usize));
    pair
}

fn switch(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch");
    let stack = || RawStack::new(64 * 1024).expect("a stack");
    // SAFETY: the stack is unused and large enough; the roots neither return nor unwind.
    let token = pair(stack(), |top, at| unsafe { raw::token_init(top, echo_token, at) });
    // SAFETY: as above.
    let called = pair(stack(), |top, at| unsafe { raw::call_init(top, echo_called, at) });
    group.bench_function("token, there and back", |b| {
        b.iter(|| {
            // SAFETY: the other side is suspended, in this form.
            unsafe { raw::token_switch(token.main.as_ptr(), token.other.get(), 1, 0).value }
        });
    });
    group.bench_function("called, there and back", |b| {
        b.iter(|| {
            // SAFETY: as above.
            unsafe { raw::call_switch(called.main.as_ptr(), called.other.get(), 1, 0).value }
        });
    });
    group.finish();
}

fn generator(c: &mut Criterion) {
    let mut group = c.benchmark_group("generator");
    let mut numbers = Coroutine::<u64, u64, ()>::new(|y, mut n| {
        loop {
            n = y.suspend(n + 1);
        }
    });
    group.bench_function("resume and yield a number", |b| b.iter(|| numbers.resume(black_box(1))));
    let mut blocks = Coroutine::<[u64; 32], [u64; 32], ()>::new(|y, mut block| {
        loop {
            block = y.suspend(block);
        }
    });
    group.bench_function("resume and yield 256 bytes", |b| {
        b.iter(|| blocks.resume(black_box([1; 32])));
    });
    group.finish();
}

fn task(c: &mut Criterion) {
    let mut group = c.benchmark_group("task");
    let yielding = Task::new(|| {
        loop {
            coroutine::yield_now();
        }
    });
    group.bench_function("resume and yield_now", |b| b.iter(|| yielding.resume()));
    let parking = Task::new(|| {
        loop {
            coroutine::park();
        }
    });
    group.bench_function("unpark, resume and park", |b| {
        b.iter(|| {
            parking.unpark();
            parking.resume()
        });
    });
    let target = Rc::new(Task::new(|| {
        loop {
            coroutine::yield_now();
        }
    }));
    let through = Task::new(move || {
        loop {
            let _ = yield_to(&target);
        }
    });
    group.bench_function("resume, yield_to and yield_now", |b| b.iter(|| through.resume()));
    group.finish();
}

fn life(c: &mut Criterion) {
    let mut group = c.benchmark_group("life");
    group.bench_function("generator", |b| {
        b.iter(|| Coroutine::<(), (), u64>::new(|_, ()| black_box(1)).resume(()));
    });
    group.bench_function("generator, unwound", |b| {
        b.iter(|| Coroutine::<(), (), ()>::new(|y, ()| y.suspend(())).resume(()));
    });
    group.bench_function("task", |b| b.iter(|| Task::new(|| _ = black_box(1)).resume()));
    group.bench_function("stack from the thread's cache", |b| b.iter(raw::take_and_give_back));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).without_plots();
    targets = switch, generator, task, life
}
criterion_main!(benches);
