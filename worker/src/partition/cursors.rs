//! The cursors of devices: kept in memory while they move, written now and then.
//!
//! A cursor lost in a crash is an old one: the device gets events again that it had acknowledged, never too few.

use std::collections::HashMap;

use confab_bus::Bus;
use confab_chat::limits::DEVICES;
use confab_chat::{DeviceId, Timestamp, UserId};
use confab_proto::row::CursorRow;
use confab_proto::wire::Wire;
use confab_store::{Key, Record, Store, Write};

use crate::config::Config;
use crate::seams::{Fault, Seams, as_it_is, decode};

/// A device of a user.
pub(super) type Device = (UserId, DeviceId);

/// Cursors that are not written yet.
#[derive(Default)]
pub(super) struct Cursors(HashMap<Device, CursorRow>);

impl Cursors {
    /// Sets a cursor. It never goes back.
    pub(super) fn set(&mut self, device: Device, row: CursorRow) {
        let unwritten = self.0.entry(device).or_insert(row);
        *unwritten = CursorRow {
            up_to: row.up_to.max(unwritten.up_to),
            ..row
        };
    }

    /// Drops what is not written: the row of a log entry takes its place.
    pub(super) fn drop_unwritten(&mut self, device: &Device) {
        self.0.remove(device);
    }

    /// A cursor that is not written yet.
    pub(super) fn get(&self, device: &Device) -> Option<CursorRow> {
        self.0.get(device).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A user's devices that are not forgotten: as the store has them, and as they have moved since.
    pub(super) fn over(
        &self,
        user: &UserId,
        records: &[Record],
    ) -> Result<Vec<(DeviceId, CursorRow)>, Fault> {
        let mut cursors = Vec::with_capacity(records.len());
        for record in records {
            let Key::Cursor(_, device) = &record.key else {
                return Err(Fault::Alarm(format!("row {:?} is no cursor", record.key)));
            };
            let moved = self.get(&(user.clone(), device.clone()));
            let row = match moved {
                Some(row) => row,
                None => decode(record)?,
            };
            if !row.forgotten {
                cursors.push((device.clone(), row));
            }
        }
        Ok(cursors)
    }

    /// The rows to write. They stay here until [`written`](Self::written).
    pub(super) fn writes(&self, mut timestamp: impl FnMut() -> u64) -> Vec<Write> {
        let rows = self.0.iter();
        rows.map(|(device, row)| write(device, *row, timestamp()))
            .collect()
    }

    /// All of them stand.
    pub(super) fn written(&mut self) {
        self.0.clear();
    }
}

impl<B: Bus, S: Store> Seams<B, S> {
    /// A device's cursor, to begin a session with. One that stands as its log entry wrote it may stand on one replica only:
    /// whoever reads the next time would take the device for new, and let it begin behind events that it has not seen. So
    /// it is written again first.
    pub(super) async fn cursor(&self, device: Device, config: &Config) -> Result<Option<CursorRow>, Fault> {
        let (user, device) = device;
        let Some(record) = self.record(Key::Cursor(user, device)).await? else {
            return Ok(None);
        };
        let row: CursorRow = decode(&record)?;
        if !config.rows_follow_log && record.timestamp == enrolled(row.used_at) {
            self.write(vec![as_it_is(&record, None)]).await?;
        }
        Ok(Some(row))
    }
}

/// The timestamp of a cursor that a log entry of a time sets.
fn enrolled(at: Timestamp) -> u64 {
    at.0.saturating_mul(1000).saturating_add(999)
}

/// A cursor's row.
pub(super) fn write((user, device): &Device, row: CursorRow, timestamp: u64) -> Write {
    Write {
        key: Key::Cursor(user.clone(), device.clone()),
        timestamp,
        value: row.encode(),
        expires: None,
    }
}

/// Which of a user's devices are forgotten when one more comes: the longest unused.
pub(super) fn surplus(mut devices: Vec<(DeviceId, CursorRow)>) -> Vec<(DeviceId, CursorRow)> {
    devices.sort_by(|(a, a_row), (b, b_row)| (b_row.used_at, b).cmp(&(a_row.used_at, a)));
    let surplus = devices.split_off(devices.len().min(DEVICES - 1));
    let forget = |(device, row)| {
        let row = CursorRow {
            forgotten: true,
            ..row
        };
        (device, row)
    };
    surplus.into_iter().map(forget).collect()
}

/// Dates rows that are written when the service pleases: microseconds, strictly growing.
#[derive(Default)]
pub(super) struct Clock(u64);

impl Clock {
    /// The next.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = confab_service::clock::now_micros().max(self.0 + 1);
        self.0
    }

    /// One that follows from a log entry, the same for every owner; later ones are higher.
    pub(super) fn at(&mut self, time: Timestamp) -> u64 {
        let timestamp = enrolled(time);
        self.0 = self.0.max(timestamp);
        timestamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(up_to: u64, used_at: u64) -> CursorRow {
        CursorRow {
            up_to,
            used_at: Timestamp(used_at),
            forgotten: false,
        }
    }

    fn device(n: u64) -> DeviceId {
        DeviceId::parse(&format!("d{n:02}")).unwrap()
    }

    #[test]
    fn one_more_device_makes_room_by_the_longest_unused() {
        let devices = |count: u64| (0..count).map(|n| (device(n), row(n, (n * 7) % 32))).collect();
        assert_eq!(surplus(devices(31)), []);
        let forgotten = CursorRow {
            forgotten: true,
            ..row(0, 0)
        };
        assert_eq!(surplus(devices(32)), [(device(0), forgotten)]);
    }

    #[test]
    fn a_cursor_never_goes_back() {
        let device = (UserId::parse("bob").unwrap(), device(1));
        let mut cursors = Cursors::default();
        cursors.set(device.clone(), row(5, 1));
        cursors.set(device.clone(), row(3, 2));
        assert_eq!(cursors.get(&device), Some(row(5, 2)));
    }

    #[test]
    fn the_clock_goes_on_from_what_the_log_dated() {
        let mut clock = Clock::default();
        let far = Timestamp(9_000_000_000_000);
        assert_eq!(clock.at(far), 9_000_000_000_000_999);
        assert_eq!(clock.next(), 9_000_000_000_001_000);
        assert_eq!(clock.at(Timestamp(1)), 1999, "the same for every owner");
        assert_eq!(clock.next(), 9_000_000_000_001_001);
    }
}
