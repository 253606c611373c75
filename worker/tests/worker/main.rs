//! The worker through its public doors: commands go into the log, answers, deliveries and rows come out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod bounds;
mod chats;
mod cluster;
mod crash;
mod cursor_alone;
mod handover;
mod logs;
mod messages;
mod owners;
mod presence;
mod recover;
mod recover_alone;
mod recover_anywhere;
mod recover_late;
mod recover_twice;
mod sessions;
mod snapshot;
mod startup;
mod typing;
