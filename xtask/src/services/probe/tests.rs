use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::{cql, host_port, nats};

/// A server for one connection that says `greeting`, then answers whatever comes with one of `answers` after another.
fn server(greeting: &'static [u8], answers: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(greeting).unwrap();
        let mut heard = Vec::new();
        for answer in answers {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            heard.extend(&buffer[..count]);
            stream.write_all(&answer).unwrap();
        }
        heard
    });
    (address, served)
}

fn frame(opcode: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x84, 0, 0, 0, opcode];
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

/// `SELECT release_version FROM system.local` as Cassandra answers it.
fn version_row() -> Vec<u8> {
    let mut body = vec![0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1];
    for text in ["system", "local", "release_version"] {
        body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    }
    body.extend([0, 13, 0, 0, 0, 1, 0, 0, 0, 5]);
    body.extend(b"5.0.5");
    frame(8, &body)
}

#[test]
fn addresses_are_found_in_lists_and_urls() {
    assert_eq!(host_port("nats://127.0.0.1:4333", 4222), "127.0.0.1:4333");
    assert_eq!(
        host_port("tls://me:secret@nats.example,other:1", 4222),
        "nats.example:4222"
    );
    assert_eq!(host_port("10.0.0.1:9043, 10.0.0.2:9043", 9042), "10.0.0.1:9043");
    assert_eq!(host_port("[::1]:9042", 1), "[::1]:9042");
    assert_eq!(host_port("[::1]", 9042), "[::1]:9042");
}

#[test]
fn a_nats_server_is_asked_for_its_jetstream() {
    let answer = "MSG _INBOX.confab 1 13\r\n{\"streams\":3}\r\n";
    let (address, served) = server(
        b"INFO {\"version\":\"2.14.8\",\"jetstream\":true}\r\n",
        vec![answer.into()],
    );
    assert_eq!(
        nats(&address).unwrap(),
        "nats-server 2.14.8, JetStream answers (3 streams)"
    );
    assert!(
        String::from_utf8(served.join().unwrap())
            .unwrap()
            .contains("PUB $JS.API.INFO _INBOX.confab 0\r\n")
    );
}

#[test]
fn a_nats_server_of_no_use_is_refused() {
    let (address, _) = server(b"INFO {\"version\":\"2.14.8\"}\r\n", vec![]);
    assert_eq!(
        nats(&address).unwrap_err().to_string(),
        "nats-server 2.14.8 runs without JetStream"
    );

    let (address, _) = server(b"220 mail\r\n", vec![]);
    assert_eq!(
        nats(&address).unwrap_err().to_string(),
        "it does not greet as a NATS server"
    );

    let answer = "MSG _INBOX.confab 1 9\r\n{\"error\":{\"code\":503}}\r\n";
    let (address, _) = server(
        b"INFO {\"version\":\"2.9.0\",\"jetstream\":true}\r\n",
        vec![answer.into()],
    );
    assert_eq!(
        nats(&address).unwrap_err().to_string(),
        "JetStream says {\"code\":503}"
    );

    let (address, _) = server(
        b"INFO {\"version\":\"2.9.0\",\"jetstream\":true,\"auth_required\":true}\r\n",
        vec![],
    );
    assert_eq!(nats(&address).unwrap(), "nats-server 2.9.0, asks for credentials");
}

#[test]
fn a_database_is_asked_for_a_row() {
    let (address, served) = server(b"", vec![frame(6, &[0, 0]), frame(2, &[]), version_row()]);
    assert_eq!(
        cql(&address).unwrap(),
        "Cassandra, release 5.0.5, answers queries"
    );
    let heard = served.join().unwrap();
    assert_eq!(heard[..9], [4, 0, 0, 0, 5, 0, 0, 0, 0]);
    assert!(heard.ends_with(b"SELECT release_version FROM system.local\0\x01\0"));
}

#[test]
fn a_database_that_is_not_ready_is_refused_with_its_own_words() {
    let error = frame(0, &[&[0, 0, 0x10, 1, 0, 4], b"busy".as_slice()].concat());
    let (address, _) = server(b"", vec![frame(6, &[0, 0]), error]);
    assert_eq!(cql(&address).unwrap_err().to_string(), "it says: busy");

    let supported = frame(6, b"\0\x01\0\x0cSCYLLA_SHARD\0\x01\0\x010");
    let (address, _) = server(b"", vec![supported, frame(3, &[])]);
    assert_eq!(cql(&address).unwrap(), "ScyllaDB, asks for credentials");

    let (address, _) = server(b"", vec![b"HTTP/1.1 400 Bad Request\r\n".to_vec()]);
    assert!(
        cql(&address)
            .unwrap_err()
            .to_string()
            .starts_with("it does not speak version 4")
    );
}
