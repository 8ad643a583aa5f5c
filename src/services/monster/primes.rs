//! The fifteen primes, the ids of pipes and shards, and the two functions over them.
//!
//! The primes are those that divide the order of the Monster group. A pipe and a shard are both
//! named by the index of a prime, 0 to 14; two types keep one from being used as the other.
//!
//! # Invariants
//!
//! 1. A [`PipeId`] or [`ShardId`] that exists is below 15, so indexing [`PRIMES`] with it is fine.
//! 2. [`assign_shard`] depends on `value mod 71` only, and so does [`apply_hecke`] for an index
//!    in range.
//!
//! # Who calls this, and what it may call
//!
//! Anyone: pure functions, no allocation, no suspension.

#![forbid(unsafe_code)]

use std::fmt;

use crate::error::IdError;

/// The primes that divide the order of the Monster group, in order.
pub const PRIMES: [u64; 15] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 41, 47, 59, 71];

/// How many pipes there are: one for each prime.
pub const PIPE_COUNT: usize = PRIMES.len();

/// How many shards there are: one for each prime.
pub const SHARD_COUNT: usize = PRIMES.len();

/// The modulus of [`assign_shard`] and [`apply_hecke`]: the largest of the primes.
pub const HECKE_MODULUS: u64 = PRIMES[PRIMES.len() - 1];

/// The last index, where a value goes that no prime divides.
const LAST: u8 = (PRIMES.len() - 1) as u8;

macro_rules! prime_id {
    ($(#[$doc:meta])* $name:ident, $error:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u8);

        impl $name {
            #[doc = concat!("The ", $what, " with this id.")]
            ///
            /// # Errors
            ///
            /// [`IdError`] if `id` is above 14; the error carries the id that was asked for.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use kcoro::monster::", stringify!($name), ";")]
            ///
            #[doc = concat!("assert_eq!(", stringify!($name), "::new(4)?.prime(), 11);")]
            #[doc = concat!("assert!(", stringify!($name), "::new(15).is_err());")]
            /// # Ok::<(), kcoro::error::IdError>(())
            /// ```
            pub const fn new(id: usize) -> Result<$name, IdError> {
                if id <= LAST as usize { Ok($name(id as u8)) } else { Err(IdError::$error(id)) }
            }

            #[doc = concat!("All fifteen, in order.")]
            pub fn all() -> impl DoubleEndedIterator<Item = $name> + ExactSizeIterator {
                (0..=LAST).map($name)
            }

            /// The index, 0 to 14.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The prime that stands behind this id.
            #[must_use]
            pub const fn prime(self) -> u64 {
                PRIMES[self.0 as usize]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl TryFrom<usize> for $name {
            type Error = IdError;

            fn try_from(id: usize) -> Result<$name, IdError> {
                $name::new(id)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<$name, IdError> {
                $name::new(text.parse().map_err(|_| IdError::NotANumber)?)
            }
        }
    };
}

prime_id! {
    /// Which of the fifteen pipes.
    PipeId, Pipe, "pipe"
}

prime_id! {
    /// Which of the fifteen shards.
    ShardId, Shard, "shard"
}

/// The shard of `value`: with `m = value mod 71`, the first prime index that divides `m`, else 14.
///
/// # Examples
///
/// ```
/// use kcoro::monster::assign_shard;
///
/// assert_eq!(assign_shard(35).index(), 2); // 35 = 5 * 7, and neither 2 nor 3 divides it
/// assert_eq!(assign_shard(71).index(), 0); // 71 mod 71 = 0, which 2 divides
/// assert_eq!(assign_shard(1).index(), 14); // nothing divides 1
/// ```
#[must_use]
pub fn assign_shard(value: u64) -> ShardId {
    let residue = value % HECKE_MODULUS;
    let first = PRIMES.iter().position(|prime| residue.is_multiple_of(*prime));
    ShardId(first.map_or(LAST, |index| index as u8))
}

/// The Hecke operator with this index: `(value * PRIMES[index]) mod 71`.
///
/// The product is the mathematical one: it does not wrap, however large `value` is. An index past
/// 14 leaves `value` alone.
///
/// # Examples
///
/// ```
/// use kcoro::monster::apply_hecke;
///
/// assert_eq!(apply_hecke(40, 0), 9); // 80 mod 71
/// assert_eq!(apply_hecke(40, 15), 40);
/// ```
#[must_use]
pub fn apply_hecke(value: u64, index: usize) -> u64 {
    match PRIMES.get(index) {
        Some(prime) => value % HECKE_MODULUS * prime % HECKE_MODULUS,
        None => value,
    }
}
