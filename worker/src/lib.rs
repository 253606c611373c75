//! The worker: the partition loops that drive chats and mailboxes, and the answers to queries.
//!
//! - [`worker`](Worker) starts and stops everything, and says whether it is ready.
//! - `partition` is the loop: one a partition, without locks, the only place where actors are.
//! - `query` answers from rows, never from actors.
//! - `seams` is how both reach the bus and the store: what must succeed is repeated there.
//!
//! This crate knows neither sockets nor databases; it is given a [`Bus`](confab_bus::Bus) and a
//! [`Store`](confab_store::Store), and all it keeps in memory can be rebuilt from them.

mod config;
mod health;
mod metrics;
mod partition;
mod query;
mod seams;
mod worker;

pub use config::Config;
pub use health::NotReady;
pub use worker::Worker;
