//! How many requests a connection may send.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::RATE_PATIENCE;

/// Without a refusal for so long, a client has stopped exceeding its rate.
const CALM: Duration = Duration::from_secs(1);

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may pass.
    Pass,
    /// It is refused; there is room again after this.
    Refuse(Duration),
    /// The client has gone on for too long.
    Close,
}

/// A token bucket.
#[derive(Debug)]
pub(super) struct Rate {
    tokens: f64,
    filled_at: Instant,
    /// The first and the last refusal of a run of them.
    refused: Option<Box<(Instant, Instant)>>,
}

impl Rate {
    /// A full bucket.
    pub(super) fn new(burst: u32, now: Instant) -> Self {
        Self {
            tokens: f64::from(burst),
            filled_at: now,
            refused: None,
        }
    }

    /// Takes one request, of `limit` a second and at most `burst` at once.
    pub(super) fn take(&mut self, limit: u32, burst: u32, now: Instant) -> Verdict {
        let limit = f64::from(limit);
        let gained = now.duration_since(self.filled_at).as_secs_f64() * limit;
        self.tokens = (self.tokens + gained).min(f64::from(burst));
        self.filled_at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Verdict::Pass;
        }
        let (first, last) = &mut **self.refused.get_or_insert_with(|| Box::new((now, now)));
        if now.duration_since(*last) >= CALM {
            *first = now;
        }
        *last = now;
        if now.duration_since(*first) >= RATE_PATIENCE {
            return Verdict::Close;
        }
        Verdict::Refuse(Duration::from_secs_f64((1.0 - self.tokens) / limit))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Rate, Verdict};

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let start = Instant::now();
        let mut rate = Rate::new(300, start);
        for _ in 0..300 {
            assert_eq!(rate.take(50, 300, start), Verdict::Pass);
        }
        assert_eq!(
            rate.take(50, 300, start),
            Verdict::Refuse(Duration::from_millis(20))
        );
        let later = start + Duration::from_millis(21);
        assert_eq!(rate.take(50, 300, later), Verdict::Pass);
    }

    #[test]
    fn who_goes_on_for_ten_seconds_is_closed_and_who_pauses_is_not() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let (mut stubborn, mut calm) = (Rate::new(1, start), Rate::new(1, start));
        let run = |rate: &mut Rate, from: u64, to: u64| {
            (from..=to)
                .step_by(10)
                .map(|ms| rate.take(50, 1, at(ms)))
                .filter(|verdict| *verdict == Verdict::Close)
                .count()
        };
        assert_eq!(run(&mut stubborn, 0, 9_990), 0);
        assert!(run(&mut stubborn, 10_000, 10_100) > 0);
        assert_eq!(run(&mut calm, 0, 9_000), 0);
        assert_eq!(run(&mut calm, 10_500, 19_000), 0);
    }
}
