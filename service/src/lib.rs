//! Process plumbing: what every Confab process needs and no domain knows of.
//!
//! - [`clock`] — the one place that reads wall-clock time.
//! - [`mistake`] — mistakes made on purpose, for a simulation to notice.
//! - [`tasks`] — the one place that spawns tasks.
//! - [`stop`] — the signals that end a process, and what each asks for.
//! - [`telemetry`] — how logs are written.
//! - [`admin`] — health, readiness and metrics over HTTP, on a thread of its own, and the recorder of what is counted.

pub mod admin;
pub mod clock;
mod metrics;
pub mod mistake;
pub mod stop;
pub mod tasks;
pub mod telemetry;

pub use admin::{Admin, Health};
pub use stop::{Signals, Stop};
pub use tasks::Tasks;
