//! Errors of broadcast subscribers: they may have lost values.

use core::fmt;
use std::error::Error;

/// Why a subscriber received nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum BroadcastError {
    /// It was too far behind: so many values are lost to it. The next call goes on behind them.
    Lagged(u64),
    /// The channel is closed and the subscriber has had everything.
    Closed,
}

/// Why a subscriber received nothing without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum TryBroadcastError {
    /// Nothing is there now.
    Empty,
    /// It was too far behind: so many values are lost to it. The next call goes on behind them.
    Lagged(u64),
    /// The channel is closed and the subscriber has had everything.
    Closed,
}

/// Why a subscriber received nothing in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum BroadcastTimeoutError {
    /// The deadline passed first.
    Timeout,
    /// It was too far behind: so many values are lost to it. The next call goes on behind them.
    Lagged(u64),
    /// The channel is closed and the subscriber has had everything.
    Closed,
}

/// Why a subscriber received nothing before a cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum BroadcastCancelError {
    /// The token was cancelled first.
    Cancelled,
    /// The deadline passed first.
    Timeout,
    /// It was too far behind: so many values are lost to it. The next call goes on behind them.
    Lagged(u64),
    /// The channel is closed and the subscriber has had everything.
    Closed,
}

fn lagged(f: &mut fmt::Formatter<'_>, missed: u64) -> fmt::Result {
    write!(f, "the subscriber lags and has lost {missed} values")
}

const CLOSED: &str = "the channel is closed and empty";

impl fmt::Display for BroadcastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BroadcastError::Lagged(missed) => lagged(f, *missed),
            BroadcastError::Closed => f.write_str(CLOSED),
        }
    }
}

impl fmt::Display for TryBroadcastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryBroadcastError::Empty => f.write_str("the channel is empty"),
            TryBroadcastError::Lagged(missed) => lagged(f, *missed),
            TryBroadcastError::Closed => f.write_str(CLOSED),
        }
    }
}

impl fmt::Display for BroadcastTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BroadcastTimeoutError::Timeout => {
                f.write_str("the deadline passed before a value came")
            }
            BroadcastTimeoutError::Lagged(missed) => lagged(f, *missed),
            BroadcastTimeoutError::Closed => f.write_str(CLOSED),
        }
    }
}

impl fmt::Display for BroadcastCancelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BroadcastCancelError::Cancelled => f.write_str("the receive was cancelled"),
            BroadcastCancelError::Timeout => f.write_str("the deadline passed before a value came"),
            BroadcastCancelError::Lagged(missed) => lagged(f, *missed),
            BroadcastCancelError::Closed => f.write_str(CLOSED),
        }
    }
}

impl Error for BroadcastCancelError {}
impl Error for BroadcastError {}
impl Error for TryBroadcastError {}
impl Error for BroadcastTimeoutError {}
