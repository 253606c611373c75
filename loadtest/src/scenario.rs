//! What a run does: who connects, who talks to whom, how much, and what has to come of it.
//!
//! A scenario is a TOML file; unknown keys are refused. Those in `scenarios/` are built in and are called by their name.

mod check;
mod limits;
mod ready;
mod words;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

pub(crate) use limits::RATES;
pub(crate) use ready::READY;

/// A scenario, checked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Taken from the file's name.
    #[serde(default)]
    pub(crate) name: String,
    /// One line.
    pub(crate) purpose: String,
    /// Two runs of one seed have the same users, chats and arrivals.
    #[serde(default = "one")]
    pub(crate) seed: u64,
    pub(crate) users: Users,
    #[serde(default)]
    pub(crate) chats: Chats,
    #[serde(default)]
    pub(crate) connect: Connect,
    pub(crate) load: Load,
    #[serde(default)]
    pub(crate) message: Message,
    #[serde(default)]
    pub(crate) mix: Mix,
    /// Connections that are lost all at once, and come back.
    #[serde(default)]
    pub(crate) storms: Vec<Storm>,
    /// Connections that go and come back one by one.
    #[serde(default)]
    pub(crate) churn: Option<Churn>,
    #[serde(default)]
    pub(crate) slow_readers: Option<SlowReaders>,
    #[serde(default)]
    pub(crate) thresholds: Thresholds,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Users {
    pub(crate) count: u32,
    /// Connections of each.
    #[serde(default = "one_device")]
    pub(crate) devices: u32,
    /// Whether each event is acknowledged, as clients do.
    #[serde(default = "yes")]
    pub(crate) acks: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chats {
    /// Pairs of users, each user in about as many.
    #[serde(default)]
    pub(crate) dialogs: u32,
    #[serde(default)]
    pub(crate) groups: Vec<Groups>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Groups {
    pub(crate) count: u32,
    pub(crate) members: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connect {
    /// Connections a second.
    pub(crate) rate: f64,
}

impl Default for Connect {
    fn default() -> Self {
        Self { rate: 500.0 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// Actions a second, whatever the service does: an open loop. Not together with `in_flight`.
    #[serde(default)]
    pub(crate) rate: Option<f64>,
    /// Messages that the first member of each chat keeps under way: a closed loop, for what a message costs at most
    /// speed. Says nothing of latency.
    #[serde(default)]
    pub(crate) in_flight: Option<u32>,
    #[serde(default)]
    pub(crate) arrivals: Arrivals,
    /// Load that does not count yet.
    #[serde(with = "humantime_serde", default)]
    pub(crate) warm_up: Duration,
    #[serde(with = "humantime_serde")]
    pub(crate) duration: Duration,
    /// What is under way when the load ends may take as long as something comes at least this often.
    #[serde(with = "humantime_serde", default = "half_a_minute")]
    pub(crate) settle: Duration,
}

/// How far apart actions are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// At random, as people are: a Poisson process.
    #[default]
    Poisson,
    /// All the same.
    Steady,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    /// The shortest and the longest text.
    pub(crate) bytes: [u32; 2],
}

impl Default for Message {
    fn default() -> Self {
        Self { bytes: [20, 200] }
    }
}

/// How often each action comes, in relation to the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mix {
    pub(crate) send: f64,
    pub(crate) edit: f64,
    pub(crate) delete: f64,
    pub(crate) delivered: f64,
    pub(crate) read: f64,
    pub(crate) typing: f64,
    pub(crate) history: f64,
    pub(crate) chats: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            send: 1.0,
            edit: 0.0,
            delete: 0.0,
            delivered: 0.0,
            read: 0.0,
            typing: 0.0,
            history: 0.0,
            chats: 0.0,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storm {
    /// After the warm-up.
    #[serde(with = "humantime_serde")]
    pub(crate) at: Duration,
    /// Of all connections.
    pub(crate) share: f64,
    /// They come back spread over this time.
    #[serde(with = "humantime_serde", default)]
    pub(crate) over: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Churn {
    /// Connections a second that go.
    pub(crate) rate: f64,
    /// How long they stay away.
    #[serde(with = "humantime_serde")]
    pub(crate) away: Duration,
    /// Which share of them comes back without naming the last event that it has: what it has acknowledged must do.
    #[serde(default)]
    pub(crate) forget: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowReaders {
    /// Of all connections.
    pub(crate) share: f64,
    /// They read nothing for so long, then what there is, and again.
    #[serde(with = "humantime_serde")]
    pub(crate) pause: Duration,
}

/// What the run has to reach. What is left out is not judged; a lost message always is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Thresholds {
    pub(crate) response_p50_ms: Option<f64>,
    pub(crate) response_p99_ms: Option<f64>,
    pub(crate) event_p50_ms: Option<f64>,
    pub(crate) event_p99_ms: Option<f64>,
    pub(crate) connect_p99_ms: Option<f64>,
    pub(crate) resume_p99_ms: Option<f64>,
    /// The last one back after a storm.
    pub(crate) resume_max_ms: Option<f64>,
    pub(crate) chats_p99_ms: Option<f64>,
    pub(crate) history_p99_ms: Option<f64>,
    /// Requests that were refused, of all requests.
    pub(crate) errors_share: Option<f64>,
    pub(crate) messages_per_second_min: Option<f64>,
    pub(crate) deliveries_per_second_min: Option<f64>,
    /// Those with `--pid` only.
    pub(crate) cpu_us_per_message: Option<f64>,
    pub(crate) cpu_cores: Option<f64>,
    /// CPU of a message, against that of the bare server of `calibrate` in the same run; with `--calibrate` only.
    pub(crate) floor_ratio: Option<f64>,
    pub(crate) kb_per_connection: Option<f64>,
    /// Resident memory at the end, against that before the load.
    pub(crate) memory_growth: Option<f64>,
    /// Resident memory in the last quarter of the load, against that in the second: caches and tables have filled by then.
    pub(crate) memory_drift: Option<f64>,
}

impl Scenario {
    /// How long a run of it takes, connecting, loading and settling, if nothing goes wrong.
    pub(crate) fn planned(&self) -> Duration {
        let connecting = Duration::from_secs_f64(f64::from(self.devices()) / self.connect.rate);
        [
            connecting,
            self.load.warm_up,
            self.load.duration,
            self.load.settle,
        ]
        .iter()
        .fold(Duration::ZERO, |all, part| all.saturating_add(*part))
    }

    /// The scenario of a ready name, or of a file, with `path.to.key=value` put into it.
    pub(crate) fn load(named: &str, overrides: &[String]) -> Result<Self> {
        let (name, text) = match READY.iter().find(|(name, _)| *name == named) {
            Some((name, text)) => ((*name).to_owned(), (*text).to_owned()),
            None => read(named)?,
        };
        let table = text.parse::<toml::Table>();
        let mut table =
            table.map_err(|error| anyhow!("{named} is no TOML: {}", words::syntax(&text, &error)))?;
        for one in overrides {
            put(&mut table, one)?;
        }
        let scenario = table.try_into::<Self>();
        let mut scenario = scenario.map_err(|error| anyhow!("in {named}: {}", words::types(&error)))?;
        scenario.name = name;
        scenario.check().with_context(|| format!("in {named}"))?;
        Ok(scenario)
    }

    /// # Errors
    ///
    /// Where it cannot be run, whatever the service does.
    pub(crate) fn check(&self) -> Result<()> {
        check::check(self)
    }

    /// Connections in all.
    pub(crate) fn devices(&self) -> u32 {
        self.users.count * self.users.devices
    }
}

fn read(named: &str) -> Result<(String, String)> {
    let path = Path::new(named);
    let text = std::fs::read_to_string(path).with_context(|| {
        let ready: Vec<_> = READY.iter().map(|(name, _)| *name).collect();
        format!(
            "{named} is no file that can be read, and none of the ready scenarios: {}",
            ready.join(", ")
        )
    })?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok((stem.into_owned(), text))
}

/// Puts one `path.to.key=value` into the table. What is no TOML value is text.
fn put(table: &mut toml::Table, one: &str) -> Result<()> {
    let Some((path, value)) = one.split_once('=') else {
        bail!("--set is path.to.key=value, not {one}")
    };
    let parsed = format!("value = {value}").parse::<toml::Table>();
    let value = parsed
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut inner = table;
    for key in keys {
        let entry = inner.entry(key).or_insert_with(|| toml::Table::new().into());
        inner = entry
            .as_table_mut()
            .with_context(|| format!("--set {one}: {key} is no table"))?;
    }
    inner.insert(last.to_owned(), value);
    Ok(())
}

fn one() -> u64 {
    1
}

fn one_device() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}
