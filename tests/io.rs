//! Waiting for descriptors: every kind of them, from coroutines and threads.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kcoro::coroutine::{State, Task};
use kcoro::{Runtime, io};

mod scale;
mod watchdog;
use watchdog::watchdog;

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

fn soon(ms: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(ms))
}

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().unwrap()
}

/// Coroutines that wait for a descriptor have been registered once their worker sleeps.
fn let_them_wait() {
    std::thread::sleep(Duration::from_millis(20));
}

#[test]
fn pipe_blocking_and_not() {
    let _dog = watchdog("pipe");
    let rt = runtime(2);
    for nonblocking in [false, true] {
        let (reader, writer) = pipe();
        if nonblocking {
            for fd in [reader.as_raw_fd(), writer.as_raw_fd()] {
                // SAFETY: the call takes no pointers.
                assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) }, 0);
            }
        }
        let got = rt.spawn(move || {
            let mut all = Vec::new();
            let mut chunk = [0; 1000];
            loop {
                match io::read(&reader, &mut chunk, None).unwrap() {
                    0 => return all,
                    n => all.extend_from_slice(&chunk[..n]),
                }
            }
        });
        let sent: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        let copy = sent.clone();
        rt.spawn(move || io::write_all(&writer, &copy, None).unwrap()).join().unwrap();
        assert!(got.join().unwrap() == sent);
    }
}

#[test]
fn a_full_blocking_pipe_does_not_stop_the_worker() {
    let _dog = watchdog("full pipe");
    let rt = runtime(1);
    let (reader, writer) = pipe();
    let wrote = rt.spawn(move || io::write_all(&writer, &[7; 200_000], None).unwrap());
    // The one worker must still run this while the pipe is full.
    let read = rt.spawn(move || {
        let mut all = vec![0; 200_000];
        io::read_exact(&reader, &mut all, None).unwrap();
        all.iter().all(|b| *b == 7)
    });
    assert!(read.join().unwrap());
    wrote.join().unwrap();
}

#[test]
fn socketpair_in_both_directions_at_once() {
    let _dog = watchdog("socketpair");
    let rt = runtime(2);
    let (near, far) = UnixStream::pair().unwrap();
    let (near, far) = (Arc::new(near), Arc::new(far));
    let mut handles = Vec::new();
    for end in [near, far] {
        let other = Arc::clone(&end);
        handles.push(rt.spawn(move || io::write_all(&*end, &[1; 1 << 20], None).unwrap()));
        handles.push(rt.spawn(move || {
            let mut all = vec![0; 1 << 20];
            io::read_exact(&*other, &mut all, None).unwrap();
        }));
    }
    handles.into_iter().for_each(|h| h.join().unwrap());
}

#[test]
fn tcp_echo_with_many_clients() {
    let _dog = watchdog("tcp");
    let rt = runtime(2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    const CLIENTS: usize = 50;
    let server = rt.spawn(move || {
        for _ in 0..CLIENTS {
            let stream = loop {
                match listener.accept() {
                    Ok((stream, _)) => break stream,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        io::wait_readable(&listener, None).unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            };
            kcoro::spawn(move || {
                let mut chunk = [0; 512];
                loop {
                    let n = io::read(&stream, &mut chunk, None).unwrap();
                    if n == 0 {
                        break;
                    }
                    io::write_all(&stream, &chunk[..n], None).unwrap();
                }
            })
            .detach();
        }
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|i| {
            rt.spawn(move || {
                let stream = TcpStream::connect(address).unwrap();
                for round in 0..20u32 {
                    let word = (round * 1000 + i as u32).to_le_bytes();
                    io::write_all(&stream, &word, None).unwrap();
                    let mut back = [0; 4];
                    io::read_exact(&stream, &mut back, None).unwrap();
                    assert_eq!(back, word);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|h| h.join().unwrap());
    server.join().unwrap();
}

#[test]
fn eventfd_counts() {
    let _dog = watchdog("eventfd");
    let rt = runtime(1);
    // SAFETY: the kernel has just handed the descriptor to us.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)) };
    let writer = fd.try_clone().unwrap();
    let reader = rt.spawn(move || {
        let mut sum = 0;
        while sum < 10 {
            let mut word = [0; 8];
            io::read_exact(&fd, &mut word, None).unwrap();
            sum += u64::from_ne_bytes(word);
        }
        sum
    });
    for _ in 0..10 {
        io::write_all(&writer, &1u64.to_ne_bytes(), None).unwrap();
    }
    assert_eq!(reader.join().unwrap(), 10);
}

#[test]
fn devices_and_files_are_always_ready() {
    let _dog = watchdog("devices");
    let rt = runtime(1);
    rt.run(|| {
        let zero = File::open("/dev/zero").unwrap();
        let mut bytes = [1; 100];
        io::read_exact(&zero, &mut bytes, None).unwrap();
        assert_eq!(bytes, [0; 100]);

        let path = std::env::temp_dir().join(format!("kcoro-io-{}", std::process::id()));
        let mut file = File::create_new(&path).unwrap();
        io::write_all(&file, b"in a file", None).unwrap();
        file.flush().unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        io::wait_readable(&file, None).unwrap();
        io::wait_writable(&file, soon(0)).unwrap();
        let mut bytes = [0; 9];
        io::read_exact(&file, &mut bytes, None).unwrap();
        assert_eq!(&bytes, b"in a file");
        assert_eq!(io::read(&file, &mut bytes, None).unwrap(), 0);
        let end = io::read_exact(&file, &mut bytes, None).unwrap_err();
        assert_eq!((end.done(), end.kind()), (0, ErrorKind::UnexpectedEof));
    });
}

#[test]
fn the_other_end_goes() {
    let _dog = watchdog("hang up");
    let rt = runtime(1);
    let (reader, writer) = pipe();
    let end = rt.spawn(move || io::read(&reader, &mut [0; 8], None));
    let_them_wait();
    drop(writer);
    assert_eq!(end.join().unwrap().unwrap(), 0);

    let (reader, writer) = pipe();
    let broken = rt.spawn(move || io::write_all(&writer, &[0; 1 << 20], None));
    let_them_wait();
    drop(reader);
    let broken = broken.join().unwrap().unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
    assert!(broken.done() >= 4096, "{broken}");
}

#[test]
fn half_an_end_does_not_spin_a_writer() {
    let _dog = watchdog("half an end");
    let rt = runtime(1);
    let (near, far) = UnixStream::pair().unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    let writer = rt.spawn(move || io::write_all(&near, &[0; 8 << 20], None).map_err(|e| e.kind()));
    let_them_wait();
    let before = rt.metrics().rounds;
    std::thread::sleep(Duration::from_millis(50));
    let rounds = rt.metrics().rounds - before;
    assert!(rounds < 50, "{rounds} rounds while nothing happened");
    drop(far);
    assert_eq!(writer.join().unwrap().unwrap_err(), ErrorKind::BrokenPipe);
}

#[test]
fn timeouts_are_never_early_and_leave_nothing_behind() {
    let _dog = watchdog("timeouts");
    let rt = runtime(2);
    let (reader, writer) = pipe();
    let reader = Arc::new(reader);
    let waiters: Vec<_> = (0..20)
        .map(|i| {
            let reader = Arc::clone(&reader);
            rt.spawn(move || {
                for _ in 0..5 {
                    let start = Instant::now();
                    let wanted = Duration::from_millis(1 + i % 7);
                    let error = io::wait_readable(&*reader, Some(start + wanted)).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                    assert!(start.elapsed() >= wanted);
                }
            })
        })
        .collect();
    waiters.into_iter().for_each(|h| h.join().unwrap());
    let error = rt.run(move || io::read_exact(&*reader, &mut [0; 4], soon(5)).unwrap_err());
    assert_eq!((error.done(), error.kind()), (0, ErrorKind::TimedOut));
    drop(writer);

    let (reader, writer) = pipe();
    io::write_all(&writer, b"ab", None).unwrap();
    let error = rt.run(move || io::read_exact(&reader, &mut [0; 4], soon(5)).unwrap_err());
    assert_eq!((error.done(), error.kind()), (2, ErrorKind::TimedOut));
    assert!(error.to_string().contains("after 2 bytes"), "{error}");
}

#[test]
fn several_waiters_are_all_told() {
    let _dog = watchdog("several waiters");
    for workers in [1, 3] {
        let rt = runtime(workers);
        let (near, far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        let handles: Vec<_> = (0..30)
            .map(|i| {
                let near = Arc::clone(&near);
                rt.spawn(move || {
                    if i % 3 == 0 {
                        io::wait_writable(&*near, None).unwrap();
                    }
                    io::wait_readable(&*near, None).unwrap();
                })
            })
            .collect();
        let_them_wait();
        assert!(handles.iter().all(|h| !h.is_finished()));
        (&far).write_all(b"x").unwrap();
        handles.into_iter().for_each(|h| h.join().unwrap());
    }
}

#[test]
fn one_byte_each_for_many_readers() {
    let _dog = watchdog("many readers");
    let rt = runtime(2);
    let (reader, writer) = pipe();
    let reader = Arc::new(reader);
    let handles: Vec<_> = (0..40)
        .map(|_| {
            let reader = Arc::clone(&reader);
            // A blocking descriptor: whoever comes too late must not block its worker.
            rt.spawn(move || {
                let mut byte = [0];
                io::read_exact(&*reader, &mut byte, None).unwrap();
                u32::from(byte[0])
            })
        })
        .collect();
    let_them_wait();
    for i in 1..=40 {
        io::write_all(&writer, &[i], None).unwrap();
    }
    assert_eq!(handles.into_iter().map(|h| h.join().unwrap()).sum::<u32>(), 820);
}

#[test]
fn many_descriptors() {
    let _dog = watchdog("many descriptors");
    let rt = runtime(2);
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let (reader, writer) = pipe();
        writers.push(writer);
        readers.push(rt.spawn(move || {
            let mut byte = [0];
            for round in 0..5 {
                io::read_exact(&reader, &mut byte, None).unwrap();
                assert_eq!(byte[0], round);
            }
        }));
    }
    for round in 0..5u8 {
        for writer in &writers {
            io::write_all(writer, &[round], None).unwrap();
        }
    }
    readers.into_iter().for_each(|h| h.join().unwrap());
}

#[test]
fn ping_pong_wakes_sleeping_workers() {
    let _dog = watchdog("ping pong");
    let rt = runtime(2);
    let (near, far) = UnixStream::pair().unwrap();
    let echo = rt.spawn(move || {
        let mut byte = [0];
        while io::read(&far, &mut byte, None).unwrap() == 1 {
            io::write_all(&far, &byte, None).unwrap();
        }
    });
    let mut byte = [0];
    for i in 0..2_000u32 {
        io::write_all(&near, &[i as u8], None).unwrap();
        io::read_exact(&near, &mut byte, None).unwrap();
        assert_eq!(byte[0], i as u8);
    }
    drop(near);
    echo.join().unwrap();
}

#[test]
fn a_worker_in_its_poller_hears_of_other_work() {
    let _dog = watchdog("other work");
    let rt = runtime(1);
    let (reader, writer) = pipe();
    let waiter = rt.spawn(move || io::read(&reader, &mut [0; 1], None).unwrap());
    for _ in 0..200 {
        rt.spawn(|| ()).join().unwrap();
        rt.spawn(|| kcoro::sleep(Duration::from_micros(50))).join().unwrap();
    }
    assert!(!waiter.is_finished());
    drop(writer);
    assert_eq!(waiter.join().unwrap(), 0);
}

#[test]
fn readiness_gets_through_beside_a_hog() {
    let _dog = watchdog("hog");
    let rt = runtime(1);
    let (reader, writer) = pipe();
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    let hog = rt.spawn(move || {
        let mut yields = 0u64;
        while !seen.load(Ordering::Relaxed) {
            kcoro::yield_now();
            yields += 1;
        }
        yields
    });
    let waiter = rt.spawn(move || {
        io::read_exact(&reader, &mut [0; 1], None).unwrap();
        done.store(true, Ordering::Relaxed);
    });
    let_them_wait();
    io::write_all(&writer, &[1], None).unwrap();
    waiter.join().unwrap();
    assert!(hog.join().unwrap() > 0);
}

#[test]
fn a_closed_number_is_reused() {
    let _dog = watchdog("closed and reused");
    let rt = runtime(1);
    rt.run(|| {
        // Registered, closed without a report, and the number goes to the next pipe: mostly, for
        // the other tests open files, too.
        let mut reused = 0;
        for _ in 0..50 {
            let (reader, writer) = pipe();
            let number = reader.as_raw_fd();
            assert!(io::wait_readable(&reader, soon(1)).is_err());
            drop((reader, writer));
            let (reader, writer) = pipe();
            reused += usize::from(reader.as_raw_fd() == number);
            let waiter = kcoro::spawn_local(move || io::read(&reader, &mut [0; 1], None).unwrap());
            kcoro::yield_now();
            io::write_all(&writer, b"x", None).unwrap();
            assert_eq!(waiter.join().unwrap(), 1);
        }
        assert!(reused > 0);
    });
}

#[test]
fn a_number_reused_under_a_waiter_harms_nobody() {
    let _dog = watchdog("reused under a waiter");
    let rt = runtime(1);
    rt.run(|| {
        let (old, old_writer) = pipe();
        let (new, new_writer) = pipe();
        let old = Arc::new(old);
        let number = old.as_raw_fd();
        // The open file of the old pipe lives on under another number.
        let keeper = old.try_clone().unwrap();
        let first = Arc::clone(&old);
        let waiter = kcoro::spawn_local(move || io::wait_readable(&*first, None));
        kcoro::yield_now();
        // SAFETY: both are open and ours.
        assert_eq!(unsafe { libc::dup2(new.as_raw_fd(), number) }, number);
        let second = kcoro::spawn_local(move || {
            // SAFETY: `old` keeps the number open.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            io::wait_readable(&fd, None)
        });
        kcoro::yield_now();
        io::write_all(&old_writer, b"x", None).unwrap();
        kcoro::sleep(Duration::from_millis(5));
        assert!(!waiter.is_finished() && !second.is_finished(), "nothing came on that number");
        io::write_all(&new_writer, b"x", None).unwrap();
        second.join().unwrap().unwrap();
        waiter.join().unwrap().unwrap();
        drop(keeper);
    });
}

#[test]
fn errors_of_the_system_come_back() {
    let _dog = watchdog("errors");
    let rt = runtime(1);
    rt.run(|| {
        // SAFETY: nothing is harmed if it is not open, and it is not.
        let closed = unsafe { std::os::fd::BorrowedFd::borrow_raw(1_000_000) };
        for error in [
            io::wait_readable(&closed, None).unwrap_err(),
            io::read(&closed, &mut [0], None).unwrap_err(),
            io::write_all(&closed, &[0], None).unwrap_err().into(),
        ] {
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
        let (reader, _writer) = pipe();
        assert_eq!(io::write(&reader, &[0], None).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(io::read(&reader, &mut [], None).unwrap(), 0);
    });
}

#[test]
fn plain_threads_block() {
    let _dog = watchdog("threads");
    let (reader, writer) = pipe();
    let error = io::read(&reader, &mut [0; 4], soon(5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let thread = std::thread::spawn(move || {
        let mut all = vec![0; 200_000];
        io::read_exact(&reader, &mut all, None).unwrap();
    });
    io::write_all(&writer, &[3; 200_000], None).unwrap();
    thread.join().unwrap();
}

#[test]
fn tasks_driven_by_hand_wait_too() {
    let _dog = watchdog("tasks");
    let (reader, writer) = pipe();
    let got = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&got);
    let task = Task::new(move || {
        let mut byte = [0];
        assert!(io::wait_readable(&reader, soon(2)).is_err());
        seen.fetch_add(100, Ordering::Relaxed);
        while io::read(&reader, &mut byte, None).unwrap() == 1 {
            seen.fetch_add(u64::from(byte[0]), Ordering::Relaxed);
        }
    });
    for i in 1..=3u64 {
        while got.load(Ordering::Relaxed) != 100 + i * (i - 1) / 2 {
            task.resume().unwrap();
        }
        io::write_all(&writer, &[i as u8], None).unwrap();
    }
    drop(writer);
    while task.resume().unwrap() != State::Finished {}
    assert_eq!(got.load(Ordering::Relaxed), 106);
    // Dropped while it waits: its registration goes with it.
    let (reader, writer) = pipe();
    let task = Task::new(move || io::wait_readable(&reader, None).unwrap());
    task.resume().unwrap();
    drop(task);
    assert_eq!(io::write(&writer, b"x", None).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn unwinding_withdraws() {
    let _dog = watchdog("unwinding");
    let (reader, writer) = pipe();
    let reader = Arc::new(reader);
    for _ in 0..20 {
        let rt = runtime(2);
        for _ in 0..10 {
            let reader = Arc::clone(&reader);
            rt.spawn(move || io::wait_readable(&*reader, soon(60_000))).detach();
        }
        std::thread::sleep(Duration::from_millis(2));
        let _ = rt.shutdown(Duration::ZERO);
    }
    assert_eq!(Arc::strong_count(&reader), 1);
    drop(reader);
    assert_eq!(io::write(&writer, b"x", None).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn readiness_races_with_the_deadline() {
    let _dog = watchdog("race with the deadline");
    let rt = runtime(2);
    let rounds = scale::scaled(if cfg!(debug_assertions) { 300 } else { 3_000 });
    let (near, far) = UnixStream::pair().unwrap();
    let (tx, rx) = std::sync::mpsc::channel::<Instant>();
    let reader = rt.spawn(move || {
        let (mut got, mut late) = (0, 0);
        while got < rounds {
            let deadline = Instant::now() + Duration::from_micros(100);
            let _ = tx.send(deadline);
            match io::read(&near.as_fd(), &mut [0; 1], Some(deadline)) {
                Ok(n) => got += n,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                    late += 1;
                }
            }
        }
        late
    });
    let mut sent = 0;
    while let Ok(deadline) = rx.recv() {
        while Instant::now() < deadline {
            std::hint::spin_loop();
        }
        if sent < rounds {
            (&far).write_all(b"x").unwrap();
            sent += 1;
        }
    }
    let _ = reader.join().unwrap();
}
