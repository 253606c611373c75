//! After the load: every chat is read back and every list of chats is held against the ledger.

use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Run;
use crate::protocol::{ChatListItem, Message};

/// Of messages, and of lines of a list: the most that the service gives at once.
const PAGE: usize = 500;
/// Users and chats that are read back at once.
const AT_ONCE: usize = 32;

impl Run {
    pub(super) async fn read_back(&mut self) -> Result<()> {
        self.sample("reading back");
        let plan = self.shared.borrow().plan.clone();
        let start = Instant::now();
        stream::iter(0..plan.chats.len() as u32)
            .map(|chat| self.chat(chat))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        stream::iter((0..plan.users).filter(|user| !plan.of_user[*user as usize].is_empty()))
            .map(|user| self.list(user))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.progress.note(&format!(
            "history and lists read back in {:.1} s",
            start.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    async fn chat(&self, chat: u32) -> Result<()> {
        let (user, device, id) = {
            let world = self.shared.borrow();
            let user = world.plan.chats[chat as usize].members[0];
            (
                user,
                world.plan.devices_of(user).start,
                world.ledger.chat_id(chat, user),
            )
        };
        let mut from = Some(1);
        while let Some(start) = from {
            let payload = format!(r#"{{"chatId":"{id}","startId":{start},"count":{PAGE}}}"#);
            let answer = self.asked(device, "messages", payload).await?;
            let page: Vec<Message<'_>> = serde_json::from_str(&answer).with_context(|| {
                let start: String = answer.chars().take(200).collect();
                format!("the history of {id} for user {user}: {start}")
            })?;
            from = self.shared.borrow_mut().ledger.history(chat, start, &page);
        }
        Ok(())
    }

    async fn list(&self, user: u32) -> Result<()> {
        let device = self.shared.borrow().plan.devices_of(user).start;
        let mut answers = Vec::new();
        let mut before = String::new();
        loop {
            let payload = format!(r#"{{"count":{PAGE}{before}}}"#);
            let answer = self.asked(device, "chats", payload).await?;
            let page: Vec<ChatListItem<'_>> = serde_json::from_str(&answer)?;
            let last = page.last().map(|item| item.last_message_time);
            let full = page.len() == PAGE;
            answers.push(answer);
            // Several chats may have the same time: the next page begins with them, and they come twice.
            let next = last
                .filter(|_| full)
                .map(|time| format!(r#","before":{}"#, time + 1));
            match next.filter(|next| *next != before) {
                Some(next) => before = next,
                None => break,
            }
        }
        let pages: Vec<Vec<ChatListItem<'_>>> = answers
            .iter()
            .map(|answer| serde_json::from_str(answer))
            .collect::<Result<_, _>>()?;
        let items: Vec<ChatListItem<'_>> = pages.into_iter().flatten().collect();
        self.shared.borrow_mut().ledger.unread(user, &items);
        Ok(())
    }
}
