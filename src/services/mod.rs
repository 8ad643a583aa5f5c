//! What is built on the runtime: each service is a folder that uses only the public layers below.

pub mod monster;
