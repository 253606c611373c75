//! Databases that do not let us in, or are none.

use std::path::PathBuf;
use std::sync::Arc;

use confab_store::scylla::{ConnectError, CqlTls, Scylla, ScyllaOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::address;

fn options(node: &str) -> ScyllaOptions {
    ScyllaOptions::new(vec![node.to_owned()], Arc::new(|| 1))
}

async fn refusal(options: ScyllaOptions) -> ConnectError {
    Scylla::connect(options).await.unwrap_err()
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = listener.local_addr().unwrap().to_string();
    drop(listener);
    let refused = refusal(options(&node)).await;
    assert!(matches!(refused, ConnectError::Unreachable { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&node), "{refused}");
}

#[tokio::test]
async fn no_such_host() {
    let refused = refusal(options("no-such-host.invalid:9042")).await;
    assert!(matches!(refused, ConnectError::Unreachable { .. }), "{refused:?}");
}

#[tokio::test]
async fn options_that_cannot_be_meant() {
    let node = "127.0.0.1:9042";
    let lacking = [
        ScyllaOptions {
            nodes: Vec::new(),
            ..options(node)
        },
        ScyllaOptions {
            keyspace: "Con-fab".to_owned(),
            ..options(node)
        },
        ScyllaOptions {
            user: Some("ann".to_owned()),
            ..options(node)
        },
        ScyllaOptions {
            tls: Some(CqlTls {
                cert: Some(PathBuf::from("cert.pem")),
                ..CqlTls::default()
            }),
            ..options(node)
        },
    ];
    for options in lacking {
        let refused = refusal(options).await;
        assert!(matches!(refused, ConnectError::Options(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn no_such_datacenter() {
    let Some(node) = address() else {
        return;
    };
    let datacenter = Some("atlantis".to_owned());
    let refused = refusal(ScyllaOptions {
        datacenter,
        ..options(&node)
    })
    .await;
    assert!(matches!(refused, ConnectError::Datacenter(_)), "{refused:?}");
    assert!(
        refused.to_string().contains("there is no datacenter atlantis"),
        "{refused}"
    );
}

#[tokio::test]
async fn no_tls() {
    let with_ca = |ca: &str| CqlTls {
        ca: Some(PathBuf::from(ca)),
        ..CqlTls::default()
    };
    let refused = refusal(ScyllaOptions {
        tls: Some(with_ca("/nowhere/ca.pem")),
        ..options("127.0.0.1:9042")
    })
    .await;
    assert!(
        matches!(&refused, ConnectError::Tls(why) if why.contains("/nowhere/ca.pem")),
        "{refused:?}"
    );

    // A server that speaks CQL and no TLS.
    let Some(node) = address() else {
        return;
    };
    let refused = refusal(ScyllaOptions {
        tls: Some(CqlTls::default()),
        ..options(&node)
    })
    .await;
    assert!(matches!(refused, ConnectError::Tls(_)), "{refused:?}");
}

#[tokio::test]
async fn credentials_that_are_refused() {
    let guard = Guard::bind().await;
    let with = |user: Option<&str>| ScyllaOptions {
        user: user.map(str::to_owned),
        password: user.map(|_| "open sesame".to_owned()),
        ..options(&guard.node)
    };
    for (user, why) in [
        (Some("ann"), "the database refuses the credentials: who is ann?"),
        (
            None,
            "the database refuses the credentials: it wants a user and a password",
        ),
    ] {
        let refused = tokio::select! {
            refused = refusal(with(user)) => refused,
            () = guard.serve() => unreachable!("it serves for ever"),
        };
        assert!(matches!(refused, ConnectError::Credentials(_)), "{refused:?}");
        assert_eq!(refused.to_string(), why);
    }
}

/// The first words of a CQL server that asks for a password and takes none.
struct Guard {
    listener: TcpListener,
    node: String,
}

impl Guard {
    const ERROR: u8 = 0x00;
    const STARTUP: u8 = 0x01;
    const AUTHENTICATE: u8 = 0x03;
    const OPTIONS: u8 = 0x05;
    const SUPPORTED: u8 = 0x06;
    const AUTH_RESPONSE: u8 = 0x0f;
    const BAD_CREDENTIALS: [u8; 4] = [0, 0, 1, 0];

    async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = listener.local_addr().unwrap().to_string();
        Self { listener, node }
    }

    async fn serve(&self) {
        loop {
            let (stream, _) = self.listener.accept().await.unwrap();
            // It hangs up when it has heard enough.
            let _ = Self::talk(stream).await;
        }
    }

    async fn talk(mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await?;
            let [_, _, stream_high, stream_low, opcode, length @ ..] = head;
            let mut body = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut body).await?;
            let (opcode, body) = match opcode {
                Self::OPTIONS => (Self::SUPPORTED, vec![0, 0]),
                Self::STARTUP => (
                    Self::AUTHENTICATE,
                    text("org.apache.cassandra.auth.PasswordAuthenticator"),
                ),
                Self::AUTH_RESPONSE => (
                    Self::ERROR,
                    [&Self::BAD_CREDENTIALS[..], &text("who is ann?")].concat(),
                ),
                other => panic!("opcode {other} before it was let in"),
            };
            let mut frame = vec![0x84, 0, stream_high, stream_low, opcode];
            frame.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
            frame.extend_from_slice(&body);
            stream.write_all(&frame).await?;
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}
