//! Ids, shards and Hecke operators against the words of the contract.

use kcoro::error::IdError;
use kcoro::monster::{PIPE_COUNT, PRIMES, PipeId, SHARD_COUNT, ShardId, apply_hecke, assign_shard};
use proptest::prelude::*;

#[test]
fn the_primes_divide_the_order_of_the_monster_group() {
    let order: u128 = 808_017_424_794_512_875_886_459_904_961_710_757;
    let low: u128 = 5_754_368_000_000_000;
    // The order is `order * 10^18 + low` (54 digits); reduce it piece by piece.
    for prime in PRIMES.map(u128::from) {
        let shift = (0..18).fold(1, |power, _| power * 10 % prime);
        assert_eq!((order % prime * shift + low) % prime, 0, "{prime}");
    }
    assert_eq!((PIPE_COUNT, SHARD_COUNT), (15, 15));
}

#[test]
fn ids_are_checked() {
    assert_eq!(PipeId::new(14).map(PipeId::index), Ok(14));
    assert_eq!(PipeId::new(15), Err(IdError::Pipe(15)));
    assert_eq!(ShardId::new(usize::MAX), Err(IdError::Shard(usize::MAX)));
    let text = ShardId::new(15).expect_err("out of range").to_string();
    assert_eq!(text, "there is no shard 15: shards are numbered 0 to 14");
    assert_eq!("3".parse(), PipeId::new(3));
    assert_eq!("three".parse::<PipeId>(), Err(IdError::NotANumber));
    assert_eq!("15".parse::<PipeId>(), Err(IdError::Pipe(15)));
    let primes: Vec<u64> = PipeId::all().map(PipeId::prime).collect();
    assert_eq!(primes, PRIMES);
    assert_eq!(
        format!("{:?} {0}", ShardId::all().next_back().expect("15 of them")),
        "ShardId(14) 14"
    );
}

#[test]
fn each_prime_below_71_is_its_own_shard() {
    for (index, prime) in PRIMES.iter().enumerate().take(14) {
        assert_eq!(assign_shard(*prime).index(), index);
    }
    assert_eq!(assign_shard(71).index(), 0, "71 mod 71 is 0, which 2 divides");
    assert_eq!(assign_shard(1).index(), 14);
    assert_eq!(assign_shard(37).index(), 14, "37 is a prime, but not one of the fifteen");
}

proptest! {
    #[test]
    fn a_shard_is_the_first_prime_that_divides(value: u64) {
        let residue = value % 71;
        let shard = assign_shard(value);
        for earlier in &PRIMES[..shard.index()] {
            prop_assert_ne!(residue % earlier, 0);
        }
        prop_assert!(residue % shard.prime() == 0 || shard.index() == 14);
        prop_assert_eq!(shard, assign_shard(residue));
    }

    #[test]
    fn hecke_is_multiplication_modulo_71(value: u64, index in 0..15usize) {
        let product = u128::from(value) * u128::from(PRIMES[index]) % 71;
        prop_assert_eq!(u128::from(apply_hecke(value, index)), product);
    }

    #[test]
    fn hecke_operators_commute(value: u64, a in 0..15usize, b in 0..15usize) {
        let one = apply_hecke(apply_hecke(value, a), b);
        prop_assert_eq!(one, apply_hecke(apply_hecke(value, b), a));
    }

    #[test]
    fn hecke_past_the_last_prime_changes_nothing(value: u64, index in 15usize..) {
        prop_assert_eq!(apply_hecke(value, index), value);
    }
}
