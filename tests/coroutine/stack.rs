//! What lies on the stacks: alignment, depth, sentinels, backtraces.

use kcoro::coroutine::{self, Coroutine, CoroutineState, State, Task, Yielder};
use std::hint::black_box;

/// A multiple of four, the period of `sentinels`.
fn cycles() -> u64 {
    super::scaled(10_000).next_multiple_of(4) as u64
}

/// A local of the alignment that the ABI promises at entry, so that no code aligns it.
#[inline(never)]
fn misalignment() -> usize {
    #[repr(align(16))]
    struct Vector([u8; 16]);
    let vector = Vector([1; 16]);
    let address = black_box(&raw const vector).addr();
    black_box(vector.0[3]);
    address % 16
}

#[test]
fn simd_alignment_at_entry() {
    extern "C" fn foreign(depth: u32) -> usize {
        if depth == 0 { misalignment() } else { black_box(foreign(depth - 1)) }
    }
    let text = || format!("{:?} {:e}", black_box([1.5f64, -2.25]), black_box(1e300f64));
    let expected = text();
    let mut generator = Coroutine::<(), usize, usize>::new(move |y, ()| {
        y.suspend(misalignment());
        y.suspend(foreign(3));
        assert_eq!(text(), expected);
        misalignment()
    });
    assert_eq!(generator.resume(()), CoroutineState::Yielded(0));
    assert_eq!(generator.resume(()), CoroutineState::Yielded(0));
    assert_eq!(generator.resume(()), CoroutineState::Complete(0));
    let task = Task::new(|| {
        for _ in 0..3 {
            assert_eq!((misalignment(), foreign(2)), (0, 0));
            coroutine::yield_now();
        }
    });
    while task.resume().unwrap() != State::Finished {}
}

#[test]
fn deep_recursion() {
    fn dive(y: &Yielder<u64, u64>, depth: u64) -> u64 {
        let frame = black_box([depth; 16]);
        let below = if depth == 0 { y.suspend(0) } else { dive(y, depth - 1) };
        assert_eq!(black_box(frame), [depth; 16]);
        below + frame[7]
    }
    let depth = 2_000;
    let mut diver = Coroutine::<u64, u64, u64>::builder()
        .stack_size(8 << 20)
        .build(move |y, _| dive(y, depth) + dive(y, depth))
        .unwrap();
    assert_eq!(diver.resume(0), CoroutineState::Yielded(0));
    assert!(diver.stack_high_water() > 2_000 * 128);
    assert_eq!(diver.resume(5), CoroutineState::Yielded(0));
    assert_eq!(diver.resume(6), CoroutineState::Complete(11 + depth * (depth + 1)));
    // Unwound from the depth.
    let mut diver = Coroutine::<u64, u64, u64>::builder()
        .stack_size(8 << 20)
        .build(move |y, _| dive(y, depth))
        .unwrap();
    diver.resume(0);
    drop(diver);
}

/// Integers and floats that live across each suspension, and an array that lies in memory.
fn sentinels(seed: u64, mut pause: impl FnMut()) {
    let cycles = cycles();
    assert_eq!(cycles % 4, 0);
    let array = black_box([seed ^ 0x5555_aaaa_5555_aaaa; 32]);
    let (mut a, mut b, mut c, mut d) = (seed, seed + 1, seed + 2, seed + 3);
    let (mut x, mut y) = (seed as f64, seed as f64 / 3.0);
    for _ in 0..cycles {
        pause();
        (a, b, c, d) = (b, c, d, a.wrapping_add(1));
        (x, y) = (x + 1.0, y + 1.0);
    }
    let turns = cycles / 4;
    assert_eq!([a, b, c, d], [0, 1, 2, 3].map(|n| seed + n + turns), "with {cycles} cycles");
    assert_eq!(x, seed as f64 + cycles as f64);
    assert!((y - (seed as f64 / 3.0 + cycles as f64)).abs() < 1e-6);
    assert!(black_box(array).iter().all(|word| *word == seed ^ 0x5555_aaaa_5555_aaaa));
}

#[test]
fn a_thousand_generators_ten_thousand_cycles() {
    let mut all: Vec<_> = (0..1_000)
        .map(|n| Coroutine::<(), (), ()>::new(move |y, ()| sentinels_of(n, || y.suspend(()))))
        .collect();
    for _ in 0..cycles() {
        for one in &mut all {
            assert_eq!(one.resume(()), CoroutineState::Yielded(()));
        }
    }
    for one in &mut all {
        assert_eq!(one.resume(()), CoroutineState::Complete(()));
    }
}

fn sentinels_of(n: u64, pause: impl FnMut()) {
    sentinels(n * 1_000_003, pause);
}

#[test]
fn a_thousand_tasks_ten_thousand_cycles() {
    let all: Vec<_> = (0..1_000)
        .map(|n| {
            Task::builder()
                .stack_size(32 << 10)
                .build(move || sentinels_of(n, coroutine::yield_now))
                .unwrap()
        })
        .collect();
    for _ in 0..cycles() {
        for one in &all {
            assert_eq!(one.resume().unwrap(), State::Suspended);
        }
    }
    for one in &all {
        assert_eq!(one.resume().unwrap(), State::Finished);
    }
}

#[inline(never)]
fn innermost_frame() -> String {
    let text = std::backtrace::Backtrace::force_capture().to_string();
    black_box(text)
}

#[inline(never)]
fn middle_frame(y: &Yielder<(), String>) -> String {
    let first = innermost_frame();
    y.suspend(first);
    black_box(innermost_frame())
}

#[test]
fn backtrace_of_a_generator_crosses_into_its_parent() {
    let mut inside = Coroutine::<(), String, String>::new(|y, ()| middle_frame(y));
    let CoroutineState::Yielded(first) = inside.resume(()) else { panic!() };
    #[inline(never)]
    fn second_parent(inside: &mut Coroutine<(), String, String>) -> String {
        let CoroutineState::Complete(second) = black_box(inside.resume(())) else { panic!() };
        second
    }
    let second = black_box(second_parent(&mut inside));
    for text in [&first, &second] {
        assert!(text.contains("innermost_frame") && text.contains("middle_frame"), "{text}");
        assert!(text.contains("backtrace_of_a_generator_crosses"), "{text}");
    }
    assert!(!first.contains("second_parent") && second.contains("second_parent"), "{second}");
}

#[test]
fn backtrace_of_a_task_ends_at_its_root() {
    let task = Task::new(|| {
        for _ in 0..2 {
            let text = innermost_frame();
            assert!(text.contains("innermost_frame"), "{text}");
            // The closure, by its own name or by its place: compilers differ.
            let closure = ["backtrace_of_a_task_ends_at_its_root", "{closure#0}"];
            assert!(closure.iter().any(|name| text.contains(name)), "{text}");
            // Nothing below the root: not the driver, not the test's thread.
            assert!(!text.contains("resume") && !text.contains("test::run_test"), "{text}");
            let frames: Vec<_> = text.lines().filter(|line| line.contains(": ")).collect();
            assert!(frames.len() < 40 && frames.last().unwrap().contains("_entry"), "{text}");
            coroutine::yield_now();
        }
    });
    while task.resume().unwrap() != State::Finished {}
}

#[test]
#[cfg_attr(kcoro_asan, ignore = "AddressSanitizer keeps locals on a stack of its own")]
fn high_water_tells_depth() {
    fn touch(bytes: usize) -> u8 {
        let block = black_box([1u8; 4096]);
        if bytes > 4096 { black_box(touch(bytes - 4096)) + block[9] } else { block[7] }
    }
    let task =
        Task::builder().stack_size(1 << 20).build(|| _ = black_box(touch(160 << 10))).unwrap();
    task.resume().unwrap();
    let high = task.stack_high_water();
    assert!((160 << 10..1 << 20).contains(&high), "{high}");
}
