//! Rows as they are put into the overlay.

use std::cell::Cell;

use byteview::ByteView;
use lsm_tree::Slice;

use super::keys::{self, RowKey, Table};
use super::values::Stored;
use crate::Write;

thread_local! {
    /// Where the rows of a write are put together.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Rows share pieces of memory of this size, and a little more.
const PIECE: usize = 64 << 10;
/// What a thread's scratch keeps.
const SCRATCH_BYTES: usize = 2 * PIECE;

/// A row on its way.
enum Made {
    /// In memory of its own.
    Alone(RowKey, Stored),
    /// Among the others: where its key ends, and where its value does.
    Among(usize, usize),
}

/// Encodes the rows of one write.
///
/// Those that are written once are saved together, too, so they share pieces of memory instead of having one for each key and each
/// value. A row that will be written again has its own, which that frees. (A message that is edited keeps its earlier bytes
/// until the next save; the overlay counts them.)
pub(super) fn encode(writes: &[Write]) -> Vec<(RowKey, Stored)> {
    let mut bytes = SCRATCH.take();
    let mut rows = Vec::with_capacity(writes.len());
    let mut made = Vec::with_capacity(writes.len());
    for write in writes {
        let (table, from) = (Table::of(&write.key), bytes.len());
        bytes = keys::encode_onto(bytes, &write.key);
        let key_end = bytes.len();
        Stored::encode_to(&mut bytes, table, write);
        if table.is_written_once() {
            made.push(Made::Among(key_end, bytes.len()));
        } else {
            made.push(alone(&bytes[from..], key_end - from));
            bytes.truncate(from);
        }
        if bytes.len() >= PIECE {
            rows.extend(split(&bytes, &mut made));
            bytes.clear();
            bytes.shrink_to(SCRATCH_BYTES);
        }
    }
    rows.extend(split(&bytes, &mut made));
    bytes.clear();
    SCRATCH.set(bytes);
    rows
}

fn alone(row: &[u8], key_end: usize) -> Made {
    let (key, stored) = row.split_at(key_end);
    Made::Alone(
        RowKey::from_bytes(Slice::new(key)),
        Stored::from_bytes(Slice::new(stored)),
    )
}

/// The rows so far, in their order, those among others as pieces of what these share.
fn split(bytes: &[u8], made: &mut Vec<Made>) -> impl Iterator<Item = (RowKey, Stored)> {
    let shared = ByteView::new(bytes);
    let mut from = 0;
    made.drain(..).map(move |made| match made {
        Made::Alone(key, stored) => (key, stored),
        Made::Among(key_end, end) => {
            let key = RowKey::from_bytes(shared.slice(from..key_end).into());
            let stored = Stored::from_bytes(shared.slice(key_end..end).into());
            from = end;
            (key, stored)
        }
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use confab_chat::{ChatKey, Timestamp, UserId};

    use super::*;
    use crate::Key;

    fn write(number: u64, size: usize) -> Write {
        let user = UserId::parse(&format!("u{number}")).unwrap();
        let chat = ChatKey::dialog(&user, &user);
        let key = match number % 4 {
            0 => Key::Message(chat, number),
            1 => Key::Head(chat),
            2 => Key::Inbox(user, number),
            _ => Key::Membership(user, chat),
        };
        Write {
            key,
            timestamp: number,
            value: Bytes::from(vec![number.to_be_bytes()[7]; size]),
            expires: Some(Timestamp(number)),
        }
    }

    /// Small and large ones, of tables that are written once and of others: in pieces or not, each row is what it is by itself.
    #[test]
    fn rows_are_the_same_together_and_alone() {
        let sizes = [0, 3, 100, 300, PIECE - 60, 20, PIECE, 5 * PIECE, 7, 40_000];
        let writes: Vec<_> = (0..400)
            .zip(sizes.into_iter().cycle())
            .map(|(number, size)| write(number, size))
            .collect();
        let alone: Vec<_> = writes
            .iter()
            .flat_map(|write| encode(std::slice::from_ref(write)))
            .collect();
        assert_eq!(encode(&writes), alone);
        for ((key, stored), write) in alone.iter().zip(&writes) {
            assert_eq!(keys::decode(key).unwrap(), write.key);
            assert_eq!(
                (stored.timestamp(), stored.value(key.table())),
                (write.timestamp, write.value.clone())
            );
        }
    }
}
