//! Every subject, stream name and token that is spelled towards NATS, and nothing else that could be misspelled.
//!
//! Below the prefix stand `log.<partition>.<epoch>` (JetStream), `signal.<partition>`, `deliver.<gateway>.<user>`, `query` and
//! `announce` (core NATS). The epoch of a log stands in its subject, so that an append meant for another log than the
//! one that is there finds nobody.

use std::fmt::Write as _;

use confab_chat::{GatewayId, Partition, UserId};

/// The queue group of the workers that answer queries.
pub(super) const QUERY_GROUP: &str = "workers";
/// Most bytes of a prefix.
const PREFIX_BYTES: usize = 32;

/// The subjects below one prefix.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    prefix: String,
}

impl Subjects {
    /// Below a prefix, if it is one token that may also stand in the name of a stream.
    pub(super) fn new(prefix: &str) -> Result<Self, String> {
        let fits = (1..=PREFIX_BYTES).contains(&prefix.len());
        if !fits || !prefix.bytes().all(is_plain) {
            return Err(format!(
                "the prefix {prefix:?} is not 1 to {PREFIX_BYTES} letters, digits, hyphens and underscores"
            ));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
        })
    }

    /// The name of a partition's stream.
    pub(super) fn stream(&self, partition: Partition) -> String {
        format!("{}-log-{}", self.prefix, partition.0)
    }

    /// What is appended to a partition's log of one epoch.
    pub(super) fn log(&self, partition: Partition, epoch: u32) -> String {
        format!("{}.log.{}.{epoch}", self.prefix, partition.0)
    }

    /// The epoch in a subject of a partition's log.
    pub(super) fn epoch(&self, partition: Partition, subject: &str) -> Option<u32> {
        let (before, epoch) = subject.rsplit_once('.')?;
        let epoch = epoch.parse().ok().filter(|epoch| *epoch > 0)?;
        let ours = format!("{}.log.{}", self.prefix, partition.0);
        (before == ours && self.log(partition, epoch) == subject).then_some(epoch)
    }

    /// Signals to a partition's owner.
    pub(super) fn signal(&self, partition: Partition) -> String {
        format!("{}.signal.{}", self.prefix, partition.0)
    }

    /// A delivery to a user on a gateway.
    pub(super) fn deliver(&self, gateway: &GatewayId, user: &UserId) -> String {
        let mut subject = format!("{}.deliver.", self.prefix);
        token(&gateway.0, &mut subject);
        subject.push('.');
        token(user.as_str(), &mut subject);
        subject
    }

    /// All deliveries to a gateway.
    pub(super) fn deliveries(&self, gateway: &GatewayId) -> String {
        let mut subject = format!("{}.deliver.", self.prefix);
        token(&gateway.0, &mut subject);
        subject.push_str(".*");
        subject
    }

    /// Questions to any worker.
    pub(super) fn query(&self) -> String {
        format!("{}.query", self.prefix)
    }

    /// What is said to everybody.
    pub(super) fn announce(&self) -> String {
        format!("{}.announce", self.prefix)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Appends any text as one token: letters, digits, hyphens and underscores as they are, every other byte as `=` and two
/// hexadecimal digits, the empty text as `=`. Different texts are different tokens.
fn token(text: &str, subject: &mut String) {
    if text.is_empty() {
        subject.push('=');
    }
    for byte in text.bytes() {
        if is_plain(byte) {
            subject.push(char::from(byte));
        } else {
            let written = write!(subject, "={byte:02X}");
            debug_assert!(written.is_ok(), "a String takes everything");
        }
    }
}

/// The subjects of the JetStream API.
pub(super) mod api {
    pub(in super::super) const ACCOUNT: &str = "$JS.API.INFO";

    pub(in super::super) fn info(stream: &str) -> String {
        format!("$JS.API.STREAM.INFO.{stream}")
    }

    pub(in super::super) fn create(stream: &str) -> String {
        format!("$JS.API.STREAM.CREATE.{stream}")
    }

    pub(in super::super) fn delete(stream: &str) -> String {
        format!("$JS.API.STREAM.DELETE.{stream}")
    }

    pub(in super::super) fn purge(stream: &str) -> String {
        format!("$JS.API.STREAM.PURGE.{stream}")
    }

    pub(in super::super) fn message(stream: &str) -> String {
        format!("$JS.API.STREAM.MSG.GET.{stream}")
    }

    /// Without a name in it: the server names the consumer, and forgets it once nobody asks it for entries any more.
    pub(in super::super) fn create_consumer(stream: &str) -> String {
        format!("$JS.API.CONSUMER.CREATE.{stream}")
    }

    pub(in super::super) fn next(stream: &str, consumer: &str) -> String {
        format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}")
    }
}

/// What the reply subject of a message from a consumer says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Its sequence in the stream.
    pub(super) seq: u64,
    /// When the stream took it, in nanoseconds since the Unix epoch.
    pub(super) nanos: u64,
}

impl Stamp {
    /// Reads `$JS.ACK.<stream>.<consumer>.<times>.<seq>.<consumer's seq>.<nanos>.<pending>`, which may have a domain and an
    /// account before the stream and further tokens at its end.
    pub(super) fn parse(reply: &str) -> Option<Self> {
        let count = reply.split('.').count();
        let skipped = match count {
            9 => 5,
            11.. => 7,
            _ => return None,
        };
        let mut tokens = reply.strip_prefix("$JS.ACK.")?.split('.').skip(skipped - 2);
        let seq = tokens.next()?.parse().ok()?;
        let nanos = tokens.nth(1)?.parse().ok()?;
        Some(Self { seq, nanos })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subjects() -> Subjects {
        Subjects::new("confab").unwrap()
    }

    #[test]
    fn a_logs_subject_names_its_epoch() {
        let (subjects, partition) = (subjects(), Partition(7));
        assert_eq!(subjects.log(partition, 3), "confab.log.7.3");
        assert_eq!(subjects.epoch(partition, "confab.log.7.3"), Some(3));
        let others = [
            "confab.log.8.3",
            "other.log.7.3",
            "confab.log.7.0",
            "confab.log.7.03",
            "confab.log.7.>",
            "confab.log.7",
        ];
        for other in others {
            assert_eq!(subjects.epoch(partition, other), None, "{other}");
        }
    }

    #[test]
    fn a_prefix_is_one_plain_token() {
        for bad in ["", "a.b", "a b", "*", "ä", &"x".repeat(33)] {
            assert!(Subjects::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn both_forms_of_a_reply_subject_are_read() {
        let stamp = Some(Stamp {
            seq: 42,
            nanos: 1_700_000_000_000_000_000,
        });
        let tail = "confab-log-1.Xy12.1.42.7.1700000000000000000.3";
        assert_eq!(Stamp::parse(&format!("$JS.ACK.{tail}")), stamp);
        assert_eq!(Stamp::parse(&format!("$JS.ACK.hub.AbCd.{tail}")), stamp);
        assert_eq!(Stamp::parse(&format!("$JS.ACK.hub.AbCd.{tail}.rnd")), stamp);
        assert_eq!(Stamp::parse("_INBOX.abc"), None);
    }

    proptest! {
        #[test]
        fn a_name_becomes_one_safe_token_and_no_other_name_becomes_the_same(
            one in ".{0,128}", other in ".{0,128}",
        ) {
            let (mut first, mut second) = (String::new(), String::new());
            token(&one, &mut first);
            token(&other, &mut second);
            prop_assert!(!first.is_empty());
            prop_assert!(first.bytes().all(|byte| is_plain(byte) || byte == b'='));
            prop_assert_eq!(one == other, first == second);
        }
    }
}
