//! The worker through its public doors: commands go into the log, answers, deliveries and rows come out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod chats;
mod crash;
mod messages;
mod presence;
mod sessions;
mod startup;
mod typing;
