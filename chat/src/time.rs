//! Time as the service writes it.

/// Milliseconds since the Unix epoch, as the service's log dates an entry.
///
/// Within one actor time never goes back: an entry's time is the later of the log's and the actor's last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}
