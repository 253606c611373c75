//! The rules of a chat, seen through `needs` and `apply` as a worker calls them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod always;
mod marks;
mod membership;
mod messages;
mod model;
mod naive;
mod replay;
mod restore;
mod script;
mod total;
mod world;
