//! Every type that goes over the bus or into the store comes back from its bytes, equal values are equal bytes, and
//! no bytes whatever make the decoder panic.

// Helpers of tests fail the test when something is not as it must be.
#![allow(clippy::expect_used)]

mod support;

use std::fmt::Debug;

use confab_proto::wire::Wire;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestRunner};

use support::strategies;

/// Damage: which byte, what to do there, with what.
type Damage = (usize, u8, u8);

fn damaged(bytes: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, how, value) in damage {
        let at = place % (bytes.len() + 1);
        match how % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, *value),
            2 if at < bytes.len() => bytes[at] ^= value,
            _ if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => {}
        }
    }
    bytes
}

/// What decodes at all is a value like any other.
fn decodes_or_refuses<T: Wire + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = T::decode(bytes) {
        let again = T::decode(&value.encode()).expect("a decoded value encodes to what decodes");
        assert_eq!(again, value);
    }
}

fn holds<T: Wire + PartialEq + Debug + Clone>(values: impl Strategy<Value = T>) {
    let config = Config {
        failure_persistence: None,
        cases: 512,
        ..Config::default()
    };
    let damage = vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..4);
    let garbage = vec(any::<u8>(), 0..64);
    TestRunner::new(config)
        .run(&(values, damage, garbage), |(value, damage, garbage)| {
            let bytes = value.encode();
            let back = T::decode(&bytes).expect("what was encoded decodes");
            assert_eq!(back, value);
            assert_eq!(back.encode(), bytes, "canonical");
            let mut appended = b"before".to_vec();
            value.encode_to(&mut appended);
            assert_eq!(appended, [b"before", &bytes[..]].concat());
            decodes_or_refuses::<T>(&damaged(&bytes, &damage));
            decodes_or_refuses::<T>(&garbage);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

macro_rules! for_every_type {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            holds(strategies::$name());
        }
    )*};
}

for_every_type! {
    log_entry signal to_gateway query answer announcement
    message_row client_id_row head_row roster_row membership_row mark_row inbox_row cursor_row user_row
    checkpoint_row reach_row conversation_head conversation_member mailbox_head version_seen
}
