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

/// A number below all that a mailbox gives to events in an epoch, and above all of earlier epochs, where it is not known
/// how far those came. There is room for 2^32 events in an epoch, and for 2^21 epochs below 2^53, the end of what clients can
/// count.
#[must_use]
pub fn first_event(epoch: u32) -> u64 {
    u64::from(epoch) << 32
}
