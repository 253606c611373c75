//! Where a log was lost, nothing is used again: what an actor does in a later epoch is numbered above all that it can
//! have done before.

use std::collections::BTreeMap;

use confab_chat::epoch::first_version;
use confab_chat::{ActorKey, conversation, mailbox};
use confab_proto::row::InboxRow;
use confab_proto::wire::Wire;
use confab_store::{Key, StatePart};

use super::{Broken, Finals};

/// The epoch and the version of each actor's state.
fn heads(finals: &Finals) -> BTreeMap<&ActorKey, (u32, u64)> {
    let head = |(key, cell): &'_ (Key, crate::store::Cell)| match key {
        Key::State(ActorKey::Chat(_), StatePart::Head) => {
            let head = conversation::Head::decode(&cell.value).ok()?;
            Some((head.epoch, head.version))
        }
        Key::State(ActorKey::Mailbox(_), StatePart::Head) => {
            let head = mailbox::Head::decode(&cell.value).ok()?;
            Some((head.epoch, head.version))
        }
        _ => None,
    };
    let heads = finals.rows.iter().filter_map(|row| match &row.0 {
        Key::State(actor, _) => Some((actor, head(row)?)),
        _ => None,
    });
    heads.collect()
}

pub(super) fn check(finals: &Finals, broken: &mut Broken) {
    let heads = heads(finals);
    for (actor, (epoch, version)) in &heads {
        if *version < first_version(*epoch) {
            broken.add(
                "versions of a lost log are used again",
                format_args!("{actor:?} of epoch {epoch} is at version {version}"),
            );
        }
    }
    // What a chat has sent is none of what it sends later. One that nobody has come to since its log was lost is where it
    // was, and so may be behind what it has sent.
    for (key, cell) in &finals.rows {
        let (Key::Inbox(user, id), Ok(row)) = (key, InboxRow::decode(&cell.value)) else {
            continue;
        };
        let actor = ActorKey::Chat(row.chat.clone());
        let chat = heads.get(&actor);
        let partition = actor.partition(finals.partitions);
        let epoch_now = finals.eras.get(usize::from(partition.0)).map(|era| era.epoch);
        let is_behind = |(epoch, version): &(u32, u64)| Some(*epoch) == epoch_now && row.version > *version;
        if chat.is_some_and(is_behind) {
            broken.add(
                "a mailbox has what its chat has not come to",
                format_args!("{user} {id}: version {} of {}, {chat:?}", row.version, row.chat),
            );
        }
    }
}
