//! How far the log is that rows are made from.

/// The log behind the rows: how many entries were appended to it (of all partitions together, since the process started),
/// and how many of these, the first ones, are durable. Both only grow.
///
/// The embedded store saves a row once all that was appended before the row was written is durable. Else, after a crash, a
/// row could stand whose entry the log never had.
pub trait Horizon: Send + Sync + 'static {
    /// How many were appended.
    fn appended(&self) -> u64;

    /// How many of them are durable.
    fn committed(&self) -> u64;
}

/// For rows that come from no log: everything may be saved at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLog;

impl Horizon for NoLog {
    fn appended(&self) -> u64 {
        0
    }

    fn committed(&self) -> u64 {
        0
    }
}
