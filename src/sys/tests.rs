//! Fault signals against a real kernel, each in a process of its own.

use super::memory::{page_size, reserve};
use super::signal::{Fault, alternate_stack, observe_faults};
use std::env;
use std::ffi::{c_int, c_void};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

/// Set in a process that a test started from its own binary.
const CHILD: &str = "KCORO_TEST_CHILD";

/// Runs the test that calls it once more in a child, where it returns `None`.
///
/// `KCORO_TEST_RUNNER` (an emulator and its options) goes in front if it is set.
pub(crate) fn in_child(test: &str) -> Option<Output> {
    in_child_after("", test)
}

/// Like [`in_child`], after a line of shell such as `ulimit`.
pub(crate) fn in_child_after(prelude: &str, test: &str) -> Option<Output> {
    if env::var_os(CHILD).is_some() {
        return None;
    }
    let program = env::current_exe().unwrap();
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{prelude}\nexec $KCORO_TEST_RUNNER \"$@\""))
        .arg("sh")
        .arg(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    // A name that is no test would run nothing and succeed.
    assert!(text(&output).contains("running 1 test"), "{}", text(&output));
    Some(output)
}

/// What the child wrote, for comparison and for messages.
pub(crate) fn text(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{:?}\n{}", output.status, String::from_utf8_lossy(&bytes))
}

/// Whether `signal` ended the child; an emulator or a shell reports it as an exit code.
pub(crate) fn died_of(output: &Output, signal: c_int) -> bool {
    output.status.signal() == Some(signal) || output.status.code() == Some(128 + signal)
}

/// Locks all memory that is mapped from now on. False if the process may not.
pub(crate) fn lock_future_memory() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::mlockall(libc::MCL_FUTURE) == 0 }
}

fn ignore(_: &Fault) {}

fn fault() {
    // SAFETY: none; the fault is the point, and volatile keeps it.
    unsafe { std::ptr::without_provenance_mut::<u8>(0x1234_5000).write_volatile(1) };
}

fn install(handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)) {
    // SAFETY: the handler is of the type the flags say.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn leave(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel's information is valid; `_exit` is async-signal-safe.
    unsafe {
        let ours = (*info).si_code <= 0 || (*info).si_addr().addr() == 0x1234_5000;
        libc::_exit(if ours { 42 } else { 43 });
    }
}

/// Sends the signal to the process, of which another thread may be the one to take it, later.
fn send_to_self() {
    // SAFETY: no preconditions.
    unsafe { libc::kill(libc::getpid(), libc::SIGSEGV) };
    std::thread::sleep(std::time::Duration::from_secs(20));
}

#[test]
fn foreign_fault_reaches_the_earlier_handler() {
    if let Some(output) = in_child("sys::tests::foreign_fault_reaches_the_earlier_handler") {
        assert_eq!(output.status.code(), Some(42), "{}", text(&output));
        return;
    }
    install(leave);
    observe_faults(ignore).unwrap();
    fault();
}

#[test]
fn sent_signal_reaches_the_earlier_handler() {
    if let Some(output) = in_child("sys::tests::sent_signal_reaches_the_earlier_handler") {
        assert_eq!(output.status.code(), Some(42), "{}", text(&output));
        return;
    }
    install(leave);
    observe_faults(|_| std::process::exit(44)).unwrap();
    send_to_self();
}

/// Takes away the handler that std installs, as a program without std's runtime would have it.
fn reset_to_default() {
    // SAFETY: the default action has no preconditions.
    unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
}

#[test]
fn foreign_fault_without_a_handler_kills() {
    if let Some(output) = in_child("sys::tests::foreign_fault_without_a_handler_kills") {
        assert!(died_of(&output, libc::SIGSEGV), "{}", text(&output));
        return;
    }
    reset_to_default();
    observe_faults(ignore).unwrap();
    fault();
}

#[test]
fn sent_signal_without_a_handler_kills() {
    if let Some(output) = in_child("sys::tests::sent_signal_without_a_handler_kills") {
        assert!(died_of(&output, libc::SIGSEGV), "{}", text(&output));
        return;
    }
    reset_to_default();
    observe_faults(ignore).unwrap();
    send_to_self();
}

#[test]
fn observer_sees_address_and_stack_pointer() {
    if let Some(output) = in_child("sys::tests::observer_sees_address_and_stack_pointer") {
        assert_eq!(output.status.code(), Some(42), "{}", text(&output));
        return;
    }
    observe_faults(|fault| {
        let here = std::ptr::from_ref(fault).addr();
        // AddressSanitizer keeps locals off the stack.
        let elsewhere = cfg!(kcoro_asan)
            || alternate_stack().is_some_and(|stack| {
                let range = stack.base.addr()..stack.base.addr() + stack.bytes;
                range.contains(&here) && !range.contains(&fault.stack_pointer)
            });
        let seen = fault.address == 0x1234_5000 && fault.stack_pointer != 0 && elsewhere;
        // SAFETY: async-signal-safe.
        unsafe { libc::_exit(if seen { 42 } else { 43 }) };
    })
    .unwrap();
    fault();
}

#[test]
#[cfg_attr(kcoro_asan, ignore = "AddressSanitizer reports it in std's place")]
#[cfg_attr(kcoro_tsan, ignore = "std's handler overflows its own stack when instrumented")]
fn std_still_reports_the_overflow_of_a_thread() {
    if let Some(output) = in_child("sys::tests::std_still_reports_the_overflow_of_a_thread") {
        let text = text(&output);
        assert!(died_of(&output, libc::SIGABRT), "{text}");
        assert!(text.contains("has overflowed its stack"), "{text}");
        return;
    }
    #[allow(unconditional_recursion, reason = "the overflow is the point")]
    fn descend(depth: u64) -> u64 {
        let frame = [depth; 64];
        std::hint::black_box(&frame);
        descend(depth + 1) + frame[0]
    }
    observe_faults(ignore).unwrap();
    std::thread::spawn(|| descend(0)).join().unwrap();
}

#[test]
fn reserved_memory_reads_as_zeros() {
    let memory = reserve(16 * page_size()).unwrap();
    // SAFETY: the mapping is this long.
    let last = unsafe { memory.add(16 * page_size() - 1) };
    // SAFETY: readable and writable.
    unsafe {
        assert_eq!(last.read(), 0);
        last.write(1);
        super::memory::unmap(memory, 16 * page_size());
    }
}
