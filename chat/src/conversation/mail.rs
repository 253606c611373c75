//! Who is told what: collects the events of one version, so that each mailbox gets one item, in one order.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::event::{Delivery, Event, Events, Receivers};
use crate::ids::UserId;

/// A set of the events of one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits(u8);

impl Bits {
    /// These, where `wanted`.
    pub(super) fn when(self, wanted: bool) -> Self {
        if wanted { self } else { Self::default() }
    }

    /// These and those.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The events of one version and who gets which.
#[derive(Debug, Default)]
pub(super) struct Mail {
    events: SmallVec<[Arc<Event>; 2]>,
    parcels: SmallVec<[(Bits, Receivers); 2]>,
    greets: BTreeMap<UserId, Vec<UserId>>,
}

impl Mail {
    /// Adds an event; whoever gets several gets them in the order in which they were added. At most eight.
    pub(super) fn event(&mut self, event: Event) -> Bits {
        let bit = Bits(1 << self.events.len());
        self.events.push(Arc::new(event));
        bit
    }

    /// Sends a user these events. Once a user.
    pub(super) fn post(&mut self, user: &UserId, bits: Bits) {
        if bits == Bits::default() {
            return;
        }
        match self.parcels.iter_mut().find(|(with, _)| *with == bits) {
            Some((_, to)) => to.push(user.clone()),
            None => self.parcels.push((bits, smallvec![user.clone()])),
        }
    }

    /// `one` greets `other`, if both are online.
    pub(super) fn greet(&mut self, one: &UserId, other: &UserId) {
        self.greets.entry(one.clone()).or_default().push(other.clone());
    }

    /// Everybody becomes a contact of everybody; `users` in order of id: of a pair the smaller one greets.
    pub(super) fn acquaint(&mut self, users: &[&UserId]) {
        for (place, one) in users.iter().enumerate() {
            for other in users.iter().skip(place + 1) {
                self.greet(one, other);
            }
        }
    }

    /// One delivery for all who get the same; whoever greets has one alone.
    pub(super) fn into_deliveries(mut self) -> Vec<Delivery> {
        let mut deliveries = Vec::with_capacity(self.parcels.len() + self.greets.len());
        for (bits, mut to) in std::mem::take(&mut self.parcels) {
            let events = self.chosen(bits);
            if !self.greets.is_empty() {
                to.retain(|user| match self.greets.remove(&*user) {
                    Some(greet) => {
                        deliveries.push(Delivery {
                            to: smallvec![user.clone()],
                            events: events.clone(),
                            greet,
                        });
                        false
                    }
                    None => true,
                });
            }
            if !to.is_empty() {
                deliveries.push(Delivery {
                    to,
                    events,
                    greet: Vec::new(),
                });
            }
        }
        deliveries.extend(self.greets.into_iter().map(|(user, greet)| Delivery {
            to: smallvec![user],
            events: Events::new(),
            greet,
        }));
        deliveries
    }

    fn chosen(&self, bits: Bits) -> Events {
        let all = self.events.iter().enumerate();
        all.filter(|(place, _)| bits.0 & (1 << place) != 0)
            .map(|(_, event)| Arc::clone(event))
            .collect()
    }
}
