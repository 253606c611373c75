//! The suite that every form of the store passes.

use confab_chat::Timestamp;
use confab_store::Store;
use confab_store::conformance::{self, Subject};

use crate::apart::Apart;
use crate::harness::{now, with_store};

fn subject<S: Store>(store: S) -> Subject<S> {
    Subject {
        store,
        now: Box::new(|| Timestamp(now())),
        // The database's clock is the real one: time passes by itself.
        pass: Box::new(|time| Box::pin(tokio::time::sleep(time))),
    }
}

/// Only the odd ids are what they are, as all others begin with a number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    with_store(async |store, _| {
        let part = |number| subject(Apart::new(store.clone(), number));
        futures_util::join!(
            conformance::odd_ids_keep_apart(subject(store.clone())),
            conformance::every_table_keeps_its_rows(part(1)),
            conformance::the_newest_stands_in_whatever_order(part(2)),
            conformance::of_equal_times_the_larger_bytes_stand(part(3)),
            conformance::a_state_is_read_whole(part(4)),
            conformance::writers_at_once_do_not_disturb_each_other(part(5)),
            conformance::numbered_rows_are_scanned_in_order(part(6)),
            conformance::marks_are_found_across_buckets(part(7)),
            conformance::whole_ranges_are_scanned(part(8)),
            conformance::a_mark_is_seen_with_those_below_it(part(10)),
        );
        // By itself: its rows live for two seconds, in which they have to be read.
        conformance::inboxes_expire(part(9)).await;
    })
    .await;
}
