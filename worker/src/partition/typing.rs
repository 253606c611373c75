//! Who types: passed on to the other members who are online, at most once a second for each chat and user, a stop always.

use std::collections::{BTreeMap, HashMap};

use confab_bus::Bus;
use confab_chat::{ActorKey, ChatKey, Partition, UserId};
use confab_proto::message::{DeliveryBody, Signal};
use confab_store::Store;

use super::Owner;
use super::sessions::Millis;
use super::signals::Outbox;
use crate::seams::Fault;

/// The shortest time between two that are passed on.
const PAUSE: Millis = 1000;

/// When each user was last seen typing in each chat.
#[derive(Default)]
pub(super) struct Throttle(HashMap<(ChatKey, UserId), Millis>);

impl Throttle {
    /// Whether this one is passed on.
    fn admits(&mut self, chat: &ChatKey, user: &UserId, now: Millis) -> bool {
        let key = (chat.clone(), user.clone());
        let admitted = self.0.get(&key).is_none_or(|last| now >= last + PAUSE);
        if admitted {
            self.0.insert(key, now);
        }
        admitted
    }

    /// Forgets what no longer matters.
    pub(super) fn sweep(&mut self, now: Millis) {
        self.0.retain(|_, last| now < *last + PAUSE);
    }
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// A user types in a chat of this partition.
    pub(super) async fn typing(
        &mut self,
        chat: ChatKey,
        user: UserId,
        stop: bool,
        out: &mut Outbox,
    ) -> Result<(), Fault> {
        let now = self.soft.now();
        if !stop && !self.soft.throttle.admits(&chat, &user, now) {
            return Ok(());
        }
        if self.chats.peek(&chat).is_none() {
            let (_, cached) = self.seams.load_state(chat.clone()).await?;
            self.chats.keep(chat.clone(), cached);
        }
        let Some(state) = self.chats.peek(&chat) else {
            return Ok(());
        };
        let is_member = |user: &UserId| {
            state
                .members
                .get(user)
                .is_some_and(|member| member.role.is_some())
        };
        if !state.head.open || !is_member(&user) || (chat.is_dialog() && state.head.last_id == 0) {
            return Ok(());
        }
        let mut groups: BTreeMap<Partition, Vec<UserId>> = BTreeMap::new();
        for (member, _) in state.members.iter().filter(|(_, member)| member.role.is_some()) {
            if *member != user {
                let partition = ActorKey::Mailbox(member.clone()).partition(self.partitions);
                groups.entry(partition).or_default().push(member.clone());
            }
        }
        for (partition, to) in groups {
            let signal = Signal::TypingTo {
                chat: chat.clone(),
                user: user.clone(),
                stop,
                to,
            };
            out.signals.push((partition, signal));
        }
        Ok(())
    }

    /// Somebody types in a chat of users of this partition.
    pub(super) fn typing_to(
        &self,
        chat: &ChatKey,
        user: &UserId,
        stop: bool,
        to: Vec<UserId>,
        out: &mut Outbox,
    ) {
        for receiver in to {
            if self.soft.sessions.is_online(&receiver) {
                let body = || DeliveryBody::Typing {
                    chat: chat.clone(),
                    user: user.clone(),
                    stop,
                };
                self.to_sessions(&receiver, body, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_for_each_chat_and_user() {
        let [a, b] = ["a", "b"].map(|id| UserId::parse(id).unwrap());
        let chat = ChatKey::dialog(&a, &b);
        let mut throttle = Throttle::default();
        assert!(throttle.admits(&chat, &a, 5000));
        assert!(!throttle.admits(&chat, &a, 5999));
        assert!(throttle.admits(&chat, &b, 5999));
        assert!(throttle.admits(&chat, &a, 6000));
        assert!(
            !throttle.admits(&chat, &a, 6001),
            "the one passed on counts, not the one before it"
        );
    }

    #[test]
    fn a_sweep_forgets_only_what_is_over() {
        let a = UserId::parse("a").unwrap();
        let chat = ChatKey::dialog(&a, &a);
        let mut throttle = Throttle::default();
        assert!(throttle.admits(&chat, &a, 5000));
        throttle.sweep(5999);
        assert!(!throttle.admits(&chat, &a, 5999));
        throttle.sweep(6000);
        assert!(throttle.0.is_empty());
    }
}
