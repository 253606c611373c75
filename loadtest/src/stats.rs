//! What is counted and timed during a run.

mod host;
mod series;
mod target;

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

pub(crate) use host::HostTime;
pub(crate) use series::{Point, Sampler};
pub(crate) use target::{Process, Usage};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Timed {
    /// A message, from its time in the plan to its response.
    Response,
    /// A message, from its time in the plan to its event at each member.
    Event,
    /// A connection, from its time in the plan to its first answer.
    Connect,
    /// A connection that came back, to the last event that it had missed.
    Resume,
    /// The list of chats.
    Chats,
    /// A page of messages.
    History,
    /// Edits, deletions and marks, to their response.
    Change,
    /// How late the tool itself was.
    Late,
}

impl Timed {
    pub(crate) const ALL: [Self; 8] = [
        Self::Response,
        Self::Event,
        Self::Connect,
        Self::Resume,
        Self::Chats,
        Self::History,
        Self::Change,
        Self::Late,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Response => "send to response",
            Self::Event => "send to event",
            Self::Connect => "connect",
            Self::Resume => "resume",
            Self::Chats => "list of chats",
            Self::History => "history",
            Self::Change => "edit, delete, mark",
            Self::Late => "late by the tool",
        }
    }
}

/// Microseconds, up to an hour, to three digits.
pub(crate) type Times = Histogram<u64>;

const LONGEST: u64 = 3_600_000_000;

/// # Panics
///
/// Never: the bounds are right.
#[allow(clippy::expect_used, reason = "constant bounds")]
pub(crate) fn times() -> Times {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds that a histogram can have")
}

/// Numbers that only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Messages sent, each once.
    pub(crate) sent: u64,
    /// Messages answered.
    pub(crate) answered: u64,
    /// `new` events that came.
    pub(crate) delivered: u64,
    /// All other requests that were answered.
    pub(crate) others: u64,
    /// Requests that were refused for good.
    pub(crate) refused: u64,
    /// Requests that were sent again: no answer, or one that says nothing of the outcome.
    pub(crate) repeated: u64,
    /// Connections that were lost without the tool's doing.
    pub(crate) lost: u64,
    /// Actions of the plan, without connections that go.
    #[serde(default)]
    pub(crate) planned: u64,
    /// Those of them that the tool was too slow for.
    #[serde(default)]
    pub(crate) dropped: u64,
    /// Actions for which there was nothing to act on.
    pub(crate) skipped: u64,
    /// Actions that began more than 10 ms after their time.
    pub(crate) late: u64,
    /// Actions that waited for a connection until the end, or for which too many waited already.
    #[serde(default)]
    pub(crate) unbegun: u64,
}

impl Counts {
    /// Actions that a device came to, whether or not there was something to act on.
    pub(crate) fn begun(&self) -> u64 {
        self.planned.saturating_sub(self.dropped + self.unbegun)
    }
}

/// See the module.
pub(crate) struct Stats {
    started: Instant,
    window: Option<(Instant, Instant)>,
    all: Vec<Times>,
    /// Since the last point of the series.
    lately: Vec<Times>,
    /// How late the tool began connections: by itself, for no action of the plan is late by it.
    late_dials: Times,
    pub(crate) counts: Counts,
    /// Connections that are open.
    pub(crate) open: u32,
    /// What was refused, by code, with one message of each.
    pub(crate) refusals: std::collections::BTreeMap<String, (u64, String)>,
}

/// From here on an action counts as late.
const LATE: Duration = Duration::from_millis(10);

impl Stats {
    pub(crate) fn new(started: Instant) -> Self {
        let all = || Timed::ALL.iter().map(|_| times()).collect();
        Self {
            started,
            window: None,
            all: all(),
            lately: all(),
            late_dials: times(),
            counts: Counts::default(),
            open: 0,
            refusals: std::collections::BTreeMap::new(),
        }
    }

    /// Messages count when their time is in here.
    pub(crate) fn measure(&mut self, from: Instant, to: Instant) {
        self.window = Some((from, to));
    }

    pub(crate) fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.started).as_micros() as u64
    }

    pub(crate) fn at(&self, micros: u64) -> Instant {
        self.started + Duration::from_micros(micros)
    }

    /// Something that was to begin then is done now.
    pub(crate) fn took(&mut self, what: Timed, from: Instant) {
        self.lasted(what, from, from.elapsed());
    }

    /// Something that was to begin then was done after so long.
    pub(crate) fn lasted(&mut self, what: Timed, from: Instant, time: Duration) {
        let micros = (time.as_micros() as u64).clamp(1, LONGEST);
        self.lately[what as usize].saturating_record(micros);
        let always = matches!(what, Timed::Connect | Timed::Resume);
        if always
            || self
                .window
                .is_some_and(|(start, end)| (start..end).contains(&from))
        {
            self.all[what as usize].saturating_record(micros);
        }
    }

    /// Something that was to begin then begins now.
    pub(crate) fn begins(&mut self, planned: Instant) {
        self.took(Timed::Late, planned);
        self.counts.late += u64::from(planned.elapsed() > LATE);
    }

    /// A connection that was to begin then begins now.
    pub(crate) fn dials(&mut self, planned: Instant) {
        let micros = (planned.elapsed().as_micros() as u64).clamp(1, LONGEST);
        self.late_dials.saturating_record(micros);
    }

    /// How late the tool was in beginning connections, all but one in a hundred, in milliseconds.
    pub(crate) fn late_dials_p99_ms(&self) -> f64 {
        self.late_dials.value_at_quantile(0.99) as f64 / 1e3
    }

    pub(crate) fn refused(&mut self, code: &str, message: &str) {
        self.counts.refused += 1;
        let refusal = self
            .refusals
            .entry(code.to_owned())
            .or_insert_with(|| (0, message.to_owned()));
        refusal.0 += 1;
    }

    pub(crate) fn times(&self, what: Timed) -> &Times {
        &self.all[what as usize]
    }
}
