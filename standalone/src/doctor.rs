//! `confab doctor`: looks at a deployment from the inside, and says what to mend.

mod database;
mod log;
mod monitor;
mod report;
mod workers;

use std::process::ExitCode;

use confab_bus::nats::Nats;
use confab_store::scylla::Scylla;

use crate::engines;
use crate::exit::Failure;
use crate::settings::Settings;

pub(crate) use report::Report;

/// Looks at everything; what it found, and the exit code: 1 where something must be mended.
pub(crate) fn run(settings: &Settings) -> Result<(String, ExitCode), Failure> {
    settings.require_nats("doctor")?;
    settings.require_cql("doctor")?;
    let report = engines::block_on(look(settings))?;
    let code = ExitCode::from(u8::from(report.is_ill()));
    Ok((report.to_string(), code))
}

async fn look(settings: &Settings) -> Result<Report, Failure> {
    let mut report = Report::default();
    let options = engines::nats_options(settings, "confab doctor")?;
    let bus = match Nats::connect_unchecked(options).await {
        Ok(bus) => Some(bus),
        Err(error) => {
            report.bad(
                "NATS",
                error,
                "start it, or mend the settings that begin with nats",
            );
            None
        }
    };
    if let Some(bus) = &bus {
        log::look(settings, bus, &mut report).await;
    }
    monitor::look(settings, &mut report).await;
    database::look_at_schema(settings, &mut report).await?;
    let store = match Scylla::connect(engines::cql_options(settings)?).await {
        Ok(store) => Some(store),
        Err(error) => {
            report.bad(
                "the database",
                error,
                "start it, or mend the settings that begin with cql",
            );
            None
        }
    };
    if let Some(store) = &store {
        database::look(store, &mut report).await;
    }
    if let (Some(bus), Some(store)) = (&bus, &store) {
        workers::look(bus, store, &mut report).await;
    }
    if let Some(bus) = bus {
        bus.close().await;
    }
    Ok(report)
}
