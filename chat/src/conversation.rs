//! A chat: owns the order of its messages, its members, its marks.
//!
//! An entry is decided in two steps. First the decision, made from the untouched state: who may, what changes, which
//! rows, who is told. Then the commit, which only assigns. So a panic in the first leaves the state as it was.

mod changes;
mod context;
mod mail;
mod marks;
mod membership;
mod messages;
mod recent;
pub mod restore;
mod state;

pub use recent::Recent;
pub use state::{Head, Member, State};

use std::sync::Arc;

use self::changes::{Decision, Made, count};
use self::context::{Context, Stamp};
use self::marks::Step;
use self::membership::Update;
use self::messages::{Content, dedup_key};
use crate::command::{Command, EntryId, Op};
use crate::epoch::first_version;
use crate::event::{Delivery, Reply};
use crate::ids::{ChatKey, UserId};
use crate::reject::{Code, Rejection};
use crate::row::{ClientIdRow, MarkKind, MessageRow, Row};
use crate::time::Timestamp;

/// A command as it stands in the log.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The id of the append.
    pub id: &'a EntryId,
    /// The log's epoch.
    pub epoch: u32,
    /// The entry's number in its partition.
    pub seq: u64,
    /// When the log took it.
    pub time: Timestamp,
    /// What is asked.
    pub command: &'a Command,
}

/// A fact that [`apply`] wants to look up before it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The row of a sender's own id.
    ClientId {
        /// The sender.
        sender: UserId,
        /// The sender's own id.
        client_message_id: Arc<str>,
        /// A row older than this version is of an epoch whose log was lost: its message is looked up too, as by
        /// [`Need::Message`].
        epoch_from: u64,
    },
    /// A message's row.
    Message(u64),
    /// The marks of one user around a message.
    Marks {
        /// Who marked.
        user: UserId,
        /// The message.
        at: u64,
        /// Rows of `Read` above this are ahead of the state and not to be seen.
        read_ceiling: u64,
        /// Rows of `Delivered` above this are ahead of the state and not to be seen.
        delivered_ceiling: u64,
    },
}

/// The facts looked up. What was not found is `None` or missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// For [`Need::ClientId`].
    pub client_id: Option<ClientIdRow>,
    /// For [`Need::Message`]: the message named, the one answered, the one that a clientMessageId stands for.
    pub messages: Vec<MessageRow>,
    /// For [`Need::Marks`].
    pub marks: MarkFacts,
}

/// The marks of one user around a message: `up_to` and time of the nearest rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkFacts {
    /// The lowest `Read` row at or above the message.
    pub read_from: Option<(u64, Timestamp)>,
    /// The highest `Read` row below it.
    pub read_below: Option<(u64, Timestamp)>,
    /// The lowest `Delivered` row at or above the message.
    pub delivered_from: Option<(u64, Timestamp)>,
    /// The highest `Delivered` row below it.
    pub delivered_below: Option<(u64, Timestamp)>,
}

/// What an entry does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The chat's version after the entry: dates the rows, numbers the deliveries.
    pub version: u64,
    /// The answer to the sender. A repeated copy of an entry has none: the first copy was answered.
    pub reply: Option<Result<Reply, Rejection>>,
    /// Rows to write.
    pub rows: Vec<Row>,
    /// What goes to the members' mailboxes.
    pub deliveries: Vec<Delivery>,
    /// Members whose state changed (gone ones included). The head changes with every entry.
    pub changed: Vec<UserId>,
}

/// The facts that [`apply`] needs for a command, in the very state that it will be applied to.
#[must_use]
pub fn needs(state: &State, id: &EntryId, command: &Command) -> Vec<Need> {
    if state.is_repeat(id) {
        return Vec::new();
    }
    match &command.op {
        Op::New {
            reply_to,
            client_message_id,
            ..
        } => {
            let sent = Need::ClientId {
                sender: command.user.clone(),
                client_message_id: dedup_key(client_message_id.as_deref(), id),
                epoch_from: first_version(state.head.epoch),
            };
            let answered = reply_to.filter(|id| exists(state, *id)).map(Need::Message);
            [sent].into_iter().chain(answered).collect()
        }
        Op::Edit { message_id, .. } | Op::Delete { message_id } => Some(*message_id)
            .filter(|id| exists(state, *id))
            .map(Need::Message)
            .into_iter()
            .collect(),
        Op::MarkDelivered { message_id } => mark_needs(state, command, MarkKind::Delivered, *message_id),
        Op::MarkRead { message_id } => mark_needs(state, command, MarkKind::Read, *message_id),
        Op::CreateChat { .. }
        | Op::DeleteChat { .. }
        | Op::UpdateChat { .. }
        | Op::AddParticipants { .. }
        | Op::RemoveParticipants { .. }
        | Op::Leave => Vec::new(),
    }
}

/// A mark needs its message; one that marks nothing new needs the time of the first.
fn mark_needs(state: &State, command: &Command, kind: MarkKind, message_id: Option<u64>) -> Vec<Need> {
    let at = message_id.unwrap_or(state.head.last_id);
    let user = &command.user;
    let me = state.members.get(user).filter(|member| member.role.is_some());
    let Some(me) = me.filter(|member| exists(state, at) && at > member.hidden_before) else {
        return Vec::new();
    };
    let mut needs = vec![Need::Message(at)];
    let alone = state.key == ChatKey::dialog(user, user);
    if Step::new(me, kind, at).is_repeat_of(kind) && !alone {
        needs.push(Need::Marks {
            user: user.clone(),
            at,
            read_ceiling: me.read,
            delivered_ceiling: me.delivered,
        });
    }
    needs
}

fn exists(state: &State, message_id: u64) -> bool {
    (1..=state.head.last_id).contains(&message_id)
}

/// Applies an entry. The decision is made before anything is changed: a panic leaves the state as it was.
pub fn apply(state: &mut State, input: Input<'_>, facts: &Facts) -> Effects {
    let stamp = Stamp::after(&state.head, &input);
    let mut effects = Effects {
        version: stamp.version,
        ..Effects::default()
    };
    if state.is_repeat(input.id) {
        count(state, &input, stamp);
        return effects;
    }
    let context = Context {
        state,
        input,
        stamp,
        facts,
    };
    let outcome = decide(&context).map(|mut decision| {
        decision.changes.show(&context, &mut decision.rows);
        (
            decision.reply,
            decision.changes,
            decision.rows,
            decision.mail.into_deliveries(),
        )
    });
    match outcome {
        Ok((reply, changes, rows, deliveries)) => {
            effects.changed = changes.commit(state, stamp);
            effects.reply = Some(Ok(reply));
            effects.rows = rows;
            effects.deliveries = deliveries;
        }
        Err(rejection) => effects.reply = Some(Err(rejection)),
    }
    count(state, &input, stamp);
    effects
}

/// What stands in the log for an entry on which [`apply`] panicked: the version counts it, the sender is
/// told `internal`. The same for every owner.
pub fn apply_panicked(state: &mut State, input: Input<'_>) -> Effects {
    let stamp = Stamp::after(&state.head, &input);
    count(state, &input, stamp);
    Effects {
        version: stamp.version,
        reply: Some(Err(Rejection::new(
            Code::Internal,
            "the service failed on this request",
        ))),
        ..Effects::default()
    }
}

fn decide(context: &Context<'_>) -> Result<Decision, Rejection> {
    match &context.input.command.op {
        Op::New {
            text,
            attachments,
            reply_to,
            client_message_id,
        } => messages::new(
            context,
            Content { text, attachments },
            *reply_to,
            client_message_id.as_deref(),
        ),
        Op::Edit {
            message_id,
            text,
            attachments,
        } => messages::edit(context, *message_id, Content { text, attachments }),
        Op::Delete { message_id } => messages::delete(context, *message_id),
        Op::MarkDelivered { message_id } => marks::mark(context, MarkKind::Delivered, *message_id),
        Op::MarkRead { message_id } => marks::mark(context, MarkKind::Read, *message_id),
        Op::CreateChat {
            kind,
            name,
            participants,
            photo_url,
            history_all,
        } => {
            let made = Made {
                kind: *kind,
                name: name.clone(),
                photo_url: photo_url.clone(),
                history_all: *history_all,
            };
            membership::create(context, made, participants)
        }
        Op::DeleteChat { message_id } => membership::delete(context, *message_id),
        Op::UpdateChat {
            name,
            photo_url,
            admins,
            owner,
        } => {
            let update = Update {
                name: name.as_deref(),
                photo_url: photo_url.as_deref(),
                admins: admins.as_deref(),
                owner: owner.as_ref(),
            };
            membership::update(context, update)
        }
        Op::AddParticipants { participants } => membership::add(context, participants),
        Op::RemoveParticipants { participants } => membership::remove(context, participants),
        Op::Leave => membership::leave(context),
    }
}
