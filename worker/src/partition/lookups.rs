//! The facts that a chat asks for before it decides: from the rows that stand, and, above them, from the rows that
//! earlier entries of the same batch have made and that are not written yet.
//!
//! Rows in the store may be ahead of the state (during a replay, or by another owner); the chat itself ignores what
//! is not older than its entry.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use confab_bus::Bus;
use confab_chat::conversation::{Facts, MarkFacts, Need};
use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::{ClientIdRow, MarkKind, MessageRow, Row};
use confab_chat::{ChatKey, Timestamp, UserId};
use confab_service::mistake::{Mistake, is_made};
use confab_store::{Key, Range, Record, Store, Take};

use crate::seams::{Fault, Seams, decode};

/// A fact as the store has it.
enum Found {
    /// With its message, where that must be looked up too.
    ClientId(Option<ClientIdRow>, Option<Box<MessageRow>>),
    Message(Option<Box<MessageRow>>),
    Marks(MarkFacts),
}

/// What one chat's entries of this batch have written so far.
#[derive(Default)]
struct Overlay {
    client_ids: HashMap<(UserId, Arc<str>), ClientIdRow>,
    messages: HashMap<u64, MessageRow>,
    marks: BTreeMap<(UserId, MarkKind, u64), Timestamp>,
}

/// The look-ups of one chat.
#[derive(Default)]
struct OfChat {
    /// Read ahead of time.
    fetched: Vec<(Need, Found)>,
    first: First,
    /// Only where it has several entries in the batch, or is restored by it.
    overlay: Option<Box<Overlay>>,
}

/// The first entry of a chat that is applied: it finds the state that its needs were reckoned from.
#[derive(Default)]
enum First {
    /// None is expected yet.
    #[default]
    Open,
    /// It needs so many of the facts that were read ahead.
    Needs(usize),
    /// It was applied, or what it needs cannot be said, or must be looked for in what the batch has written, too.
    Past,
}

/// The look-ups of one batch.
#[derive(Default)]
pub(super) struct Lookups(HashMap<ChatKey, OfChat>);

impl Lookups {
    /// The batch has an entry of this chat. From the second one on the rows that they make are remembered.
    pub(super) fn meet(&mut self, chat: &ChatKey) {
        match self.0.entry(chat.clone()) {
            Entry::Vacant(place) => drop(place.insert(OfChat::default())),
            Entry::Occupied(known) => drop(known.into_mut().overlay.get_or_insert_default()),
        }
    }

    /// This chat is restored by the batch: the rows that this makes are remembered, and already its first entry looks through
    /// them, since what is read ahead was written before.
    pub(super) fn restored(&mut self, chat: &ChatKey) {
        let of = self.0.entry(chat.clone()).or_default();
        of.first = First::Past;
        of.overlay.get_or_insert_default();
    }

    /// So many facts are wanted for an entry of this chat; `None` where that cannot be said.
    pub(super) fn expect(&mut self, chat: &ChatKey, needs: Option<usize>) {
        if let Some(of) = self.0.get_mut(chat)
            && matches!(of.first, First::Open)
        {
            of.first = needs.map_or(First::Past, First::Needs);
        }
    }

    /// The facts for the first entry of this chat in the batch; `None` for later ones.
    pub(super) fn first(&mut self, chat: &ChatKey) -> Option<Facts> {
        let of = self.0.get_mut(chat)?;
        let First::Needs(needs) = std::mem::replace(&mut of.first, First::Past) else {
            return None;
        };
        let mut facts = Facts::default();
        for (_, found) in of.fetched.iter().take(needs) {
            found.enter(&mut facts);
        }
        Some(facts)
    }

    /// Whether the rows of this chat's entries are remembered.
    pub(super) fn expects_more(&self, chat: &ChatKey) -> bool {
        self.0.get(chat).is_some_and(|of| of.overlay.is_some())
    }

    /// Reads ahead what entries will most likely ask for, all at once.
    pub(super) async fn fetch<B: Bus, S: Store>(
        &mut self,
        seams: &Seams<B, S>,
        wanted: Vec<(ChatKey, Need)>,
    ) -> Result<(), Fault> {
        let fetches = wanted.into_iter().map(|(chat, need)| async move {
            let found = find(seams, &chat, &need).await?;
            Ok::<_, Fault>((chat, need, found))
        });
        for (chat, need, found) in super::concurrently(fetches.collect()).await? {
            self.0.entry(chat).or_default().fetched.push((need, found));
        }
        Ok(())
    }

    /// The facts for one entry.
    pub(super) async fn facts<B: Bus, S: Store>(
        &self,
        seams: &Seams<B, S>,
        chat: &ChatKey,
        needs: Vec<Need>,
    ) -> Result<Facts, Fault> {
        let mut facts = Facts::default();
        let of = self.0.get(chat);
        let overlay = of.and_then(|of| of.overlay.as_deref());
        for need in needs {
            if overlay.is_some_and(|overlay| overlay.answers(&need, &mut facts)) {
                continue;
            }
            let mut fetched = of.into_iter().flat_map(|of| &of.fetched);
            match fetched.find(|(known, _)| *known == need) {
                Some((_, found)) => found.enter(&mut facts),
                None => find(seams, chat, &need).await?.enter(&mut facts),
            }
            if let Some(overlay) = overlay {
                overlay.merge_marks(&need, &mut facts.marks);
                overlay.replace_messages(&mut facts.messages);
            }
        }
        Ok(facts)
    }

    /// The rows that an entry has made: the next entries of the batch see them.
    pub(super) fn made(&mut self, chat: &ChatKey, row: &Row) {
        let Some(overlay) = self.0.get_mut(chat).and_then(|of| of.overlay.as_mut()) else {
            return;
        };
        match row {
            Row::Message(row) => {
                overlay.messages.insert(row.message_id, row.clone());
            }
            Row::ClientId {
                sender,
                client_message_id,
                row,
            } => {
                let key = (sender.clone(), client_message_id.clone());
                overlay.client_ids.insert(key, *row);
            }
            Row::Mark {
                user,
                kind,
                up_to,
                at,
            } => {
                let key = (user.clone(), *kind, *up_to);
                overlay.marks.entry(key).or_insert(*at);
            }
            Row::Head(_) | Row::Roster(_) | Row::Membership { .. } => {}
        }
    }
}

impl Found {
    fn enter(&self, facts: &mut Facts) {
        match self {
            Self::ClientId(row, message) => {
                facts.client_id = *row;
                facts.messages.extend(message.as_deref().cloned());
            }
            Self::Message(row) => facts.messages.extend(row.as_deref().cloned()),
            Self::Marks(marks) => facts.marks = *marks,
        }
    }
}

impl Overlay {
    /// Answers alone, where a single row is asked for and is here.
    fn answers(&self, need: &Need, facts: &mut Facts) -> bool {
        match need {
            Need::ClientId {
                sender,
                client_message_id,
                ..
            } => {
                let row = self.client_ids.get(&(sender.clone(), client_message_id.clone()));
                facts.client_id = row.copied();
                row.is_some()
            }
            Need::Message(id) => {
                let row = self.messages.get(id);
                facts.messages.extend(row.cloned());
                row.is_some()
            }
            Need::Marks { .. } => false,
        }
    }

    /// Of messages that the batch has written, what it wrote.
    fn replace_messages(&self, messages: &mut [MessageRow]) {
        for message in messages {
            if let Some(row) = self.messages.get(&message.message_id) {
                *message = row.clone();
            }
        }
    }

    /// Puts the batch's own marks beside those of the store: of both the nearest.
    fn merge_marks(&self, need: &Need, facts: &mut MarkFacts) {
        let Need::Marks {
            user,
            at,
            read_ceiling,
            delivered_ceiling,
        } = need
        else {
            return;
        };
        let nearest = |kind: MarkKind, ceiling: u64| {
            let of = |range: std::ops::RangeInclusive<u64>| {
                let (low, high) = range.into_inner();
                let keys = (user.clone(), kind, low)..=(user.clone(), kind, high);
                let none = low > high;
                let marks = (!none).then(|| self.marks.range(keys));
                marks
                    .into_iter()
                    .flatten()
                    .map(|((_, _, up_to), at)| (*up_to, *at))
            };
            let from = of(*at..=ceiling.min(bucket_end(*at))).next();
            let below = of(0..=at.saturating_sub(1).min(ceiling)).next_back();
            (from, below)
        };
        let (read_from, read_below) = nearest(MarkKind::Read, *read_ceiling);
        let (delivered_from, delivered_below) = nearest(MarkKind::Delivered, *delivered_ceiling);
        lower(&mut facts.read_from, read_from);
        lower(&mut facts.delivered_from, delivered_from);
        higher(&mut facts.read_below, read_below);
        higher(&mut facts.delivered_below, delivered_below);
    }
}

type NearMark = Option<(u64, Timestamp)>;

fn lower(fact: &mut NearMark, other: NearMark) {
    *fact = (*fact).into_iter().chain(other).min_by_key(|(up_to, _)| *up_to);
}

fn higher(fact: &mut NearMark, other: NearMark) {
    // Of two equal ones the first stands, and `max_by_key` gives the last.
    *fact = other.into_iter().chain(*fact).max_by_key(|(up_to, _)| *up_to);
}

async fn find<B: Bus, S: Store>(seams: &Seams<B, S>, chat: &ChatKey, need: &Need) -> Result<Found, Fault> {
    Ok(match need {
        Need::ClientId { .. } if is_made(Mistake::ClientIdUnseen) => Found::ClientId(None, None),
        Need::Marks { .. } if is_made(Mistake::FirstMarkForgotten) => Found::Marks(MarkFacts::default()),
        Need::ClientId {
            sender,
            client_message_id,
            epoch_from,
        } => {
            let key = Key::ClientId(chat.clone(), sender.clone(), client_message_id.clone());
            let row: Option<ClientIdRow> = seams.get(key).await?;
            let message = match row.filter(|row| row.version < *epoch_from) {
                Some(row) => seams.get(Key::Message(chat.clone(), row.message_id)).await?,
                None => None,
            };
            Found::ClientId(row, message.map(Box::new))
        }
        Need::Message(id) => {
            let row: Option<MessageRow> = seams.get(Key::Message(chat.clone(), *id)).await?;
            Found::Message(row.map(Box::new))
        }
        Need::Marks {
            user,
            at,
            read_ceiling,
            delivered_ceiling,
        } => {
            let of = |kind| Marks {
                seams,
                chat,
                user,
                kind,
            };
            let (read, delivered) = (of(MarkKind::Read), of(MarkKind::Delivered));
            Found::Marks(MarkFacts {
                read_from: read.from(*at, *read_ceiling).await?,
                read_below: read.below(*at, *read_ceiling).await?,
                delivered_from: delivered.from(*at, *delivered_ceiling).await?,
                delivered_below: delivered.below(*at, *delivered_ceiling).await?,
            })
        }
    })
}

/// One user's marks of one kind in one chat.
struct Marks<'a, B, S> {
    seams: &'a Seams<B, S>,
    chat: &'a ChatKey,
    user: &'a UserId,
    kind: MarkKind,
}

impl<B: Bus, S: Store> Marks<'_, B, S> {
    /// The lowest at or above a message. One that covers it is always in the message's own bucket.
    async fn from(&self, at: u64, ceiling: u64) -> Result<NearMark, Fault> {
        self.scan(at, ceiling.min(bucket_end(at)), Take::First(1)).await
    }

    /// The highest below a message, bucket by bucket downwards.
    async fn below(&self, at: u64, ceiling: u64) -> Result<NearMark, Fault> {
        let mut to = at.saturating_sub(1).min(ceiling);
        while to > 0 {
            let from = bucket_start(to);
            let found = self.scan(from, to, Take::Last(1)).await?;
            if found.is_some() {
                return Ok(found);
            }
            to = from.saturating_sub(1);
        }
        Ok(None)
    }

    async fn scan(&self, from: u64, to: u64, take: Take) -> Result<NearMark, Fault> {
        if from > to {
            return Ok(None);
        }
        let range = Range::Marks {
            chat: self.chat.clone(),
            user: self.user.clone(),
            kind: self.kind,
            from,
            to,
        };
        let records = self.seams.scan(range, take).await?;
        records.first().map(mark).transpose()
    }
}

fn mark(record: &Record) -> Result<(u64, Timestamp), Fault> {
    match &record.key {
        Key::Mark(_, _, _, up_to) => Ok((*up_to, decode(record)?)),
        other => Err(Fault::Alarm(format!("row {other:?} is no mark"))),
    }
}

fn bucket_start(id: u64) -> u64 {
    id / BUCKET_MESSAGES * BUCKET_MESSAGES
}

fn bucket_end(id: u64) -> u64 {
    bucket_start(id) + (BUCKET_MESSAGES - 1)
}
