//! Fork-join: `kcoro::join` splits work in halves that borrow from the caller. A worker that has
//! nothing to do takes a half; if nobody has, the fork costs a few nanoseconds.
//!
//! ```text
//! cargo run --release --example fork_join
//! ```

/// Below this length sorting at once is faster than forking.
const GRAIN: usize = 1_024;

/// Sorts by merging; `spare` is as long as `values`.
fn merge_sort(values: &mut [u64], spare: &mut [u64]) {
    if values.len() <= GRAIN {
        return values.sort_unstable();
    }
    let middle = values.len() / 2;
    let (low, high) = values.split_at_mut(middle);
    let (low_spare, high_spare) = spare.split_at_mut(middle);
    kcoro::join(|| merge_sort(low, low_spare), || merge_sort(high, high_spare));
    let (mut low, mut high) = (low.iter().peekable(), high.iter().peekable());
    for place in spare.iter_mut() {
        let from_low = match (low.peek(), high.peek()) {
            (Some(low), Some(high)) => low <= high,
            (low, _) => low.is_some(),
        };
        let next = if from_low { low.next() } else { high.next() };
        *place = *next.expect("as many places as values");
    }
    values.copy_from_slice(spare);
}

fn sorted(count: u64) -> Vec<u64> {
    let mut values: Vec<u64> = (0..count).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let mut spare = values.clone();
    kcoro::run(|| merge_sort(&mut values, &mut spare));
    values
}

fn main() {
    let values = sorted(1_000_000);
    println!("sorted {} values: {}", values.len(), values.is_sorted());
}

#[test]
fn it_sorts() {
    let values = sorted(20_000);
    assert!(values.len() == 20_000 && values.is_sorted());
}
