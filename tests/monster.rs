//! The monster service, subject by subject.

#[path = "monster/coroutines.rs"]
mod coroutines;
#[path = "monster/pipes.rs"]
mod pipes;
#[path = "monster/primes.rs"]
mod primes;
#[path = "monster/record.rs"]
mod record;
#[path = "monster/sampler.rs"]
mod sampler;
#[path = "monster/status.rs"]
mod status;
#[path = "monster/waits.rs"]
mod waits;
