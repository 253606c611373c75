//! Bytes ↔ domain. What arrives is decoded, bounded and turned into the types of `confab-chat` here; nothing
//! behind this crate sees bytes.
//!
//! - [`client`]: the frames of the client protocol, JSON.
//! - [`message`]: what gateways and workers say to each other, as types.
//! - [`wire`]: those messages, log entries, rows and states as protobuf bytes.

pub mod client;
pub mod message;
pub mod row;
pub mod wire;

/// The tests' strategies name the crate as its users do.
#[cfg(test)]
extern crate self as confab_proto;
