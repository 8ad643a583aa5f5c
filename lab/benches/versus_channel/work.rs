//! The work on a pair of ends: ping-pong, moving numbers, and handing buffers there and back.

use super::ends::{Put, PutLater, Take, TakeLater};
use kcoro_lab::versus::elapsed;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How many send and how many receive.
#[derive(Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub senders: usize,
    pub receivers: usize,
}

impl Shape {
    /// A clone of the sender for each who sends, and of the receiver for each who receives.
    pub fn both<P: Clone, T: Clone>(self, (sender, receiver): (P, T)) -> (Vec<P>, Vec<T>) {
        (vec![sender; self.senders], vec![receiver; self.receivers])
    }

    /// The same where receivers cannot be cloned.
    pub fn senders<P: Clone, T>(self, (sender, receiver): (P, T)) -> (Vec<P>, Vec<T>) {
        assert_eq!(self.receivers, 1);
        (vec![sender; self.senders], vec![receiver])
    }

    /// The same where neither can.
    pub fn single<P, T>(self, (sender, receiver): (P, T)) -> (Vec<P>, Vec<T>) {
        assert_eq!((self.senders, self.receivers), (1, 1));
        (vec![sender], vec![receiver])
    }
}

/// The side that begins; it measures.
pub fn ping(count: usize, mut to: impl Put<usize>, mut from: impl Take<usize>) -> Duration {
    elapsed(|| {
        for number in 0..count {
            to.put(number);
            assert_eq!(from.take(), Some(number + 1));
        }
    })
}

/// The side that answers.
pub fn pong(count: usize, mut to: impl Put<usize>, mut from: impl Take<usize>) {
    for _ in 0..count {
        let number = from.take().expect("the other side is there");
        to.put(number + 1);
    }
}

/// [`ping`] of a task.
pub async fn ping_later(
    count: usize,
    mut to: impl PutLater<usize>,
    mut from: impl TakeLater<usize>,
) -> Duration {
    let start = Instant::now();
    for number in 0..count {
        to.put(number).await;
        assert_eq!(from.take().await, Some(number + 1));
    }
    start.elapsed()
}

/// [`pong`] of a task.
pub async fn pong_later(
    count: usize,
    mut to: impl PutLater<usize>,
    mut from: impl TakeLater<usize>,
) {
    for _ in 0..count {
        let number = from.take().await.expect("the other side is there");
        to.put(number + 1).await;
    }
}

/// Sends so many numbers.
pub fn pour(count: usize, mut to: impl Put<usize>) {
    for number in 0..count {
        to.put(number);
    }
}

/// Receives until nobody sends any more, and counts.
pub fn drain(mut from: impl Take<usize>) -> usize {
    let mut count = 0;
    while let Some(number) = from.take() {
        black_box(number);
        count += 1;
    }
    count
}

/// [`pour`] of a task.
pub async fn pour_later(count: usize, mut to: impl PutLater<usize>) {
    for number in 0..count {
        to.put(number).await;
    }
}

/// [`drain`] of a task.
pub async fn drain_later(mut from: impl TakeLater<usize>) -> usize {
    let mut count = 0;
    while let Some(number) = from.take().await {
        black_box(number);
        count += 1;
    }
    count
}

/// Buffers that go there and back.
pub const IN_FLIGHT: usize = 64;

/// How much of a buffer is touched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Its first word.
    Word,
    /// Every byte: the sender writes it, the receiver reads it.
    All,
}

/// A buffer that is handed on.
pub trait Buffer: Send + Unpin + 'static {
    fn bytes(&self) -> &[u8];
    fn bytes_mut(&mut self) -> &mut [u8];
}

impl Buffer for Box<[u8]> {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl Buffer for kcoro::arena::PayloadMut {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
}

#[inline]
pub fn write(buffer: &mut [u8], number: usize, touch: Touch) {
    if touch == Touch::All {
        buffer.fill(number as u8);
    }
    buffer[..8].copy_from_slice(&number.to_ne_bytes());
}

#[inline]
pub fn read(buffer: &[u8], touch: Touch) -> usize {
    if touch == Touch::All {
        let (words, _) = buffer.as_chunks::<8>();
        let sum =
            words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
        black_box(sum);
    }
    usize::from_ne_bytes(buffer[..8].try_into().expect("eight bytes"))
}

/// Takes empty buffers from `back`, fills them, and sends them `there`.
pub fn fill<B: Buffer>(count: usize, touch: Touch, mut there: impl Put<B>, mut back: impl Take<B>) {
    for number in 0..count {
        let mut buffer = back.take().expect("they come back");
        write(buffer.bytes_mut(), number, touch);
        there.put(buffer);
    }
    // The last ones are on their way back, and need somebody who takes them.
    for _ in 0..IN_FLIGHT {
        drop(back.take());
    }
}

/// Reads what comes, and gives the buffers back.
pub fn empty<B: Buffer>(
    count: usize,
    touch: Touch,
    mut there: impl Take<B>,
    mut back: impl Put<B>,
    fresh: impl Fn() -> B,
) {
    for _ in 0..IN_FLIGHT {
        back.put(fresh());
    }
    for number in 0..count {
        let buffer = there.take().expect("they come");
        assert_eq!(read(buffer.bytes(), touch), number);
        back.put(buffer);
    }
}

/// [`fill`] of a task.
pub async fn fill_later<B: Buffer>(
    count: usize,
    touch: Touch,
    mut there: impl PutLater<B>,
    mut back: impl TakeLater<B>,
) {
    for number in 0..count {
        let mut buffer = back.take().await.expect("they come back");
        write(buffer.bytes_mut(), number, touch);
        there.put(buffer).await;
    }
    for _ in 0..IN_FLIGHT {
        drop(back.take().await);
    }
}

/// [`empty`] of a task.
pub async fn empty_later<B: Buffer>(
    count: usize,
    touch: Touch,
    mut there: impl TakeLater<B>,
    mut back: impl PutLater<B>,
    fresh: impl Fn() -> B + Send,
) {
    for _ in 0..IN_FLIGHT {
        back.put(fresh()).await;
    }
    for number in 0..count {
        let buffer = there.take().await.expect("they come");
        assert_eq!(read(buffer.bytes(), touch), number);
        back.put(buffer).await;
    }
}
