//! Where a row stands in memory.
//!
//! Keys of one partition key and table begin with the same bytes, often very many of them, and to compare two keys is to fetch both
//! from memory. So what a comparison needs, as a rule, stands in the map itself, as two numbers. In the order that they give, the rows of
//! one group (a partition key and a table) stand together, in the order of their keys; the groups do not. Client ids may all begin alike;
//! but they are looked for one by one, never in a run, and so stand in the order of their hashes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::keys::{RowKey, Table};
use super::values::{Stored, number_at};

/// Of this process: nobody can choose ids whose numbers are the same.
static SEED: LazyLock<u64> = LazyLock::new(rand::random);

/// Rows in order of their places.
pub(super) type Rows = BTreeMap<Place, Stored>;

/// A key, and before it what it is compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Of the group. Two may have the same number: rows of both then stand among each other.
    group: u64,
    /// The first eight bytes behind the group's, in their order; zeros where there are fewer. Of a client id the hash.
    rest: u64,
    key: RowKey,
}

impl Place {
    pub(super) fn of(key: RowKey) -> Self {
        let (group, rest) = key.bytes().split_at(key.group().len());
        let rest = match key.table() {
            Table::ClientIds => xxh3_64_with_seed(rest, *SEED),
            _ => first_bytes(rest),
        };
        Self {
            group: xxh3_64_with_seed(group, *SEED),
            rest,
            key,
        }
    }

    /// The end of a run of keys that begins with `from`: before a key of its group, or before the first one behind that.
    fn end(to: &RowKey, from: &Self) -> Self {
        let group = from.key.group();
        let rest = to.bytes().strip_prefix(group).map_or(u64::MAX, first_bytes);
        Self {
            group: from.group,
            rest,
            key: to.clone(),
        }
    }

    pub(super) fn key(&self) -> &RowKey {
        &self.key
    }
}

/// Eight bytes as a number that is ordered as they are.
fn first_bytes(bytes: &[u8]) -> u64 {
    if bytes.len() >= 8 {
        return number_at(bytes, 0);
    }
    let shifted = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    shifted.checked_shl(8 * (8 - bytes.len() as u32)).unwrap_or(0)
}

/// The rows from one key to before another, in order. Both are of one group, or the second is the first key behind it. Not of
/// client ids, whose order here is another one.
pub(super) fn between<'a>(
    rows: &'a Rows,
    from: &RowKey,
    to: &RowKey,
) -> impl DoubleEndedIterator<Item = (&'a RowKey, &'a Stored)> + use<'a> {
    debug_assert_ne!(from.table(), Table::ClientIds, "these are looked for one by one");
    let from = Place::of(from.clone());
    let to = Place::end(to, &from);
    run(rows, from, to)
}

/// The rows of one group from one place to before another. Those of a group that has the same number are left out.
fn run(rows: &Rows, from: Place, to: Place) -> impl DoubleEndedIterator<Item = (&RowKey, &Stored)> + use<'_> {
    let of = from.key.clone();
    rows.range(from..to)
        .map(|(place, stored)| (&place.key, stored))
        .filter(move |(key, _)| key.group() == of.group())
}

/// All rows in the order of their keys.
pub(super) fn in_order(rows: &Rows) -> Vec<(&RowKey, &Stored)> {
    let mut rows: Vec<_> = rows.iter().collect();
    let mut groups: Vec<_> = rows.chunk_by_mut(|(a, _), (b, _)| a.group == b.group).collect();
    for group in &mut groups {
        if group[0].0.key.table() == Table::ClientIds {
            group.sort_unstable_by_key(|(place, _)| &place.key);
        }
    }
    groups.sort_unstable_by(|a, b| a[0].0.key.cmp(&b[0].0.key));
    let rows = groups.iter().flat_map(|group| group.iter());
    let mut rows: Vec<_> = rows.map(|(place, stored)| (&place.key, *stored)).collect();
    // Only where two groups have one number is there anything to do.
    if !rows.is_sorted_by_key(|(key, _)| *key) {
        rows.sort_unstable_by_key(|(key, _)| *key);
    }
    rows
}

#[cfg(test)]
mod tests {
    use confab_chat::row::MarkKind;
    use confab_chat::{ActorKey, ChatKey, Partition, UserId};
    use lsm_tree::Slice;
    use proptest::prelude::*;

    use super::*;
    use crate::embedded::keys::{self, KeyWriter};
    use crate::{Key, StatePart};

    fn user(number: u8) -> UserId {
        UserId::parse(&format!("u{number}")).unwrap()
    }

    fn chat(number: u8) -> ChatKey {
        ChatKey::dialog(&user(number), &user(number / 2))
    }

    fn key() -> impl Strategy<Value = RowKey> {
        let number = || {
            prop_oneof![
                0..4_u64,
                250..260_u64,
                2046..2050_u64,
                Just(u64::MAX),
                any::<u64>()
            ]
        };
        let kind = prop_oneof![Just(MarkKind::Delivered), Just(MarkKind::Read)];
        let part = prop_oneof![
            Just(StatePart::Head),
            (0..9_u8).prop_map(|of| StatePart::Seen(chat(of))),
            (0..9_u8).prop_map(|of| StatePart::Member(user(of))),
        ];
        let key = prop_oneof![
            (0..4_u8, number()).prop_map(|(of, id)| Key::Message(chat(of), id)),
            (0..4_u8, number()).prop_map(|(of, id)| Key::Inbox(user(of), id)),
            (0..2_u8, 0..2_u8, kind, number()).prop_map(|(of, by, kind, up_to)| Key::Mark(
                chat(of),
                user(by),
                kind,
                up_to
            )),
            (0..4_u8, 0..3_u8, "[ab]{0,12}").prop_map(|(of, by, id)| Key::ClientId(
                chat(of),
                user(by),
                id.into()
            )),
            (0..4_u8, 0..9_u8).prop_map(|(of, of_chat)| Key::Membership(user(of), chat(of_chat))),
            (0..2_u8, part).prop_map(|(of, part)| Key::State(ActorKey::Mailbox(user(of)), part)),
            (0..4_u8).prop_map(|of| Key::Head(chat(of))),
            (0..4_u16).prop_map(|of| Key::Checkpoint(Partition(of))),
        ];
        key.prop_map(|key| keys::encode(&key))
    }

    /// With `alike` all groups have the same number.
    fn alike(place: Place, alike: bool) -> Place {
        let group = if alike { 1 } else { place.group };
        Place { group, ..place }
    }

    fn rows(keys: &[RowKey], are_alike: bool) -> Rows {
        let row = |key: &RowKey| {
            let stored = Stored::from_bytes(Slice::new(&[0; 8]));
            (alike(Place::of(key.clone()), are_alike), stored)
        };
        keys.iter().map(row).collect()
    }

    /// Some range of keys, as [`Spans`](crate::embedded::ranges::Spans) makes them.
    fn range() -> impl Strategy<Value = (RowKey, RowKey)> {
        let number = || prop_oneof![0..300_u64, 2046..2050_u64, Just(u64::MAX), any::<u64>()];
        let numbers = (0..4_u8, number(), number()).prop_map(|(of, one, other)| {
            let writer = |number| KeyWriter::under(Table::Messages, chat(of).as_str()).number(number);
            (
                writer(one.min(other)).finish(),
                writer(one.max(other)).behind().finish(),
            )
        });
        let marks = (0..2_u8, 0..2_u8, number(), number()).prop_map(|(of, by, one, other)| {
            let writer = |number| {
                let bucket = KeyWriter::under(Table::Marks, chat(of).as_str()).number(0);
                bucket.text(user(by).as_str()).byte(b'r').number(number)
            };
            (
                writer(one.min(other)).finish(),
                writer(one.max(other)).behind().finish(),
            )
        });
        let whole =
            (0..4_u8, prop_oneof![Just(Table::Memberships), Just(Table::Inbox)]).prop_map(|(of, table)| {
                let writer = || KeyWriter::under(table, user(of).as_str());
                (writer().finish(), writer().behind().finish())
            });
        let state = (0..2_u8).prop_map(|of| {
            let writer = || keys::under_actor(&ActorKey::Mailbox(user(of)));
            (writer().finish(), writer().behind().finish())
        });
        prop_oneof![numbers, marks, whole, state]
    }

    proptest! {
        #[test]
        fn all_rows_come_in_the_order_of_their_keys(mut keys in prop::collection::vec(key(), 0..60), are_alike: bool) {
            let rows = rows(&keys, are_alike);
            keys.sort();
            keys.dedup();
            let found: Vec<_> = in_order(&rows).into_iter().map(|(key, _)| key.clone()).collect();
            prop_assert_eq!(found, keys);
        }

        #[test]
        fn between_two_keys_are_those_that_are(
            mut keys in prop::collection::vec(key(), 0..60),
            (from, to) in range(),
            are_alike: bool,
        ) {
            let rows = rows(&keys, are_alike);
            keys.sort();
            keys.dedup();
            let place = Place::of(from.clone());
            let end = alike(Place::end(&to, &place), are_alike);
            let found: Vec<_> = run(&rows, alike(place, are_alike), end).map(|(key, _)| key.clone()).collect();
            keys.retain(|key| (&from..&to).contains(&key));
            prop_assert_eq!(found, keys);
        }
    }
}
