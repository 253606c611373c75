//! The suite that every form of the store passes, each part in a keyspace of its own.

use confab_chat::Timestamp;
use confab_store::conformance::{self, Subject};
use confab_store::scylla::Scylla;

use crate::harness::{now, with_store};

fn subject(store: Scylla) -> Subject<Scylla> {
    Subject {
        store,
        now: Box::new(|| Timestamp(now())),
        // The database's clock is the real one: time passes by itself.
        pass: Box::new(|time| Box::pin(tokio::time::sleep(time))),
    }
}

macro_rules! passes {
    ($($part:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $part() {
                with_store(async |store, _| conformance::$part(subject(store)).await).await;
            }
        )+
    };
}

passes!(
    every_table_keeps_its_rows,
    the_newest_stands_in_whatever_order,
    of_equal_times_the_larger_bytes_stand,
    a_state_is_read_whole,
    writers_at_once_do_not_disturb_each_other,
    numbered_rows_are_scanned_in_order,
    marks_are_found_across_buckets,
    whole_ranges_are_scanned,
    odd_ids_keep_apart,
    inboxes_expire,
);
