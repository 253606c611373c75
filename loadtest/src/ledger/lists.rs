//! Lists of chats: each chat once, none of others', and at the end the right last message and number of unread ones.

use std::collections::HashSet;
use std::time::Instant;

use super::{Kind, Ledger};
use crate::protocol::ChatListItem;

impl Ledger {
    /// A list that a user got, or a page of it.
    pub(crate) fn list(&mut self, user: u32, items: &[ChatListItem<'_>], by: &str) {
        let mut seen = HashSet::with_capacity(items.len());
        for item in items {
            if !seen.insert(&*item.id) {
                let detail = format!("chat {} is twice in the list of {by}", item.id);
                self.violate_user(Kind::List, user, detail);
            }
            if self.is_stranger(user, &item.id) {
                let detail = format!(
                    "chat {} is in the list of {by}, and is none of this user's",
                    item.id
                );
                self.violate_user(Kind::List, user, detail);
            }
        }
    }

    /// While groups are being made, a member may hear of one before its maker's answer tells its id.
    fn is_stranger(&self, user: u32, id: &str) -> bool {
        let all_made = self.groups.len() == self.planned_groups;
        let known = all_made || !id.starts_with("g:") || self.groups.contains_key(id);
        known && self.chat(id, user).is_none()
    }

    /// The list of a user's chats, whole, as it was asked for at that time.
    pub(crate) fn unread(&mut self, user: u32, asked: Instant, items: &[ChatListItem<'_>]) {
        for chat in self.plan.of_user[user as usize].clone() {
            let id = self.chat_id(chat, user);
            let last = self.last(chat);
            if last == 0 && !self.group_ids.contains_key(&chat) {
                continue;
            }
            let name = self.plan.user_id(user);
            let Some(item) = items.iter().find(|item| item.id == id) else {
                self.violate(Kind::Unread, chat, format!("it is not in the list of {name}"));
                continue;
            };
            if !self.at_rest(chat, user, asked) {
                continue;
            }
            let reached = self.chats[chat as usize].members.get(&user);
            let (read, sent) = reached.map_or((0, 0), |reached| (reached.read, reached.sent));
            let missed = last.saturating_sub(read.max(sent));
            if (item.last_message_id, item.missed) != (last, missed) {
                let detail = format!(
                    "the list of {name} says last {} and {} unread; it is {last} and {missed} (read up to {read}, sent up to {sent})",
                    item.last_message_id, item.missed
                );
                self.violate(Kind::Unread, chat, detail);
            }
        }
    }

    /// Whether nothing that would change a line of the list has been under way since that time.
    fn at_rest(&self, chat: u32, user: u32, since: Instant) -> bool {
        let chat = &self.chats[chat as usize];
        let reads_open = chat.members.get(&user).map_or(0, |reached| reached.reads_open);
        chat.open == 0 && reads_open == 0 && chat.answered_at.is_none_or(|at| at < since)
    }
}
