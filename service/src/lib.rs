//! Process plumbing: what every Confab process needs and no domain knows of.
//!
//! - [`clock`]: the one place that reads wall-clock time.
//! - [`tasks`]: the one place that spawns tasks.

pub mod clock;
pub mod tasks;

pub use tasks::Tasks;
