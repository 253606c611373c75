//! What a gateway counts.

use confab_proto::client::CloseCode;
use http::StatusCode;
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const CONNECTIONS: &str = "confab_gateway_connections";
const CLOSED: &str = "confab_gateway_closed_total";
const REFUSED: &str = "confab_gateway_refused_total";
const FRAMES_IN: &str = "confab_gateway_frames_in_total";
const FRAMES_OUT: &str = "confab_gateway_frames_out_total";
const REQUEST_SECONDS: &str = "confab_gateway_request_seconds";
const ATTACH_SECONDS: &str = "confab_gateway_attach_seconds";
const EVENT_SECONDS: &str = "confab_gateway_event_seconds";
const TLS_ERRORS: &str = "confab_gateway_tls_errors_total";
const KEY_FETCH_ERRORS: &str = "confab_gateway_key_fetch_errors_total";
const TIMEOUTS: &str = "confab_gateway_timeouts_total";
const REATTACHED: &str = "confab_gateway_reattached_total";
const SIGNALS_LOST: &str = "confab_gateway_signals_lost_total";
const APPEND_ERRORS: &str = "confab_gateway_append_errors_total";

/// Says what each figure means. Once a process.
pub(crate) fn describe() {
    describe_gauge!(CONNECTIONS, "Connections open");
    describe_counter!(CLOSED, "Connections closed by the service, by close code");
    describe_counter!(REFUSED, "Handshakes refused, by HTTP status");
    describe_counter!(FRAMES_IN, "Frames received from clients");
    describe_counter!(FRAMES_OUT, "Frames sent to clients");
    describe_histogram!(
        REQUEST_SECONDS,
        "From a command's frame to its response, in seconds"
    );
    describe_histogram!(
        ATTACH_SECONDS,
        "From a connection to its last missed event, in seconds"
    );
    describe_histogram!(
        EVENT_SECONDS,
        "From what happened in a chat to the frame about it, for devices that have caught up, in seconds"
    );
    describe_counter!(TIMEOUTS, "Commands that were not answered in time");
    describe_counter!(TLS_ERRORS, "Connections whose TLS handshake failed");
    describe_counter!(KEY_FETCH_ERRORS, "Times the issuer's keys could not be fetched");
    describe_counter!(REATTACHED, "Sessions attached again after a hole or a takeover");
    describe_counter!(SIGNALS_LOST, "Signals that the bus did not take at once");
    describe_counter!(APPEND_ERRORS, "Appends that the log did not take or acknowledge");
    begin_at_zero();
}

/// What was never counted is not there, and an increase from nothing is none to whoever watches.
fn begin_at_zero() {
    for name in [
        FRAMES_IN,
        FRAMES_OUT,
        TIMEOUTS,
        TLS_ERRORS,
        KEY_FETCH_ERRORS,
        REATTACHED,
        SIGNALS_LOST,
        APPEND_ERRORS,
    ] {
        counter!(name).increment(0);
    }
    for code in CloseCode::ALL {
        counter!(CLOSED, "code" => code.code().to_string()).increment(0);
    }
    for status in [
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        counter!(REFUSED, "status" => status.as_u16().to_string()).increment(0);
    }
    gauge!(CONNECTIONS).increment(0.0);
}

/// What is counted for every message: found once, not at each.
pub(crate) struct Meters {
    pub(crate) frames_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) request_seconds: Histogram,
    pub(crate) event_seconds: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            frames_in: counter!(FRAMES_IN),
            frames_out: counter!(FRAMES_OUT),
            request_seconds: histogram!(REQUEST_SECONDS),
            event_seconds: histogram!(EVENT_SECONDS),
        }
    }
}

/// One open connection, as long as it lives.
#[derive(Debug)]
pub(crate) struct Connection(());

impl Connection {
    pub(crate) fn open() -> Self {
        gauge!(CONNECTIONS).increment(1.0);
        Self(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        gauge!(CONNECTIONS).decrement(1.0);
    }
}

pub(crate) fn closed(code: u16) {
    counter!(CLOSED, "code" => code.to_string()).increment(1);
}

pub(crate) fn refused(status: u16) {
    counter!(REFUSED, "status" => status.to_string()).increment(1);
}

pub(crate) fn attach_took(seconds: f64) {
    histogram!(ATTACH_SECONDS).record(seconds);
}

pub(crate) fn timed_out() {
    counter!(TIMEOUTS).increment(1);
}

pub(crate) fn tls_failed() {
    counter!(TLS_ERRORS).increment(1);
}

pub(crate) fn key_fetch_failed() {
    counter!(KEY_FETCH_ERRORS).increment(1);
}

pub(crate) fn reattached() {
    counter!(REATTACHED).increment(1);
}

pub(crate) fn signal_lost() {
    counter!(SIGNALS_LOST).increment(1);
}

pub(crate) fn append_failed() {
    counter!(APPEND_ERRORS).increment(1);
}
