//! Cuts a torn end off fjall's own journal.
//!
//! fjall cuts off an unfinished batch by itself, but refuses a finished one with a wrong checksum. After a power cut that is
//! what an unsynced batch may look like: its end was written, a block in its middle was not. All that was synced stands before
//! it, so everything from the first such batch on is ours to lose: the log brings it again.
//!
//! The journal is `<n>.jnl`, the highest `n` the one written last: batches of a start (tag 1, count u32, sequence u64),
//! items (tag 2, kind u8, compression u8, table u64, key length u16, value length u32 twice, key, value), and an end
//! (tag 3, xxh3 of the items, `FJL\x03`), all little-endian.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const END_MAGIC: &[u8] = b"FJL\x03";

/// Cuts the journal written last before its first batch that is not whole.
pub(super) fn cut_journal(directory: &Path) -> io::Result<()> {
    let Some(path) = last_journal(directory)? else {
        return Ok(());
    };
    let bytes = fs::read(&path)?;
    let whole = whole_batches(&bytes);
    tracing::warn!(file = %path.display(), offset = whole, "the store's journal ends in a torn batch; it is cut off");
    let file = OpenOptions::new().write(true).open(&path)?;
    file.set_len(whole as u64)?;
    file.sync_all()
}

fn last_journal(directory: &Path) -> io::Result<Option<PathBuf>> {
    let mut last: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse().ok());
        if let Some(number) = number
            && last.as_ref().is_none_or(|(highest, _)| number > *highest)
        {
            last = Some((number, path));
        }
    }
    Ok(last.map(|(_, path)| path))
}

/// Where the last of the whole batches ends that a journal begins with.
fn whole_batches(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(next) = batch(bytes, end) {
        end = next;
    }
    end
}

/// Where the batch ends that begins here, if it is whole.
fn batch(bytes: &[u8], at: usize) -> Option<usize> {
    let mut rest = Cursor { bytes, at };
    if rest.byte()? != START {
        return None;
    }
    let count = rest.number(4)?;
    rest.number(8)?;
    let items = rest.at;
    for _ in 0..count {
        if rest.byte()? != ITEM {
            return None;
        }
        rest.take(1 + 1 + 8)?;
        let (key, _, value) = (rest.number(2)?, rest.number(4)?, rest.number(4)?);
        rest.take(usize::try_from(key + value).ok()?)?;
    }
    let checksum = xxh3_64(&bytes[items..rest.at]);
    let whole =
        rest.byte()? == END && rest.number(8)? == checksum && rest.take(END_MAGIC.len())? == END_MAGIC;
    whole.then_some(rest.at)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(
            self.take(bytes)?
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    }
}
