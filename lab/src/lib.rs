//! Shared pieces of the labs.
