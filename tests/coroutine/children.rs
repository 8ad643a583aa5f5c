//! What ends a process or needs one of its own: overflows, foreign faults, exhausted limits, fork.

use kcoro::coroutine::{self, Coroutine, CoroutineState, State, Task};
use kcoro::error::StackError;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

const CHILD: &str = "KCORO_TEST_CHILD";

/// Runs the test `children::<test>` once more in a child, where this returns `None`.
fn in_child(prelude: &str, test: &str) -> Option<Output> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{prelude}\nexec $KCORO_TEST_RUNNER \"$@\""))
        .arg("sh")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("children::{test}"), "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(text(&output).contains("running 1 test"), "{}", text(&output));
    Some(output)
}

fn text(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{:?}\n{}", output.status, String::from_utf8_lossy(&bytes))
}

/// An emulator or a shell reports a signal as an exit code.
fn died_of(output: &Output, signal: c_int) -> bool {
    output.status.signal() == Some(signal) || output.status.code() == Some(128 + signal)
}

#[inline(never)]
fn recurse<const FRAME: usize>(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX {
        return 0;
    }
    let frame = black_box([depth as u8; FRAME]);
    recurse::<FRAME>(depth + 1) + u64::from(black_box(&frame)[FRAME / 2])
}

fn assert_overflow(output: &Output, who: &str) {
    let text = text(output);
    assert!(died_of(output, libc::SIGABRT), "{text}");
    assert!(text.contains("kcoro: coroutine ") && text.contains(who), "{text}");
    assert!(text.contains("(spawned at ") && text.contains("children.rs:"), "{text}");
    assert!(text.contains(" overflowed its stack: 262144 bytes, guard "), "{text}");
}

#[test]
fn overflow_of_a_task_with_small_frames() {
    if let Some(output) = in_child("", "overflow_of_a_task_with_small_frames") {
        return assert_overflow(&output, "\"small\"");
    }
    let task = Task::builder().name("small").build(|| _ = black_box(recurse::<1024>(0))).unwrap();
    let _ = task.resume();
}

#[test]
#[cfg_attr(any(kcoro_asan, kcoro_tsan), ignore = "a sanitizer's frames have no stack probes")]
fn overflow_of_a_task_with_large_frames() {
    if let Some(output) = in_child("", "overflow_of_a_task_with_large_frames") {
        return assert_overflow(&output, "\"large\"");
    }
    let task = Task::builder().name("large").build(|| _ = black_box(recurse::<65536>(0))).unwrap();
    let _ = task.resume();
}

#[test]
fn overflow_of_a_generator_with_small_frames() {
    if let Some(output) = in_child("", "overflow_of_a_generator_with_small_frames") {
        return assert_overflow(&output, "coroutine 2 (spawned");
    }
    drop(Task::new(|| ()));
    Coroutine::<(), (), u64>::new(|_, ()| black_box(recurse::<1024>(0))).resume(());
}

#[test]
#[cfg_attr(any(kcoro_asan, kcoro_tsan), ignore = "a sanitizer's frames have no stack probes")]
fn overflow_of_a_generator_with_large_frames() {
    if let Some(output) = in_child("", "overflow_of_a_generator_with_large_frames") {
        return assert_overflow(&output, "\"deep\"");
    }
    let generator = Coroutine::<(), (), u64>::builder().name("deep");
    generator.build(|_, ()| black_box(recurse::<65536>(0))).unwrap().resume(());
}

#[test]
fn overflow_on_a_thread_of_its_own_after_a_switch() {
    if let Some(output) = in_child("", "overflow_on_a_thread_of_its_own_after_a_switch") {
        return assert_overflow(&output, "\"elsewhere\"");
    }
    std::thread::spawn(|| {
        let task = Task::builder().name("elsewhere").build(|| {
            coroutine::yield_now();
            black_box(recurse::<1024>(0));
        });
        let task = task.unwrap();
        task.resume().unwrap();
        task.resume().unwrap();
    })
    .join()
    .unwrap();
}

extern "C" fn leave(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel's information is valid; `_exit` is async-signal-safe.
    unsafe { libc::_exit(if (*info).si_addr().addr() == 0x1234_5000 { 42 } else { 43 }) };
}

fn install_handler() {
    // SAFETY: the handler is of the type the flags say.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = leave as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
    }
}

fn fault() {
    // SAFETY: none; the fault is the point, and volatile keeps it.
    unsafe { std::ptr::without_provenance_mut::<u8>(0x1234_5000).write_volatile(1) };
}

#[test]
fn foreign_fault_reaches_the_handler_that_was_there() {
    if let Some(output) = in_child("", "foreign_fault_reaches_the_handler_that_was_there") {
        assert_eq!(output.status.code(), Some(42), "{}", text(&output));
        return;
    }
    install_handler();
    let _ = Task::new(fault).resume();
}

#[test]
fn foreign_fault_reaches_the_handler_that_came_later() {
    if let Some(output) = in_child("", "foreign_fault_reaches_the_handler_that_came_later") {
        assert_eq!(output.status.code(), Some(42), "{}", text(&output));
        return;
    }
    Task::new(|| ()).resume().unwrap();
    install_handler();
    Coroutine::<(), (), ()>::new(|_, ()| fault()).resume(());
}

#[test]
fn overflow_is_reported_in_front_of_the_user_s_handler() {
    if let Some(output) = in_child("", "overflow_is_reported_in_front_of_the_user_s_handler") {
        return assert_overflow(&output, "\"first\"");
    }
    install_handler();
    let task = Task::builder().name("first").build(|| _ = black_box(recurse::<1024>(0))).unwrap();
    let _ = task.resume();
}

#[test]
#[cfg_attr(
    any(kcoro_asan, kcoro_tsan),
    ignore = "the shadow of a sanitizer takes more address space than any limit"
)]
fn exhausted_address_space_is_an_error() {
    if let Some(output) = in_child("ulimit -v 3000000", "exhausted_address_space_is_an_error") {
        assert!(output.status.success(), "{}", text(&output));
        assert!(
            text(&output).contains("RLIMIT_AS, which is 3072000000 bytes"),
            "{}",
            text(&output)
        );
        return;
    }
    let mut generators = Vec::new();
    let error = loop {
        let builder = Coroutine::<u32, u32, ()>::builder().stack_size(16 << 20);
        match builder.build(|y, n| _ = y.suspend(n + 1)) {
            Ok(generator) => generators.push(generator),
            Err(error) => break error,
        }
    };
    println!("{error}");
    assert!(matches!(error, StackError::AddressSpace { .. }), "{error:?}");
    let task = || Task::builder().stack_size(16 << 20).build(|| ());
    assert!(task().is_err());
    for generator in &mut generators {
        assert_eq!(generator.resume(1), CoroutineState::Yielded(2));
    }
    generators.pop();
    assert_eq!(task().unwrap().resume().unwrap(), State::Finished);
}

#[test]
fn destructor_that_panics_in_an_unwinding_aborts() {
    if let Some(output) = in_child("", "destructor_that_panics_in_an_unwinding_aborts") {
        assert!(died_of(&output, libc::SIGABRT), "{}", text(&output));
        assert!(text(&output).contains("in a destructor during cleanup"), "{}", text(&output));
        return;
    }
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let task = Task::new(|| {
        let _bomb = Bomb;
        coroutine::park();
    });
    task.resume().unwrap();
    drop(task);
}

#[test]
fn coroutines_go_on_in_both_processes_after_fork() {
    if let Some(output) = in_child("", "coroutines_go_on_in_both_processes_after_fork") {
        assert!(output.status.success(), "{}", text(&output));
        return;
    }
    let mut generator = Coroutine::<u32, u32, ()>::new(|y, mut n| {
        loop {
            n = y.suspend(n * 2);
        }
    });
    assert_eq!(generator.resume(1), CoroutineState::Yielded(2));
    let task = Task::new(move || {
        // SAFETY: no other thread of this process holds a lock or changes anything.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        coroutine::yield_now();
        assert_eq!(generator.resume(21), CoroutineState::Yielded(42));
        let fresh = Task::new(|| ());
        assert_eq!(fresh.resume().unwrap(), State::Finished);
        if pid == 0 {
            // SAFETY: it ends this copy of the process only.
            unsafe { libc::_exit(7) };
        }
        let mut status = 0;
        // SAFETY: the status is ours to write.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7);
    });
    task.resume().unwrap();
    assert_eq!(task.resume().unwrap(), State::Finished);
}

#[test]
fn guards_are_there_after_fork() {
    if let Some(output) = in_child("", "guards_are_there_after_fork") {
        assert!(output.status.success(), "{}", text(&output));
        return;
    }
    let task = Task::builder().name("forked").build(|| {
        coroutine::yield_now();
        black_box(recurse::<1024>(0));
    });
    let task = task.unwrap();
    task.resume().unwrap();
    // SAFETY: no other thread of this process holds a lock or changes anything.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let _ = task.resume();
    }
    let mut status = 0;
    // SAFETY: the status is ours to write.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT, "{status}");
}
