//! What only a NATS server's monitoring port tells: how often the log reaches the disk.

use std::time::Duration;

use serde_json::Value;

use super::Report;
use crate::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(3);
/// With replicas, the most that one server may lose in a power cut and get back from the others without anybody noticing.
const SELDOM: Duration = Duration::from_secs(10);

/// Reads `sync_interval`.
pub(super) async fn look(settings: &Settings, report: &mut Report) {
    let Some(url) = settings.nats_monitor.clone() else {
        report.weak(
            "sync_interval",
            "unknown, since no server's monitoring port is named",
            "set nats_monitor (http://host:8222), or look at jetstream { sync_interval } in the servers' configuration yourself",
        );
        return;
    };
    let asked = tokio::task::spawn_blocking(move || ask(&url)).await;
    match asked.map_err(|error| error.to_string()).and_then(|asked| asked) {
        Ok(config) => judge(settings.log_replicas, &config, report),
        Err(why) => report.weak(
            "sync_interval",
            why,
            "let the doctor reach the address in nats_monitor",
        ),
    }
}

fn ask(url: &str) -> Result<Value, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let url = format!("{}/varz", url.trim_end_matches('/'));
    let answer = agent
        .get(&url)
        .call()
        .map_err(|error| format!("{url}: {error}"))?;
    let text = answer
        .into_body()
        .read_to_string()
        .map_err(|error| format!("{url}: {error}"))?;
    let about: Value = serde_json::from_str(&text).map_err(|error| format!("{url}: {error}"))?;
    Ok(about["jetstream"]["config"].clone())
}

fn judge(replicas: usize, config: &Value, report: &mut Report) {
    if config["sync_always"] == true {
        return report.good("sync_interval", "always");
    }
    // Where it is not said, it is the default: two minutes.
    let every = config["sync_interval"]
        .as_u64()
        .map_or(Duration::from_secs(120), Duration::from_nanos);
    if replicas < 3 {
        report.bad(
            "sync_interval",
            format_args!(
                "{every:?}, and {replicas} replica: a power cut loses as much of what was acknowledged"
            ),
            "jetstream { sync_interval: always } in the server's configuration, or three replicas",
        );
    } else if every > SELDOM {
        report.weak(
            "sync_interval",
            format_args!("{every:?}: if all replicas lose power at once, as much is lost"),
            "jetstream { sync_interval: always }, or 10s where the replicas share no power",
        );
    } else {
        report.good("sync_interval", format_args!("{every:?}, {replicas} replicas"));
    }
}
