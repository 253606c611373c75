//! Connecting: what is made, what is checked, and what the errors say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Config;
use confab_bus::nats::{ConnectError, Credentials, Nats, NatsOptions, TlsFiles};
use confab_bus::{AppendError, Bus};
use confab_chat::Partition;
use futures_util::future::join_all;

use crate::fake::{Fake, Wrong};
use crate::harness::{Installation, P, append, command, now, server, soon};

/// Of a user that exists nowhere.
const SEED: &str = "SUANQDPB2RUOE4ETUA26CNX7FUKE5ZZKFCQIIW63OX225F2CO7UEXTM7ZY";

async fn refused(options: NatsOptions) -> ConnectError {
    soon("an error", Nats::connect(options)).await.unwrap_err()
}

fn at(address: &str) -> NatsOptions {
    NatsOptions::new(vec![address.to_owned()], Arc::new(now))
}

#[tokio::test]
async fn many_processes_may_make_the_streams_at_once() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let connecting = (0..8).map(|_| Nats::connect(installation.options()));
    let buses: Vec<Nats> = join_all(connecting)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for (n, bus) in (1..).zip(&buses) {
        assert_eq!(append(bus, &n.to_string()).await.seq, n);
    }
    let config = installation.stream(P).await.cached_info().config.clone();
    assert_eq!(config.subjects, [format!("{}.log.0.1", installation.prefix)]);
    assert!(config.deny_delete && !config.deny_purge && config.max_bytes == 4 << 20);
}

#[tokio::test]
async fn a_stream_that_differs_is_refused_by_name_and_left_as_it_is() {
    let Some(installation) = Installation::new() else {
        return;
    };
    installation.connect().await;
    let options = |change: fn(&mut NatsOptions)| {
        let mut options = installation.options();
        change(&mut options);
        options
    };
    let cases = [
        (
            options(|it| it.max_bytes = 5 << 20),
            "max_bytes",
            "4194304",
            "5242880",
        ),
        (
            options(|it| it.max_age = Duration::from_secs(7200)),
            "max_age",
            "259200 s",
            "7200 s",
        ),
        (options(|it| it.replicas = 3), "replicas", "1", "3"),
        (
            options(|it| it.partitions = 2),
            "partitions",
            "Confab's log, partition 0 of 4",
            "Confab's log, partition 0 of 2",
        ),
    ];
    for (options, field, found, wanted) in cases {
        let error = refused(options).await;
        let ConnectError::Differs(difference) = &error else {
            panic!("{error}")
        };
        assert_eq!(
            (
                difference.partition,
                difference.field,
                difference.found.as_str(),
                difference.wanted.as_str()
            ),
            (P, field, found, wanted)
        );
        assert!(error.to_string().contains(&difference.stream), "{error}");
    }
    // It still is as it was.
    installation.connect().await;
}

#[tokio::test]
async fn a_stream_changed_by_hand_is_found_and_can_be_looked_into() {
    let Some(installation) = Installation::new() else {
        return;
    };
    installation.connect().await;
    let config = installation
        .stream(Partition(2))
        .await
        .cached_info()
        .config
        .clone();
    let changed = Config {
        allow_rollup: true,
        subjects: vec![format!("{}.log.>", installation.prefix)],
        ..config
    };
    installation.delete_stream(P).await;
    for partition in [1, 3] {
        installation.delete_stream(Partition(partition)).await;
    }
    installation
        .jetstream()
        .await
        .update_stream(changed)
        .await
        .unwrap();
    // Its subjects overlap with those of the one that is missing.
    let error = refused(installation.options()).await;
    assert!(matches!(error, ConnectError::JetStream { .. }), "{error}");

    let bus = Nats::connect_unchecked(installation.options()).await.unwrap();
    let inspection = bus.inspect().await.unwrap();
    assert!(inspection.max_payload > 0 && inspection.jetstream.is_ok());
    assert!(
        inspection.clock_ahead.unwrap().unsigned_abs() <= 5000,
        "{inspection:?}"
    );
    let found: Vec<_> = inspection
        .partitions
        .iter()
        .map(|found| found.found.clone().unwrap())
        .collect();
    assert_eq!(
        found.iter().map(Option::is_some).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    let stream = found[2].as_ref().unwrap();
    let differs: Vec<_> = stream
        .differences
        .iter()
        .map(|difference| difference.field)
        .collect();
    assert_eq!(
        (stream.epoch, differs),
        (None, vec!["subjects", "allow_rollup_hdrs"])
    );
}

#[tokio::test]
async fn the_errors_say_what_is_wrong() {
    let Some(server) = server() else { return };
    let nobody = refused(at("nats://127.0.0.1:1")).await;
    assert!(matches!(nobody, ConnectError::Unreachable { .. }), "{nobody}");
    let address = refused(at("nats://ann:s3cret@127.0.0.1:1")).await.to_string();
    assert!(!address.contains("s3cret"), "{address}");
    let plain = refused(NatsOptions {
        tls: TlsFiles {
            required: true,
            ..TlsFiles::default()
        },
        ..at(&server)
    })
    .await;
    assert!(matches!(plain, ConnectError::Tls { .. }), "{plain}");
    let missing = PathBuf::from("/nowhere/there/is.creds");
    let file = refused(NatsOptions {
        credentials: Credentials::CredsFile(missing),
        ..at(&server)
    })
    .await;
    assert!(file.to_string().contains("/nowhere/there/is.creds"), "{file}");
    for settings in [
        NatsOptions {
            prefix: "a.b".to_owned(),
            ..at(&server)
        },
        NatsOptions {
            partitions: 0,
            ..at(&server)
        },
        NatsOptions::new(Vec::new(), Arc::new(now)),
    ] {
        let error = refused(settings).await;
        assert!(matches!(error, ConnectError::Settings(_)), "{error}");
    }
}

#[tokio::test]
async fn servers_that_will_not_do_are_named() {
    let Some(_) = server() else { return };
    let old = Fake::start(Wrong::Version).await;
    let error = refused(at(&old.address)).await;
    assert!(
        matches!(&error, ConnectError::TooOld { version, .. } if version == "2.8.4"),
        "{error}"
    );
    let plain = Fake::start(Wrong::NoJetStream).await;
    let error = refused(at(&plain.address)).await;
    assert!(
        matches!(&error, ConnectError::NoJetStream { server, .. } if server == "fake"),
        "{error}"
    );
    let closed = Fake::start(Wrong::LetsNobodyIn).await;
    let error = refused(NatsOptions {
        credentials: Credentials::Token("wrong".to_owned()),
        ..at(&closed.address)
    })
    .await;
    assert!(matches!(&error, ConnectError::Credentials { .. }), "{error}");
}

#[tokio::test]
async fn more_replicas_than_servers_are_refused_with_a_hint() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let error = refused(NatsOptions {
        replicas: 5,
        ..installation.options()
    })
    .await;
    assert!(
        matches!(error, ConnectError::Replicas { replicas: 5, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("--log-replicas 1"), "{error}");
}

#[tokio::test]
async fn what_is_closed_takes_and_gives_nothing_more() {
    let Some(installation) = Installation::new() else {
        return;
    };
    let bus = installation.connect().await;
    let mut end = bus
        .join_as_gateway(&confab_chat::GatewayId("gateway".into()))
        .await;
    append(&bus, "1").await;
    bus.close().await;
    assert!(!bus.is_connected());
    let late = bus.append(P, command("2", 1)).await;
    assert!(matches!(late, Err(AppendError::Refused(_))), "{late:?}");
    assert_eq!(soon("the end", end.deliveries.recv()).await, None);
    assert_eq!(installation.stream(P).await.cached_info().state.messages, 1);
}

#[tokio::test]
async fn credentials_of_every_kind_are_shown_to_the_server() {
    let Some(_) = server() else { return };
    let fake = Fake::start(Wrong::LetsNobodyIn).await;
    let files = tempfile::tempdir().unwrap();
    let (seed, creds) = (files.path().join("seed"), files.path().join("creds"));
    std::fs::write(&seed, format!("{SEED}\n")).unwrap();
    let block =
        |what: &str, text: &str| format!("-----BEGIN {what}-----\n{text}\n------END {what}------\n\n");
    let both = block("NATS USER JWT", "a.jwt.signature") + &block("USER NKEY SEED", SEED);
    std::fs::write(&creds, both).unwrap();
    let shown = async |credentials| {
        let error = refused(NatsOptions {
            credentials,
            ..at(&fake.address)
        })
        .await;
        assert!(matches!(error, ConnectError::Credentials { .. }), "{error}");
        assert!(
            !error.to_string().contains("s3cret") && !error.to_string().contains(SEED),
            "{error}"
        );
        fake.said()
    };
    let said = shown(Credentials::UserPassword {
        user: "ann".to_owned(),
        password: "s3cret".to_owned(),
    })
    .await;
    assert_eq!((&said["user"], &said["pass"]), (&"ann".into(), &"s3cret".into()));
    let said = shown(Credentials::Token("s3cret".to_owned())).await;
    assert_eq!(said["auth_token"], "s3cret");
    let said = shown(Credentials::NkeySeedFile(seed)).await;
    assert!(
        said["nkey"].as_str().unwrap().starts_with('U') && said["sig"].is_string(),
        "{said}"
    );
    let said = shown(Credentials::CredsFile(creds)).await;
    assert!(
        said["jwt"] == "a.jwt.signature" && said["sig"].is_string(),
        "{said}"
    );
}
