//! What goes into a generator and what comes out.

use super::{Drops, panic_of};
use kcoro::coroutine::{Coroutine, CoroutineState, State, Task, Yielder};
use kcoro::error::StackError;

#[test]
fn smoke() {
    let mut sum = Coroutine::new(|y, first: u32| {
        let mut total = first;
        for _ in 0..3 {
            total += y.suspend(total);
        }
        total
    });
    assert_eq!(sum.resume(1), CoroutineState::Yielded(1));
    assert_eq!(sum.resume(2), CoroutineState::Yielded(3));
    assert_eq!(sum.resume(3), CoroutineState::Yielded(6));
    assert!(!sum.is_finished());
    assert_eq!(sum.resume(4), CoroutineState::Complete(10));
    assert!(sum.is_finished());
    assert_eq!(sum.try_resume(9).unwrap_err().0, 9);
    assert_eq!(panic_of(|| sum.resume(1)), "cannot resume a generator that has finished");
}

#[test]
fn big_values_pass_unharmed() {
    type Big = [u64; 1000];
    fn big(seed: u64) -> Big {
        std::array::from_fn(|i| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i as u64)
    }
    let mut echo = Coroutine::<Big, Big, Box<Big>>::new(|y, mut input| {
        for _ in 0..10 {
            input[0] ^= 1;
            input = y.suspend(input);
        }
        Box::new(input)
    });
    for round in 0..10 {
        let mut expected = big(round);
        expected[0] ^= 1;
        assert!(echo.resume(big(round)) == CoroutineState::Yielded(expected));
    }
    assert!(echo.resume(big(99)) == CoroutineState::Complete(Box::new(big(99))));
}

#[test]
fn values_without_a_size() {
    let mut empty = Coroutine::<(), (), ()>::new(|y, ()| (0..3).for_each(|_| y.suspend(())));
    for _ in 0..3 {
        assert_eq!(empty.resume(()), CoroutineState::Yielded(()));
    }
    assert_eq!(empty.resume(()), CoroutineState::Complete(()));
}

#[test]
fn aligned_closures_and_values() {
    #[repr(align(256))]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Wide(u8);
    let kept = Wide(7);
    let mut wide = Coroutine::<Wide, Wide, Wide>::new(move |y, first| {
        assert_eq!((&raw const kept).addr() % 256, 0);
        let second = y.suspend(first);
        assert_eq!((&raw const second).addr() % 256, 0);
        Wide(kept.0 + second.0)
    });
    assert_eq!(wide.resume(Wide(1)), CoroutineState::Yielded(Wide(1)));
    assert_eq!(wide.resume(Wide(2)), CoroutineState::Complete(Wide(9)));
}

#[test]
fn every_value_is_dropped_once() {
    let (ins, outs, ends) = (Drops::default(), Drops::default(), Drops::default());
    let (out, end) = (outs.clone(), ends.clone());
    let mut passing = Coroutine::new(move |y: &Yielder<_, _>, first: super::Dropped| {
        drop(first);
        for _ in 0..5 {
            drop::<super::Dropped>(y.suspend(out.guard()));
        }
        end.guard()
    });
    while let CoroutineState::Yielded(value) = passing.resume(ins.guard()) {
        drop(value);
    }
    assert_eq!((ins.count(), outs.count(), ends.count()), (6, 5, 1));
    drop(passing.try_resume(ins.guard()).map(drop).unwrap_err());
    drop(passing);
    assert_eq!((ins.count(), outs.count(), ends.count()), (7, 5, 1));
}

#[test]
fn panic_reaches_the_resumer() {
    let mut failing = Coroutine::<(), (), ()>::new(move |y, ()| {
        y.suspend(());
        panic!("boom");
    });
    assert_eq!(failing.resume(()), CoroutineState::Yielded(()));
    assert_eq!(panic_of(|| failing.resume(())), "boom");
    assert!(failing.is_finished() && failing.try_resume(()).is_err());
}

#[test]
fn caught_panic_stays_inside() {
    let mut calm = Coroutine::<(), String, u8>::new(|y, ()| {
        y.suspend(panic_of(|| -> () { panic!("inside") }));
        assert!(!std::thread::panicking());
        7
    });
    assert_eq!(calm.resume(()), CoroutineState::Yielded("inside".into()));
    assert_eq!(calm.resume(()), CoroutineState::Complete(7));
}

#[test]
fn generators_nest_and_interleave() {
    fn count(to: u32) -> Coroutine<(), u32, ()> {
        Coroutine::new(move |y, ()| (0..to).for_each(|n| y.suspend(n)))
    }
    let mut pairs = Coroutine::<(), (u32, u32), ()>::new(|y, ()| {
        let mut outer = count(3);
        while let CoroutineState::Yielded(a) = outer.resume(()) {
            let mut inner = count(2);
            while let CoroutineState::Yielded(b) = inner.resume(()) {
                y.suspend((a, b));
            }
        }
    });
    let mut seen = Vec::new();
    while let CoroutineState::Yielded(pair) = pairs.resume(()) {
        seen.push(pair);
    }
    assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
}

#[test]
fn a_generator_goes_from_task_to_task() {
    let mut numbers = Coroutine::<(), u64, ()>::new(|y, ()| {
        for _ in 0..3 {
            y.suspend(kcoro::coroutine::current().map_or(0, |me| me.id()));
        }
    });
    let CoroutineState::Yielded(0) = numbers.resume(()) else { panic!() };
    let (tx, rx) = std::sync::mpsc::channel();
    let first = Task::new(move || {
        tx.send((numbers.resume(()), kcoro::coroutine::current().unwrap().id())).unwrap();
        Task::new(move || {
            let state = numbers.resume(());
            tx.send((state, kcoro::coroutine::current().unwrap().id())).unwrap();
        })
        .resume()
        .unwrap();
    });
    assert_eq!(first.resume().unwrap(), State::Finished);
    for (state, id) in rx {
        assert_eq!(state, CoroutineState::Yielded(id));
    }
}

#[test]
fn sizes_out_of_range_are_errors() {
    let build = |bytes| Coroutine::<(), (), ()>::builder().stack_size(bytes).build(|_, ()| ());
    assert!(matches!(build(100), Err(StackError::TooSmall { requested: 100, .. })));
    let StackError::TooLarge { maximum, .. } = build(usize::MAX).unwrap_err() else { panic!() };
    for bytes in [16 << 10, 20_000, 1 << 20, maximum] {
        assert_eq!(build(bytes).unwrap().resume(()), CoroutineState::Complete(()));
    }
}

#[test]
fn a_closure_that_does_not_fit_says_what_would() {
    let mut refused = 0;
    for bytes in [16 << 10, 32 << 10, 64 << 10] {
        let ballast = [3u8; 30_000];
        let build = |bytes| {
            Coroutine::<(), (), u8>::builder()
                .stack_size(bytes)
                .build(move |_, ()| ballast.iter().fold(0, |a, b| a ^ b))
        };
        let mut fits = match build(bytes) {
            Ok(fits) => fits,
            Err(StackError::TooSmall { requested, minimum }) => {
                refused += 1;
                assert_eq!(requested, bytes);
                build(minimum).unwrap()
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(fits.resume(()), CoroutineState::Complete(0));
    }
    assert!(refused >= 2);
}

#[test]
fn debug_says_something() {
    let mut one = Coroutine::<(), (), ()>::builder().name("one").build(|_, ()| ()).unwrap();
    assert!(format!("{one:?}").starts_with("Coroutine { finished: false"));
    one.resume(());
    assert!(format!("{one:?}").contains("finished: true"));
    assert!(one.stack_high_water() > 0);
}
