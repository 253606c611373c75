//! Before the load: groups are made, and every dialog has its first message.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;

use super::Run;
use crate::arrivals::Act;
use crate::device::Command;
use crate::protocol::Created;
use crate::world::World;

/// Groups in the making at once.
const AT_ONCE: usize = 64;
/// Chats that are begun before it is waited until all is answered: the load may be one that the service can bear, thousands of first
/// messages at once are not.
const LOT: usize = 1000;
/// For all of it; a large list of dialogs takes a while.
const LIMIT: Duration = Duration::from_secs(600);

impl Run {
    pub(super) async fn prepare(&mut self) -> Result<()> {
        let plan = self.shared.borrow().plan.clone();
        let end = Instant::now() + LIMIT;
        let (mut begun, mut messages) = (0, 0);
        for lot in plan.chats.chunks(LOT) {
            stream::iter(begun..begun + lot.len() as u32)
                .map(|chat| self.begin(chat))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            begun += lot.len() as u32;
            messages += lot.iter().filter(|chat| !chat.group).count() as u64;
            // A device may not have come to what it was told to send.
            let answered = |world: &World| world.stats.counts.sent >= messages && world.open_requests == 0;
            self.prepared(end, answered).await?;
        }
        self.prepared(end, |world| world.ledger.owed() == 0).await
    }

    async fn prepared(&mut self, end: Instant, mut done: impl FnMut(&World) -> bool) -> Result<()> {
        let left = end.saturating_duration_since(Instant::now());
        let interrupt = self.interrupt.clone();
        let over = |world: &World| done(world) || interrupt.has_come();
        let is_over = self.wait("preparing", left, over).await;
        self.goes_on()?;
        if !is_over {
            let world = self.shared.borrow();
            let refusals = &world.stats.refusals;
            bail!("the first messages did not all arrive in {LIMIT:?}; refused so far: {refusals:?}");
        }
        Ok(())
    }

    async fn begin(&self, chat: u32) -> Result<()> {
        let plan = self.shared.borrow().plan.clone();
        let planned = &plan.chats[chat as usize];
        let device = plan.devices_of(planned.members[0]).start;
        if !planned.group {
            let first = Command::Act {
                act: Act::Send,
                chat,
                at: Instant::now(),
                pick: 0,
            };
            self.fleet.ask(device, first).await;
            return Ok(());
        }
        let others: Vec<String> = planned.members[1..]
            .iter()
            .map(|user| plan.user_id(*user))
            .collect();
        let payload = serde_json::json!({
            "type": "group",
            "name": format!("load {chat}"),
            "participants": others,
            "clientChatId": format!("load-{chat}"),
        });
        let made = self.asked(device, "createChat", payload.to_string()).await?;
        let made: Created = serde_json::from_str(&made).with_context(|| format!("createChat: {made}"))?;
        self.shared.borrow_mut().ledger.group_made(chat, made.chat_id);
        Ok(())
    }

    /// A request, and its answer's payload.
    pub(super) async fn asked(&self, device: u32, kind: &'static str, payload: String) -> Result<String> {
        let (answer, answered) = oneshot::channel();
        let ask = Command::Ask {
            kind,
            payload,
            answer,
        };
        self.fleet.ask(device, ask).await;
        let limit = tokio::time::timeout(Duration::from_secs(60), answered).await;
        let answer = limit.with_context(|| format!("{kind} was not answered in 60 s"))?;
        answer?.map_err(|error| anyhow::anyhow!("{kind} was refused: {error}"))
    }
}
