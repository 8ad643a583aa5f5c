//! One sweep of the monster sampler: regression, not marketing. Time per sweep over all processes.
//!
//! `fake` has 5,000 processes in a directory, which shows what the sampler itself costs; `proc` is
//! the real thing, where the kernel writes each `stat` anew.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kcoro::monster::{Registers, Sampler};
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// A directory that looks like `/proc`, removed at the end.
struct FakeProc(PathBuf);

impl FakeProc {
    fn new(processes: u32) -> FakeProc {
        let root = std::env::temp_dir().join(format!("kcoro-bench-proc-{}", std::process::id()));
        let stat = fs::read("/proc/self/stat").expect("/proc is mounted");
        for pid in 1..=processes {
            let directory = root.join(pid.to_string());
            fs::create_dir_all(&directory).expect("can make a directory");
            fs::write(directory.join("stat"), &stat).expect("can write");
        }
        FakeProc(root)
    }
}

impl Drop for FakeProc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sweep(c: &mut Criterion, name: &str, root: &Path, registers: Registers, keep_open: usize) {
    let mut sampler = Sampler::builder(root)
        .registers(registers)
        .keep_open(keep_open)
        .build()
        .expect("the directory can be listed");
    let mut samples = Vec::new();
    let sampled = sampler.sweep(&mut samples).expect("can sweep").sampled;
    let mut group = c.benchmark_group("monster_sampler");
    group.throughput(Throughput::Elements(sampled as u64));
    group.bench_function(name, |b| b.iter(|| black_box(sampler.sweep(&mut samples))));
}

fn monster_sampler(c: &mut Criterion) {
    let fake = FakeProc::new(if cfg!(debug_assertions) { 50 } else { 5_000 });
    let (proc, all) = (Path::new("/proc"), 8_192);
    sweep(c, "fake_kept_open", &fake.0, Registers::Stat, all);
    sweep(c, "fake_opened_each_time", &fake.0, Registers::Stat, 0);
    sweep(c, "proc_kept_open", proc, Registers::Stat, all);
    sweep(c, "proc_opened_each_time", proc, Registers::Stat, 0);
    sweep(c, "proc_with_registers", proc, Registers::Syscall, all);
}

criterion_group!(benches, monster_sampler);
criterion_main!(benches);
