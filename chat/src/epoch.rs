//! Epochs of a log: one begins when a lost log was replaced by hand.
//!
//! All versions of an epoch lie above all of the earlier ones. So whatever the lost log wrote, or is still on its way to
//! the store, loses against what the new one writes.

/// An actor's version at the beginning of an epoch: that of no entry, above all of earlier epochs. An epoch has room for
/// 2^40 entries.
#[must_use]
pub fn first_version(epoch: u32) -> u64 {
    if epoch > 1 { u64::from(epoch) << 40 } else { 0 }
}

/// Where a mailbox goes on that may have given out more numbers in earlier epochs than anybody knows: this number, which no
/// event has, is above all of those. There is room for 2^32 events in an epoch, and for 2^21 epochs below 2^53, the end of what
/// clients can count.
#[must_use]
pub fn first_event(epoch: u32) -> u64 {
    u64::from(epoch) << EVENT_BITS
}

/// The last such number before an event; 0 where its mailbox has never gone on so. What stands below it was left behind by
/// logs that were lost.
#[must_use]
pub fn first_event_before(event: u64) -> u64 {
    event >> EVENT_BITS << EVENT_BITS
}

const EVENT_BITS: u32 = 32;
