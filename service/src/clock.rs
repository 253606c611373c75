//! Wall-clock time: the one place that reads it.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since the Unix epoch.
type Source = Box<dyn Fn() -> Duration + Send + Sync>;

static OWNED: OnceLock<Source> = OnceLock::new();

/// Milliseconds since the Unix epoch. A clock set before it reads 0.
#[must_use]
pub fn now_millis() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// Microseconds since the Unix epoch.
#[must_use]
pub fn now_micros() -> u64 {
    u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX)
}

/// From now on the clock of this process is what `source` says: for a simulation, which has no other time. Whoever comes
/// first has it; false for all others.
pub fn own(source: impl Fn() -> Duration + Send + Sync + 'static) -> bool {
    OWNED.set(Box::new(source)).is_ok()
}

fn since_epoch() -> Duration {
    OWNED.get().map_or_else(system, |source| source())
}

#[expect(clippy::disallowed_methods, reason = "this is its one home")]
fn system() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
