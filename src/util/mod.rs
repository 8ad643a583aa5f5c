//! What every layer may use and none owns.

mod panics;

pub(crate) use panics::Panics;
