//! What the channel's files name of `coroutine`, where there are only loom's threads.

/// Why a party waits; nobody reports it here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::enum_variant_names, reason = "the names of the real one")]
pub enum WaitReason {
    Select,
    Send,
    Recv,
}

/// Lets the other threads go on.
pub fn yield_now() {
    loom::thread::yield_now();
}
