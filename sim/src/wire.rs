//! What arrives later: one queue by time, so that what is due at once comes in the order in which it was sent.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

type Arrival = Box<dyn FnOnce() + Send>;

struct Parcel {
    due: Instant,
    number: u64,
    arrival: Arrival,
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Parcel {}

impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Parcel {
    /// The first due is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

/// The queue. What it carries is run by [`Wire::carry`].
#[derive(Default)]
pub struct Wire {
    queue: Mutex<(BinaryHeap<Parcel>, u64)>,
    sent: Notify,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Has something happen after a while.
    pub fn after(&self, while_of: Duration, arrival: impl FnOnce() + Send + 'static) {
        self.at(Instant::now() + while_of, arrival);
    }

    /// Has something happen at a time.
    pub fn at(&self, due: Instant, arrival: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue.lock();
        let (parcels, number) = &mut *queue;
        *number += 1;
        parcels.push(Parcel {
            due,
            number: *number,
            arrival: Box::new(arrival),
        });
        drop(queue);
        self.sent.notify_one();
    }

    /// Lets everything happen that is under way, whenever it was due.
    pub fn arrive_all(&self) {
        while let Some(arrival) = self.pop(None) {
            arrival();
        }
    }

    /// Carries, for ever.
    pub async fn carry(&self) {
        loop {
            let due = self.queue.lock().0.peek().map(|parcel| parcel.due);
            let sent = self.sent.notified();
            match due {
                None => sent.await,
                Some(due) => tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(due) => {
                        while let Some(arrival) = self.pop(Some(Instant::now())) {
                            arrival();
                        }
                    }
                    () = sent => {}
                },
            }
        }
    }

    fn pop(&self, until: Option<Instant>) -> Option<Arrival> {
        let mut queue = self.queue.lock();
        let first = queue.0.peek()?;
        if until.is_some_and(|until| first.due > until) {
            return None;
        }
        queue.0.pop().map(|parcel| parcel.arrival)
    }
}
