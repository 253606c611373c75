//! A proposal of what an actor begins an epoch with: made from its rows, cut into parts that entries have room for, and put
//! together again.

use std::collections::BTreeMap;

use confab_bus::Bus;
use confab_chat::conversation::restore::{Restored, restore};
use confab_chat::{conversation, mailbox};
use confab_proto::message::RestoredActor;
use confab_store::Store;

use crate::config::Config;
use crate::seams::{Fault, Seams};

/// A list of a restored state is cut at this size.
const PART_BYTES: usize = 256 * 1024;

impl<B: Bus, S: Store> Seams<B, S> {
    /// What a chat begins the epoch with, by its rows as they are now.
    pub(super) async fn restored_chat(
        &self,
        before: &conversation::State,
        epoch: u32,
    ) -> Result<Vec<RestoredActor>, Fault> {
        let standing = self.standing_chat(before, epoch).await?;
        let Restored { state, holes } = restore(before, &standing, epoch);
        let mut members = split(state.members.into_iter().collect(), |(user, _)| {
            user.as_str().len() + 96
        });
        let mut holes = split(holes, |hole| hole.sender.as_str().len() + 32);
        let parts = members.len().max(holes.len()).max(1);
        members.resize_with(parts, Vec::new);
        holes.resize_with(parts, Vec::new);
        let parts = members
            .into_iter()
            .zip(holes)
            .map(|(members, holes)| RestoredActor::Chat {
                chat: state.key.clone(),
                head: state.head.clone(),
                members,
                holes,
            });
        Ok(parts.collect())
    }

    /// What a mailbox begins the epoch with, by its rows as they are now.
    pub(super) async fn restored_mailbox(
        &self,
        before: &mailbox::State,
        epoch: u32,
        config: &Config,
    ) -> Result<Vec<RestoredActor>, Fault> {
        let standing = self.standing_inbox(before, config).await?;
        let newest = standing.last().map_or(before.head.time, |event| event.at);
        let expired = self.may_have_expired(&before.user, newest, config).await?;
        let state = mailbox::restore(before, &standing, expired, epoch);
        let mut seen = split(state.seen.into_iter().collect(), |(chat, _)| {
            chat.as_str().len() + 24
        });
        seen.resize_with(seen.len().max(1), Vec::new);
        let parts = seen.into_iter().map(|seen| RestoredActor::Mailbox {
            user: state.user.clone(),
            head: state.head,
            seen,
        });
        Ok(parts.collect())
    }
}

/// Cuts a list where it takes more than a part has room for.
fn split<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for item in items {
        let taken = bytes(&item);
        match parts.last_mut().filter(|_| taken <= room) {
            Some(part) => part.push(item),
            None => {
                parts.push(vec![item]);
                room = PART_BYTES;
            }
        }
        room = room.saturating_sub(taken);
    }
    parts
}

/// A chat from its parts.
pub(super) fn whole_chat(parts: Vec<RestoredActor>) -> Result<Restored, Fault> {
    let mut whole: Option<Restored> = None;
    for part in parts {
        let RestoredActor::Chat {
            chat,
            head,
            members,
            holes,
        } = part
        else {
            return Err(no_part(&part));
        };
        let whole = whole.get_or_insert_with(|| Restored {
            state: conversation::State {
                key: chat,
                head,
                members: BTreeMap::new(),
            },
            holes: Vec::new(),
        });
        whole.state.members.extend(members);
        whole.holes.extend(holes);
    }
    whole.ok_or_else(|| Fault::Alarm("a restored chat has no parts".to_owned()))
}

/// A mailbox from its parts.
pub(super) fn whole_mailbox(parts: Vec<RestoredActor>) -> Result<mailbox::State, Fault> {
    let mut whole: Option<mailbox::State> = None;
    for part in parts {
        let RestoredActor::Mailbox { user, head, seen } = part else {
            return Err(no_part(&part));
        };
        let whole = whole.get_or_insert_with(|| mailbox::State {
            head,
            ..mailbox::State::new(user)
        });
        whole.seen.extend(seen);
    }
    whole.ok_or_else(|| Fault::Alarm("a restored mailbox has no parts".to_owned()))
}

fn no_part(part: &RestoredActor) -> Fault {
    Fault::Alarm(format!(
        "a restored {} among the parts of another actor",
        part.key()
    ))
}
