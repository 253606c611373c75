//! The seeded simulation: real gateways, real workers and everything between them, in one thread on simulated time, over
//! a log, a store and a network that fail as one seed decides; and the checker of what came of it.
//!
//! - [`entropy`] owns what would differ from one run to the next; [`world::clock`](clock) owns the time.
//! - [`faults`] is the dice: what goes wrong when, and how often each thing did.
//! - [`host`] is a process that can be paused or die at any call to a seam; [`wire`] carries what arrives later.
//! - [`bus`] and [`store`] are the two seams over all this.
//! - [`client`] is a device as an SDK drives it, on real frames; [`history`] is what all of them saw.
//! - [`plan`] is what a seed decides beforehand; [`world`] runs it; [`chaos`] breaks it.
//! - [`minimise`] finds the smallest plan that fails as another does.
//! - [`check`] judges: histories and final tables against the invariants of `docs/architecture.md`.
//!
//! The invariant: the same seed gives the same history, byte for byte, in every process that runs it alone.

pub mod bus;
pub mod chaos;
pub mod check;
pub mod client;
pub mod clock;
pub mod entropy;
pub mod faults;
pub mod history;
pub mod host;
pub mod minimise;
pub mod plan;
pub mod store;
pub mod trace;
pub mod wire;
pub mod world;
