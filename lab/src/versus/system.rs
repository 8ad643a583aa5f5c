//! What is asked of the system: affinity and CPU time of the process.

use std::time::Duration;

/// The CPUs that the calling thread may use, in order.
fn allowed() -> Vec<usize> {
    // SAFETY: a `cpu_set_t` of zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours to write, and of the size that is told.
    unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    // SAFETY: the index is below the size of the set.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// The last CPU that the calling thread may use.
#[must_use]
pub fn last_cpu() -> usize {
    allowed().last().copied().unwrap_or(0)
}

/// Keeps the calling thread, and threads that it will start, on one CPU.
pub fn pin(cpu: usize) {
    // SAFETY: a `cpu_set_t` of zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the system gave the number, so it is below the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set is readable and of the size that is told.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

/// Keeps the calling thread on the `at`th of the allowed CPUs, counted around.
pub fn pin_to(at: usize) {
    let allowed = allowed();
    if !allowed.is_empty() {
        pin(allowed[at % allowed.len()]);
    }
}

/// CPU time that the whole process has used.
#[derive(Debug, Clone, Copy)]
pub struct CpuTime(Duration);

impl CpuTime {
    /// Until now.
    #[must_use]
    pub fn now() -> CpuTime {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the place is ours to write.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
        CpuTime(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    /// Nanoseconds used since then.
    #[must_use]
    pub fn since(self) -> f64 {
        (CpuTime::now().0 - self.0).as_nanos() as f64
    }
}
