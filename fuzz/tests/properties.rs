//! The entry points of the fuzzers on the stable toolchain: on the corpus, and on what is sound but for some damage.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use confab_fuzz::{pack, samples, unpack};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::test_runner::Config;

type Damage = (usize, u8, u8);

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
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

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect()
}

type Target = (&'static str, fn(&[u8]));

#[test]
fn the_corpus_breaks_nothing() {
    let targets: [Target; 4] = [
        ("client_frame", confab_fuzz::client_frame),
        ("wire", confab_fuzz::wire),
        ("state", confab_fuzz::state),
        ("apply", confab_fuzz::apply),
    ];
    for (name, target) in targets {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        corpus.iter().for_each(|bytes| target(bytes));
    }
}

fn config() -> Config {
    Config {
        cases: 2_000,
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_damaged_frame_breaks_nothing(
        nth in 0..samples::FRAMES.len(),
        damage in vec(any::<Damage>(), 0..6),
    ) {
        let frame = samples::FRAMES[nth].as_bytes().to_vec();
        confab_fuzz::client_frame(&damaged(frame, &damage));
    }

    #[test]
    fn damaged_entries_keep_every_promise(
        entries in vec((0..200_usize, 0..3_usize, 0..12_u64, 0..60_u64), 1..60),
        damage in vec(any::<Damage>(), 0..4),
    ) {
        let entries: Vec<_> = entries
            .into_iter()
            .filter_map(|(kind, who, message, id)| samples::entry(kind, who, message, id))
            .collect();
        let bytes = pack(&entries);
        prop_assert_eq!(unpack(&bytes), entries);
        confab_fuzz::apply(&bytes);
        confab_fuzz::apply(&damaged(bytes.clone(), &damage));
        confab_fuzz::wire(&damaged(bytes, &damage));
    }

    #[test]
    fn any_bytes_are_some_state_or_none(bytes in vec(any::<u8>(), 0..64)) {
        confab_fuzz::state(&bytes);
        confab_fuzz::wire(&bytes);
    }
}
