//! Requests to the database: how long they take, and what becomes of one that fails.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use scylla::client::session::Session;
use scylla::errors::ExecutionError;

use super::Open;
use crate::StoreError;

const SECONDS: &str = "confab_store_request_seconds";
const FAILED: &str = "confab_store_requests_failed_total";

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    Write,
    WriteState,
    Get,
    Scan,
}

/// What is counted of requests.
pub(super) struct Meters {
    /// By the kinds' numbers.
    seconds: [Histogram; 4],
    failed: Counter,
}

impl Meters {
    pub(super) fn new() -> Self {
        describe_histogram!(
            SECONDS,
            Unit::Seconds,
            "Time from a request to the database to its answer"
        );
        describe_counter!(
            FAILED,
            "Requests to the database that failed or were not answered in time"
        );
        let seconds = |what: &'static str| histogram!(SECONDS, "request" => what);
        Self {
            seconds: ["write", "write_state", "get", "scan"].map(seconds),
            failed: counter!(FAILED),
        }
    }
}

impl Open {
    /// Waits for the answer to a request over a session. Taken pinned: by value the driver's future (4 KB) would stand in this one and
    /// in the caller's.
    ///
    /// # Errors
    /// `Unavailable`: it was not done, or that is not known. All that a server may say against a request comes out so: it is
    /// not about our data, and it passes or an operator mends it.
    pub(super) async fn done<T>(
        &self,
        request: Request,
        session: &Arc<Session>,
        answer: Pin<&mut impl Future<Output = Result<T, ExecutionError>>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let answer = answer.await;
        self.meters.seconds[request as usize].record(begun.elapsed());
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.meters.failed.increment(1);
                if matches!(error, ExecutionError::ConnectionPoolError(_)) {
                    // Boxed: it is rare, and twice as large as everything else here.
                    Box::pin(self.link.reopen(session)).await;
                }
                Err(StoreError::Unavailable(error.to_string()))
            }
        }
    }
}
