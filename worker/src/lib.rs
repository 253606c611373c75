//! The worker: the partition loops that drive chats and mailboxes, and the answers to queries.
//!
//! - [`worker`](Worker) starts and stops everything, and says whether it is ready.
//! - `keeper` gives the loops their partitions, as `placement` decides from what is heard of other workers.
//! - `partition` is the loop: one a partition, without locks, the only place where actors are.
//! - `examine` looks at a partition from outside of its owner, for tools.
//! - `peers` knows which workers live, and so whose word on who is online counts.
//! - `query` answers from rows, never from actors.
//! - `seams` is how both reach the bus and the store: what must succeed is repeated there.
//!
//! This crate knows neither sockets nor databases; it is given a [`Bus`](confab_bus::Bus) and a
//! [`Store`](confab_store::Store), and all it keeps in memory can be rebuilt from them.

mod config;
mod examine;
mod health;
mod keeper;
mod metrics;
mod oldest;
mod partition;
mod peers;
mod placement;
mod query;
mod seams;
mod worker;

pub use config::{Config, Placement};
pub use examine::{Condition, Unknown, examine};
pub use health::NotReady;
pub use worker::Worker;
