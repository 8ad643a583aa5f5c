//! Floating-point control words that belong to one task.

use super::panic_of;
use kcoro::coroutine::{self, State, Task, yield_to};
use std::hint::black_box;
use std::rc::Rc;

#[cfg(target_arch = "x86_64")]
mod cpu {
    use std::arch::asm;

    /// Round towards plus infinity, in MXCSR and in the x87 control word.
    pub fn round_up() {
        let (mxcsr, x87) = (0x1f80u32 | 0x4000, 0x037fu16 | 0x0800);
        // SAFETY: only the rounding of this thread changes, which the tests put back.
        unsafe {
            asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const x87)
        }
    }

    pub fn rounding() -> (u32, u16) {
        let (mut mxcsr, mut x87) = (0u32, 0u16);
        // SAFETY: it stores to the two variables.
        unsafe { asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87) }
        (mxcsr & 0x6000, x87 & 0x0c00)
    }

    pub const NEAREST: (u32, u16) = (0, 0);
    pub const UP: (u32, u16) = (0x4000, 0x0800);
}

#[cfg(target_arch = "aarch64")]
mod cpu {
    use std::arch::asm;

    /// Round towards plus infinity.
    pub fn round_up() {
        // SAFETY: only the rounding of this thread changes, which the tests put back.
        unsafe { asm!("msr fpcr, {}", in(reg) 1u64 << 22) }
    }

    pub fn rounding() -> u64 {
        let word: u64;
        // SAFETY: it reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) word) }
        word & 3 << 22
    }

    pub const NEAREST: u64 = 0;
    pub const UP: u64 = 1 << 22;
}

use cpu::{NEAREST, UP, round_up, rounding};

fn rounds_up() -> bool {
    // Memcheck keeps the control words but computes in the default rounding.
    if cfg!(kcoro_valgrind) {
        return rounding() == UP;
    }
    black_box(1.0f64) + black_box(1e-30) > 1.0
}

fn upwards(body: impl FnOnce() + 'static) -> Task {
    let task = Task::builder().save_fp_control().build(move || {
        assert_eq!(rounding(), NEAREST);
        round_up();
        body();
        assert_eq!(rounding(), UP);
        assert!(rounds_up());
    });
    task.unwrap()
}

#[test]
fn control_words_are_kept_and_not_leaked() {
    let pausing = || {
        for round in 0..6 {
            if round % 2 == 0 {
                coroutine::yield_now()
            } else {
                coroutine::park()
            }
            assert_eq!((rounding(), rounds_up()), (UP, true));
        }
    };
    let (one, two) = (upwards(pausing), upwards(pausing));
    let plain = Task::new(|| {
        for _ in 0..7 {
            assert_eq!((rounding(), rounds_up()), (NEAREST, false));
            coroutine::yield_now();
        }
    });
    for _ in 0..7 {
        for task in [&one, &plain, &two] {
            task.resume().unwrap();
            assert_eq!((rounding(), rounds_up()), (NEAREST, false));
        }
    }
    assert!(one.is_finished() && two.is_finished());
}

#[test]
fn yield_to_takes_them_along() {
    let plain = Rc::new(Task::new(|| {
        for _ in 0..2 {
            assert_eq!(rounding(), NEAREST);
            coroutine::yield_now();
        }
    }));
    let saver = Rc::new(upwards(|| {
        coroutine::yield_now();
        assert_eq!(rounding(), UP);
    }));
    let (to_plain, to_saver) = (Rc::clone(&plain), Rc::clone(&saver));
    let first = upwards(move || {
        yield_to(&to_plain).unwrap();
        assert_eq!(rounding(), UP);
        yield_to(&to_saver).unwrap();
        assert_eq!(rounding(), UP);
    });
    while first.resume().unwrap() != State::Finished {
        assert_eq!(rounding(), NEAREST);
    }
    saver.resume().unwrap();
    plain.resume().unwrap();
    assert_eq!(rounding(), NEAREST);
}

#[test]
fn put_back_after_panic_and_unwinding() {
    let failing = upwards(|| panic!("expected"));
    failing.resume().unwrap_err();
    assert_eq!(rounding(), NEAREST);
    struct Checks;
    impl Drop for Checks {
        fn drop(&mut self) {
            assert_eq!(rounding(), UP);
        }
    }
    let suspended = upwards(|| {
        let _checks = Checks;
        coroutine::park();
    });
    suspended.resume().unwrap();
    drop(suspended);
    assert_eq!(rounding(), NEAREST);
    panic_of(|| -> () { panic!("expected") });
}
