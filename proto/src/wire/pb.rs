//! The messages that are generated from `proto/*.proto`.

#![allow(clippy::all, missing_docs, unreachable_pub)]

include!(concat!(env!("OUT_DIR"), "/confab.wire.rs"));
