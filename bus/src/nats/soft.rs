//! What is not logged, on core NATS: sent at once or dropped, and asked of whoever is there.
//!
//! A worker's refusal to answer a query comes as a header, so that whoever asked fails at once; so does the server's word
//! that there is no worker.

use std::time::Duration;

use async_nats::client::{PublishErrorKind, Request, RequestErrorKind};
use bytes::Bytes;
use confab_chat::{GatewayId, Partition};
use confab_proto::message::{Announcement, Answer, Query, Signal, ToGateway};
use confab_proto::wire::Wire;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::metrics;
use crate::QueryError;

/// The header in which a worker says why it does not answer.
pub(super) const NO_ANSWER: &str = "Confab-No-Answer";
/// How long a soft message may wait for its turn to be sent.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a worker may keep silent on a query before another is asked too.
const SILENT: Duration = Duration::from_millis(500);
/// How many workers are asked the same query.
const AT_ONCE: usize = 4;
/// How long a message of this process to itself may take, before it is sent again.
const ECHO: Duration = Duration::from_secs(2);

impl Core {
    pub(super) async fn signal(&self, partition: Partition, signal: &Signal) {
        self.send("signal", self.subjects.signal(partition), signal.encode())
            .await;
    }

    pub(super) async fn deliver(&self, gateway: &GatewayId, message: &ToGateway) {
        let subject = self.subjects.deliver(gateway, &message.user);
        self.send("delivery", subject, message.encode()).await;
    }

    pub(super) async fn announce(&self, announcement: &Announcement) {
        self.send("announcement", self.subjects.announce(), announcement.encode())
            .await;
    }

    async fn send(&self, what: &'static str, subject: String, payload: Bytes) {
        let bytes = payload.len();
        let sent = if self.is_connected() {
            timeout(PATIENCE, self.client.publish(subject, payload)).await
        } else {
            return metrics::dropped(what);
        };
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                metrics::dropped(what);
                if error.kind() == PublishErrorKind::MaxPayloadExceeded {
                    tracing::warn!(what, bytes, %error, "a message is too large for NATS and was dropped");
                }
            }
            Err(_) => metrics::dropped(what),
        }
    }

    /// Asks any worker, and where that one keeps silent, another: one that hangs is asked as long as NATS holds it for
    /// connected, and its clients must not wait for it to be missed.
    pub(super) async fn query(&self, query: &Query) -> Result<Answer, QueryError> {
        if !self.is_connected() {
            return Err(QueryError("there is no connection to NATS".to_owned()));
        }
        let payload = query.encode();
        let mut asked = FuturesUnordered::new();
        loop {
            asked.push(self.ask(payload.clone()));
            tokio::select! {
                Some(answer) = asked.next() => return answer,
                () = sleep(SILENT), if asked.len() < AT_ONCE => metrics::asked_again(),
            }
        }
    }

    async fn ask(&self, payload: Bytes) -> Result<Answer, QueryError> {
        let request = Request::new().payload(payload).timeout(None);
        let answer = self.client.send_request(self.subjects.query(), request);
        let answer = self.while_connected(timeout(ANSWER, answer)).await;
        let answer = answer.ok_or_else(|| QueryError("the connection was lost".to_owned()))?;
        let answer = answer.map_err(|_| QueryError(format!("no answer came for {ANSWER:?}")))?;
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => QueryError("there is no worker".to_owned()),
            _ => QueryError(error.to_string()),
        })?;
        let refusal = answer.headers.as_ref().and_then(|headers| headers.get(NO_ANSWER));
        if let Some(why) = refusal {
            return Err(QueryError(why.to_string()));
        }
        Answer::decode(&answer.payload).map_err(|error| {
            metrics::undecodable("answer");
            QueryError(error.to_string())
        })
    }

    /// Waits until the server has taken everything that was sent before, subscriptions too: a message to this process itself
    /// comes back only then.
    pub(super) async fn settled(&self) {
        let inbox = self.client.new_inbox();
        // Either fails only once the client is closed: nothing will be settled any more.
        let Ok(mut echoes) = self.client.subscribe(inbox.clone()).await else {
            return;
        };
        while self.client.publish(inbox.clone(), Bytes::new()).await.is_ok() {
            match timeout(ECHO, echoes.next()).await {
                Ok(_) => return,
                Err(_) => tracing::warn!("NATS does not answer yet"),
            }
        }
    }
}
