//! Simulated time: milliseconds of the paused runtime, counted from a fixed day.

use std::sync::OnceLock;
use std::time::Duration;

use confab_chat::Timestamp;
use tokio::time::Instant;

/// When every simulation begins, in milliseconds since the Unix epoch.
const BEGINNING: u64 = 1_700_000_000_000;

static STARTED: OnceLock<Instant> = OnceLock::new();

/// Starts simulated time, and takes the wall clock of this process over. Called once, inside the paused runtime.
pub fn start() {
    STARTED.get_or_init(Instant::now);
    let _first = confab_service::clock::own(|| Duration::from_millis(BEGINNING) + elapsed());
}

/// Simulated time so far.
#[must_use]
pub fn elapsed() -> Duration {
    STARTED.get().map(Instant::elapsed).unwrap_or_default()
}

/// Milliseconds so far.
#[must_use]
pub fn millis() -> u64 {
    u64::try_from(elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The time of a clock that goes wrong by so many milliseconds.
#[must_use]
pub fn now(skew: i64) -> Timestamp {
    Timestamp((BEGINNING + millis()).saturating_add_signed(skew))
}
