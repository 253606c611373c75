//! The tasks beside the sockets: what workers say is routed, sessions attach again where a partition has begun, and all
//! attachments are said again every ten seconds.

use std::sync::Arc;

use confab_bus::{Bus, GatewayEnd};
use confab_chat::Partition;
use confab_proto::message::{Announcement, Signal};
use tokio::time::MissedTickBehavior;

use crate::config::BEAT_EVERY;
use crate::gateway::Core;

/// Messages that are routed between two looks at anything else.
const BATCH: usize = 256;
/// Sessions of one heartbeat signal: keeps it well below what any bus carries in one message.
const BEATS: usize = 1000;

/// Routes what workers say until the gateway stops.
pub(crate) async fn route<B: Bus>(core: Arc<Core<B>>, end: GatewayEnd) {
    let GatewayEnd {
        mut deliveries,
        mut announcements,
    } = end;
    let mut batch = Vec::with_capacity(BATCH);
    let mut announced = true;
    loop {
        tokio::select! {
            () = core.tasks.stopping().cancelled() => return,
            heard = announcements.recv(), if announced => match heard {
                Some(Announcement::Began { partition }) => core.registry.reattach(partition),
                // Who does the work is no matter to a gateway: it speaks to partitions.
                Some(Announcement::Alive { .. } | Announcement::Leaving { .. }) => {}
                None => announced = false,
            },
            count = deliveries.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
                for message in batch.drain(..) {
                    core.registry.route(message);
                }
            }
        }
    }
}

/// Has the sessions attach again whose mailbox partition has begun, until the gateway stops.
pub(crate) async fn reattach<B: Bus>(core: Arc<Core<B>>) {
    loop {
        tokio::select! {
            () = core.tasks.stopping().cancelled() => return,
            () = core.registry.reattach_begun() => {}
        }
    }
}

/// Says all attachments again: a mailbox that has forgotten one knows it anew, and one whose last frame was lost is
/// found behind.
pub(crate) async fn beat<B: Bus>(core: Arc<Core<B>>) {
    let mut every = tokio::time::interval(BEAT_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = core.tasks.stopping().cancelled() => return,
            _ = every.tick() => {}
        }
        let _nobody_leaves = core.beating.write().await;
        let beats = core.registry.beats(core.bus.partitions());
        for (partition, beats) in (0..).map(Partition).zip(beats) {
            for sessions in beats.chunks(BEATS) {
                let signal = Signal::Heartbeat {
                    gateway: core.config.id.clone(),
                    sessions: sessions.to_vec(),
                };
                core.signal(partition, signal);
            }
        }
    }
}
