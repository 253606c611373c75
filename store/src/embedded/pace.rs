//! At what pace tables are merged.
//!
//! A merge writes a lot, and the engine has each table reach the disk with one sync at its end. Whoever syncs the log at that moment
//! waits behind all of it: with a table of 32 MB for 14 to 60 ms instead of 0.1. So a table is synced in steps while it is written, and
//! the steps have pauses between them, unless merging is behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the engine has its tables, each in a file whose name is its number. Were it otherwise, tables would be synced at their end
/// alone, as the engine does.
const TABLES: &str = "tables";
/// So much is merged from one sync to the next.
const STEP_BYTES: usize = 1 << 20;
/// How long that takes at least.
const STEP: Duration = Duration::from_millis(30);

/// The pace of one merge.
pub(super) struct Pace {
    tables: PathBuf,
    /// The newest table that is known.
    newest: u64,
    begun: Instant,
    bytes: usize,
}

impl Pace {
    /// Of a merge of the engine whose files are in a directory.
    pub(super) fn new(tree: &Path) -> Self {
        let tables = tree.join(TABLES);
        Self {
            newest: newest(&tables),
            tables,
            begun: Instant::now(),
            bytes: 0,
        }
    }

    /// So many bytes more are merged. Waits, where the pace is kept, until it is time for more.
    pub(super) fn merged(&mut self, bytes: usize, hurry: bool) {
        self.bytes += bytes;
        if self.bytes < STEP_BYTES {
            return;
        }
        self.sync();
        let left = STEP.saturating_sub(self.begun.elapsed());
        if !hurry && !left.is_zero() {
            #[expect(
                clippy::disallowed_methods,
                reason = "a thread of its own, and it is time itself that it waits for"
            )]
            std::thread::sleep(left);
        }
        (self.begun, self.bytes) = (Instant::now(), 0);
    }

    /// Syncs the table that is being written: the newest, as a rule. Whether that succeeds is no matter here: the engine syncs it
    /// again at its end, and of an error in between the system tells everyone who had the file open, so the engine too.
    fn sync(&mut self) {
        let file = |number: u64| self.tables.join(number.to_string());
        while file(self.newest + 1).exists() {
            self.newest += 1;
        }
        let _ = File::open(file(self.newest)).and_then(|table| table.sync_data());
    }
}

/// The highest number of a table.
fn newest(tables: &Path) -> u64 {
    let entries = fs::read_dir(tables).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_table_is_found_while_more_are_written() {
        let tree = tempfile::tempdir().unwrap();
        assert_eq!(newest(&tree.path().join(TABLES)), 0);
        fs::create_dir(tree.path().join(TABLES)).unwrap();
        let write = |names: &[&str]| {
            for name in names {
                fs::write(tree.path().join(TABLES).join(name), "").unwrap();
            }
        };
        write(&["7", "12", "9", "other"]);
        let mut pace = Pace::new(tree.path());
        assert_eq!(pace.newest, 12);
        write(&["13", "14"]);
        pace.merged(STEP_BYTES, true);
        assert_eq!((pace.newest, pace.bytes), (14, 0));
    }

    #[test]
    fn a_step_takes_its_time_and_begins_anew() {
        let tree = tempfile::tempdir().unwrap();
        let mut pace = Pace::new(tree.path());
        let begun = pace.begun;
        pace.merged(STEP_BYTES - 1, false);
        assert_eq!(
            (pace.begun, pace.bytes),
            (begun, STEP_BYTES - 1),
            "less than a step"
        );
        pace.merged(1, false);
        assert!(begun.elapsed() >= STEP, "{:?}", begun.elapsed());
        assert_eq!(pace.bytes, 0);
    }
}
