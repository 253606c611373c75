//! The gateway: holds the sockets, owns no truth, never touches the store.
//!
//! One task a socket, with bounded queues both ways. Its life: upgrade, authenticate, attach to the user's mailbox,
//! forward. [`session`] is that task; [`registry`] finds the sessions that a message from a worker is for; [`accept`]
//! and [`handshake`] turn a TCP connection into a session; [`beat`] repeats all attachments every ten seconds.
//!
//! The invariant: the durable events written to a socket have consecutive ids, whatever frames the bus loses.

mod accept;
pub mod auth;
mod beat;
mod config;
mod gateway;
mod handshake;
mod inbox;
mod metrics;
mod registry;
mod session;
mod stream;

pub use config::{Auth, Config, Origins};
pub use gateway::{Banning, Gateway};
pub use stream::Transport;
