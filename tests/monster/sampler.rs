//! The sampler on trees built to deceive it, and on the real `/proc`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kcoro::monster::{ProcessState, Registers, Sample, Sampler, assign_shard};

/// A directory that looks like `/proc`, removed at the end.
struct FakeProc(PathBuf);

impl FakeProc {
    fn new(test: &str) -> FakeProc {
        let name = format!("kcoro-proc-{}-{test}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir(&root).expect("can make a directory");
        FakeProc(root)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("can make directories");
        fs::write(&path, content).expect("can write");
        path
    }

    fn process(&self, pid: u32, command: &[u8]) -> PathBuf {
        self.write(&format!("{pid}/stat"), &stat(pid, command, 250))
    }

    fn remove(&self, pid: u32) {
        fs::remove_dir_all(self.0.join(pid.to_string())).expect("can remove");
    }
}

impl Drop for FakeProc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A `stat` line: user time `ticks`, system time 50 ticks, 10 pages, stack 4096, instruction 8192.
fn stat(pid: u32, command: &[u8], ticks: u32) -> Vec<u8> {
    let mut line = format!("{pid} (").into_bytes();
    line.extend(command);
    line.extend(
        format!(
            ") S 1 1 1 0 -1 4194560 88 0 0 0 {ticks} 50 0 0 20 0 1 0 9 22937600 10 \
             18446744073709551615 1 2 3 4096 8192 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        )
        .bytes(),
    );
    line
}

fn sampler(root: &Path) -> Sampler {
    Sampler::open(root).expect("the directory can be listed")
}

fn pids(samples: &[Sample]) -> Vec<u32> {
    samples.iter().map(|sample| sample.pid).collect()
}

#[test]
fn reads_what_stat_says() {
    let proc = FakeProc::new("stat");
    proc.process(4711, b"worker");
    let mut samples = Vec::new();
    let sweep = sampler(&proc.0).sweep(&mut samples).expect("can sweep");
    assert_eq!((sweep.sampled, sweep.listed()), (1, 1));
    let sample = samples[0];
    assert_eq!((sample.pid, sample.command.as_bytes()), (4711, &b"worker"[..]));
    assert_eq!(sample.state, ProcessState::Sleeping);
    // 300 ticks; Linux shows a hundred a second to programs on every machine kcoro supports.
    assert_eq!(sample.cpu_time_ns, 3_000_000_000);
    assert_eq!(sample.memory_bytes % 10, 0);
    assert!(sample.memory_bytes >= 10 * 4096);
    assert_eq!(sample.stack_pointer.map(u64::from), Some(4096));
    assert_eq!(sample.instruction_pointer.map(u64::from), Some(8192));
    assert_eq!(sample.shard, assign_shard(4711));
    assert_eq!(sample.hecke(), None);
}

#[test]
fn commands_may_hold_anything() {
    let proc = FakeProc::new("commands");
    let names: [&[u8]; 7] = [
        b"a b) R 1",
        b"((((",
        b"x)\n2 (y) Z",
        b")",
        b"",
        b"\xff\xfe\x01",
        b"kworker/u8:3-events_power_efficient",
    ];
    for (name, pid) in names.iter().zip(1..) {
        proc.process(pid, name);
    }
    let mut samples = Vec::new();
    let sweep = sampler(&proc.0).sweep(&mut samples).expect("can sweep");
    assert_eq!((sweep.sampled, sweep.malformed), (names.len(), 0));
    for (sample, name) in samples.iter().zip(names) {
        assert_eq!(sample.command.as_bytes(), &name[..name.len().min(15)]);
        assert_eq!(sample.state, ProcessState::Sleeping);
        assert_eq!(sample.cpu_time_ns, 3_000_000_000);
    }
}

#[test]
fn only_numbers_are_processes() {
    let proc = FakeProc::new("numbers");
    for name in ["self", "12abc", "-3", "+4", "0x5", "99999999999999999999", "sys", " 7"] {
        proc.write(&format!("{name}/stat"), &stat(1, b"no", 1));
    }
    proc.write("version", b"not a directory");
    proc.process(u32::MAX, b"last");
    let mut samples = Vec::new();
    let sweep = sampler(&proc.0).sweep(&mut samples).expect("can sweep");
    assert_eq!(pids(&samples), [u32::MAX]);
    assert_eq!(sweep.listed(), 1);
}

#[test]
fn damaged_lines_are_counted() {
    let proc = FakeProc::new("damaged");
    let good = stat(1, b"x", 7);
    let broken: [&[u8]; 7] = [
        b"",
        b"\n",
        b"1 (x",
        b"1 x) S 1",
        b"1 (x) S 1 2 3",
        &good[..good.len() - 30],
        &[b'9'; 5000],
    ];
    for (content, pid) in broken.iter().zip(1..) {
        proc.write(&format!("{pid}/stat"), content);
    }
    let overflow =
        String::from_utf8(good).expect("ASCII").replace(" 7 50 ", " 7 9999999999999999999999 ");
    proc.write("8/stat", overflow.as_bytes());
    proc.process(9, b"fine");
    let mut samples = Vec::new();
    let sweep = sampler(&proc.0).sweep(&mut samples).expect("can sweep");
    // The sixth is cut behind all fields that are read, so it is whole for this purpose.
    assert_eq!(pids(&samples), [6, 9]);
    assert_eq!((sweep.malformed, sweep.listed()), (7, 9));
}

#[test]
fn what_cannot_be_read_is_counted_by_reason() {
    let proc = FakeProc::new("unreadable");
    proc.process(1, b"fine");
    fs::create_dir(proc.0.join("2")).expect("can make a directory"); // no stat: it has ended
    fs::create_dir_all(proc.0.join("3/stat")).expect("can make a directory"); // not a file
    let denied = proc.process(4, b"secret");
    fs::set_permissions(&denied, fs::Permissions::from_mode(0o000)).expect("can change the mode");
    let root_user = fs::read(&denied).is_ok();
    let mut samples = Vec::new();
    let sweep = sampler(&proc.0).sweep(&mut samples).expect("can sweep");
    assert_eq!((sweep.vanished, sweep.failed), (1, 1));
    assert_eq!(sweep.denied, usize::from(!root_user));
    assert_eq!(sweep.listed(), 4);
}

#[test]
fn processes_come_and_go_between_sweeps() {
    for keep_open in [0, 2, 1000] {
        let proc = FakeProc::new("changes");
        let mut samples = Vec::new();
        for pid in 1..=6 {
            proc.process(pid, b"first");
        }
        let mut sampler =
            Sampler::builder(&proc.0).keep_open(keep_open).build().expect("can be listed");
        sampler.sweep(&mut samples).expect("can sweep");
        assert_eq!(pids(&samples), [1, 2, 3, 4, 5, 6]);

        proc.remove(1);
        proc.remove(4);
        proc.process(7, b"new");
        proc.write("5/stat", &stat(5, b"renamed", 950));
        sampler.sweep(&mut samples).expect("can sweep");
        assert_eq!(pids(&samples), [2, 3, 5, 6, 7]);
        assert_eq!(samples[2].command.as_bytes(), b"renamed");
        assert_eq!(samples[2].cpu_time_ns, 10_000_000_000);

        for pid in [2, 3, 5, 6, 7] {
            proc.remove(pid);
        }
        let sweep = sampler.sweep(&mut samples).expect("can sweep");
        assert_eq!((samples.len(), sweep.listed()), (0, 0));
    }
}

#[test]
fn registers_come_from_the_syscall_file_if_asked() {
    let proc = FakeProc::new("registers");
    for pid in 1..=3 {
        proc.process(pid, b"x");
    }
    proc.write("1/syscall", b"202 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffc0000 0x55aa\n");
    proc.write("2/syscall", b"running\n");
    let mut samples = Vec::new();
    let mut sampler = Sampler::builder(&proc.0)
        .registers(Registers::Syscall)
        .build()
        .expect("the directory can be listed");
    let sweep = sampler.sweep(&mut samples).expect("can sweep");
    assert_eq!((sweep.sampled, sweep.registers_denied), (3, 0));
    let registers = |sample: &Sample| {
        (sample.stack_pointer.map(u64::from), sample.instruction_pointer.map(u64::from))
    };
    assert_eq!(registers(&samples[0]), (Some(0x7ffc_0000), Some(0x55aa)));
    // Nothing in the syscall file: what stat shows stands.
    assert_eq!(registers(&samples[1]), (Some(4096), Some(8192)));
    assert_eq!(registers(&samples[2]), (Some(4096), Some(8192)));
}

#[test]
fn many_processes_are_sampled_in_parts_and_come_in_order() {
    let proc = FakeProc::new("many");
    let many: u32 = if cfg!(miri) { 20 } else { 1_500 };
    for pid in 1..=many {
        proc.process(pid * 3, b"one of many");
    }
    proc.write("4/stat", b"nonsense");
    let rt = kcoro::Runtime::builder().workers(3).build().expect("three workers");
    for keep_open in [0, 100, 8_192] {
        let mut sampler =
            Sampler::builder(&proc.0).keep_open(keep_open).build().expect("it can be listed");
        let lists = rt.run(move || {
            let mut samples = Vec::new();
            let lists: Vec<_> = (0..3)
                .map(|_| {
                    let sweep = sampler.sweep(&mut samples).expect("can sweep");
                    assert_eq!((sweep.sampled, sweep.malformed), (many as usize, 1));
                    pids(&samples)
                })
                .collect();
            lists
        });
        let expected: Vec<_> = (1..=many).map(|pid| pid * 3).collect();
        assert!(lists.iter().all(|list| *list == expected), "keeping {keep_open}");
    }
}

#[test]
fn a_missing_root_is_named() {
    let error = Sampler::open("/nonexistent-proc").expect_err("does not exist");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().starts_with("cannot list processes in /nonexistent-proc: "));
    assert!(Sampler::open("/dev/null").is_err(), "not a directory");
}

/// A child process that does not outlive the test, even one that fails.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_real_proc_shows_this_process_and_its_children() {
    let mut child =
        Child(std::process::Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat runs"));
    let mut sampler = Sampler::builder("/proc")
        .registers(Registers::Syscall)
        .build()
        .expect("/proc can be listed");
    let (mut samples, mut before) = (Vec::new(), 0);
    for _ in 0..3 {
        let sweep = sampler.sweep(&mut samples).expect("can sweep");
        assert_eq!((sweep.sampled, sweep.malformed), (samples.len(), 0));
        assert!(samples.is_sorted_by_key(|sample| sample.pid));
        assert!(samples.is_sorted_by_key(|sample| sample.timestamp_ns));
        assert!(samples[0].timestamp_ns >= before);
        before = samples[samples.len() - 1].timestamp_ns;
        let find = |pid| samples.iter().find(|sample| sample.pid == pid).expect("is there");
        assert!(find(std::process::id()).memory_bytes > 0);
        assert!(!find(child.0.id()).command.as_bytes().is_empty());
    }
    child.0.kill().expect("can kill one's own child");
    child.0.wait().expect("can wait for one's own child");
    sampler.sweep(&mut samples).expect("can sweep");
    assert!(!pids(&samples).contains(&child.0.id()), "the kept file does not outlive its process");
}
