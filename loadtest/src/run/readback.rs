//! After the load: every chat is read back and every list of chats is held against the ledger.

use std::time::Instant;

use anyhow::{Result, ensure};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::Run;
use crate::protocol::{ChatListItem, Message};

/// Of messages, and of lines of a list: the most that the service gives at once.
const PAGE: usize = 500;
/// Users and chats that are read back at once.
const AT_ONCE: usize = 32;

impl Run {
    pub(super) async fn read_back(&mut self) -> Result<()> {
        self.progress.note("reading history and lists back");
        let plan = self.shared.borrow().plan.clone();
        let start = Instant::now();
        let chats = stream::iter(0..plan.chats.len() as u32).map(|chat| self.chat(chat));
        let chats = unread(chats.buffer_unordered(AT_ONCE)).await?;
        let users = (0..plan.users).filter(|user| !plan.of_user[*user as usize].is_empty());
        let lists = stream::iter(users).map(|user| self.list(user));
        let lists = unread(lists.buffer_unordered(AT_ONCE)).await?;
        self.progress.note(&format!(
            "history and lists read back in {:.1} s",
            start.elapsed().as_secs_f64()
        ));
        ensure!(
            chats + lists == 0,
            "nobody was connected to read {chats} histories and {lists} lists of chats back"
        );
        Ok(())
    }

    /// False where nobody is there to read it.
    async fn chat(&self, chat: u32) -> Result<bool> {
        let Some((user, device, id)) = self.reader(chat) else {
            return Ok(false);
        };
        let mut from = Some(1);
        while let Some(start) = from {
            let (known, asked) = (self.shared.borrow().ledger.last(chat), Instant::now());
            let payload = format!(r#"{{"chatId":"{id}","startId":{start},"count":{PAGE}}}"#);
            let answer = self.asked(device, "messages", payload).await?;
            let world = &mut *self.shared.borrow_mut();
            let page: Vec<Message<'_>> = match serde_json::from_str(&answer) {
                Ok(page) => page,
                Err(error) => {
                    let what = format!("the history of {id} from {start}");
                    world.ledger.unreadable(user, &what, &error.to_string(), &answer);
                    return Ok(true);
                }
            };
            from = world.ledger.history(chat, start, known, asked, &page);
        }
        Ok(true)
    }

    /// Who reads the history of a chat back: the first member that is there, the device, and how it names the chat.
    fn reader(&self, chat: u32) -> Option<(u32, u32, String)> {
        let world = self.shared.borrow();
        let mut members = world.plan.chats[chat as usize].members.iter();
        let (user, device) = members.find_map(|user| Some((*user, self.there(*user)?)))?;
        Some((user, device, world.ledger.chat_id(chat, user)))
    }

    /// The first device of a user that is there: any other one would answer nothing.
    fn there(&self, user: u32) -> Option<u32> {
        let world = self.shared.borrow();
        let mut devices = world.plan.devices_of(user);
        devices.find(|device| world.ledger.view(*device).is_reading())
    }

    /// False where the user is not there.
    async fn list(&self, user: u32) -> Result<bool> {
        let Some(device) = self.there(user) else {
            return Ok(false);
        };
        let (mut answers, mut before, begun) = (Vec::new(), String::new(), Instant::now());
        loop {
            let payload = format!(r#"{{"count":{PAGE}{before}}}"#);
            let answer = self.asked(device, "chats", payload).await?;
            let Some((full, last)) = self.page_of_list(user, &answer) else {
                return Ok(true);
            };
            answers.push(answer);
            // Several chats may have the same time: the next page begins with them, and they come twice.
            let next = last
                .filter(|_| full)
                .map(|time| format!(r#","before":{}"#, time.saturating_add(1)));
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
        self.shared.borrow_mut().ledger.unread(user, begun, &items);
        Ok(true)
    }

    /// Whether a page of a list is full, and the time of its last line. None where it cannot be read.
    fn page_of_list(&self, user: u32, answer: &str) -> Option<(bool, Option<u64>)> {
        let ledger = &mut self.shared.borrow_mut().ledger;
        match serde_json::from_str::<Vec<ChatListItem<'_>>>(answer) {
            Ok(page) => {
                ledger.list(user, &page, "the end");
                Some((page.len() == PAGE, page.last().map(|item| item.last_message_time)))
            }
            Err(error) => {
                ledger.unreadable(user, "the list of chats", &error.to_string(), answer);
                None
            }
        }
    }
}

/// How many of them were not read back, for nobody was there to read them.
async fn unread(results: impl Stream<Item = Result<bool>>) -> Result<u32> {
    let count = |count, read: bool| async move { Ok(count + u32::from(!read)) };
    results.try_fold(0, count).await
}
