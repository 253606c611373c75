//! `confab log recover`: the way back from a lost log. Damaged partitions get a new, empty log of a higher epoch; chats
//! and mailboxes then go on from the rows that stand.

use std::collections::BTreeSet;
use std::time::Duration;

use confab_bus::Bus;
use confab_bus::nats::Nats;
use confab_chat::{GatewayId, Partition};
use confab_proto::message::Announcement;
use confab_store::scylla::Scylla;
use confab_worker::{Condition, examine};

use crate::engines;
use crate::exit::{Code, Failure, OrFail};
use crate::settings::{Owned, Settings};

/// Workers say every second that they live; one that was silent for so long does not.
const LISTEN: Duration = Duration::from_secs(5);

/// What is to be recovered.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// These partitions; those that are damaged, where none are named.
    pub(crate) partitions: Option<Owned>,
    /// Also while a worker lives, and also what is not damaged.
    pub(crate) force: bool,
}

/// Carries it out; what is to be printed.
pub(crate) fn run(request: &Request, settings: &Settings) -> Result<String, Failure> {
    settings.require_nats("log recover")?;
    settings.require_cql("log recover")?;
    if let Some(named) = &request.partitions {
        settings.check_partitions("--partitions", named)?;
    }
    engines::block_on(recover(request, settings))
}

async fn recover(request: &Request, settings: &Settings) -> Result<String, Failure> {
    let options = engines::nats_options(settings, "confab log recover")?;
    let bus = Nats::connect_unchecked(options)
        .await
        .or_fail(Code::Engine, "NATS")?;
    let store = engines::cql(settings).await?;
    if !request.force {
        refuse_while_workers_live(&bus).await?;
    }
    let conditions = conditions(
        &bus,
        &store,
        &request
            .partitions
            .as_ref()
            .unwrap_or(&Owned::All)
            .of(settings.log_partitions),
    )
    .await?;
    let damaged = |condition: &&Condition| condition.fault.is_some();
    let named = request.partitions.is_some();
    if named
        && !request.force
        && let Some(sound) = conditions.iter().find(|one| one.fault.is_none())
    {
        let reason = format!(
            "partition {} is not damaged, and recovering it would drop what it has not applied: leave it out, or say --force",
            sound.partition.0
        );
        return Err(Failure::new(Code::Other, reason));
    }
    let chosen: Vec<&Condition> = if named {
        conditions.iter().collect()
    } else {
        conditions.iter().filter(damaged).collect()
    };
    if chosen.is_empty() {
        return Ok("no partition's log is damaged: there is nothing to recover\n".to_owned());
    }
    // A stream may know of an epoch that no row does yet.
    let streams = bus.inspect().await.or_fail(Code::Engine, "NATS")?.partitions;
    let of_stream = |partition: Partition| {
        let found = streams.iter().find(|stream| stream.partition == partition);
        found
            .and_then(|stream| stream.found.as_ref().ok()?.as_ref()?.epoch)
            .unwrap_or(1)
    };
    let mut text = String::new();
    for condition in chosen {
        let epoch = condition.epoch.max(of_stream(condition.partition)) + 1;
        let raised = bus.raise_epoch(condition.partition, epoch).await;
        raised.or_fail(Code::Engine, format_args!("partition {}", condition.partition.0))?;
        let why = condition.fault.as_deref().unwrap_or("forced");
        text.push_str(&format!(
            "partition {}: epoch {epoch} ({why})\n",
            condition.partition.0
        ));
    }
    bus.close().await;
    text.push_str("now start the workers\n");
    Ok(text)
}

/// How it is with each of the partitions.
async fn conditions(bus: &Nats, store: &Scylla, partitions: &[Partition]) -> Result<Vec<Condition>, Failure> {
    let mut conditions = Vec::new();
    for partition in partitions {
        let condition = examine(bus, store, *partition).await;
        conditions.push(condition.or_fail(Code::Engine, format_args!("partition {}", partition.0))?);
    }
    Ok(conditions)
}

async fn refuse_while_workers_live(bus: &Nats) -> Result<(), Failure> {
    let alive = alive(bus, LISTEN).await;
    if alive.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "{} workers are alive: stop them all first (or say --force, if you know that they are none of this installation)",
        alive.len()
    );
    Err(Failure::new(Code::Other, reason))
}

/// The workers that say that they live, with what they own.
pub(crate) async fn alive(bus: &Nats, listen: Duration) -> Vec<(String, BTreeSet<u16>)> {
    // As a gateway of no clients: a worker would be asked queries.
    let nobody = GatewayId(format!("listener-{:016x}", rand::random::<u64>()).into());
    let mut end = bus.join_as_gateway(&nobody).await;
    let mut workers: Vec<(String, BTreeSet<u16>)> = Vec::new();
    let listening = async {
        while let Some(announcement) = end.announcements.recv().await {
            if let Announcement::Alive { worker, partitions } = announcement {
                workers.retain(|(known, _)| **known != *worker);
                workers.push((worker.to_string(), partitions.iter().map(|one| one.0).collect()));
            }
        }
    };
    // It ends by the time alone.
    let _heard = tokio::time::timeout(listen, listening).await;
    workers
}
