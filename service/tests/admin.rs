//! The health endpoint, through its socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use confab_service::{Admin, Health};

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn serves_health_readiness_and_metrics_until_stopped() {
    let health = Health::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = Admin::start(listener, health.clone()).unwrap();
    let address = admin.local_addr();

    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(get(address, "/startupz").starts_with("HTTP/1.1 503 "));
    health.started();
    assert!(get(address, "/startupz").starts_with("HTTP/1.1 200 "));
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 503 "));
    health.set_ready(true);
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 200 "));
    health.set_ready(false);
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 503 "));
    assert!(get(address, "/elsewhere").starts_with("HTTP/1.1 404 "));

    metrics::counter!("confab_test_total").increment(7);
    metrics::histogram!("confab_test_seconds").record(0.002);
    let page = get(address, "/metrics");
    assert!(page.contains("\nconfab_test_total 7\n"), "{page}");
    assert!(
        page.contains("confab_test_seconds_bucket{le=\"0.001\"} 0"),
        "{page}"
    );
    assert!(
        page.contains("confab_test_seconds_bucket{le=\"0.0025\"} 1"),
        "{page}"
    );
    assert!(page.contains("process_resident_memory_bytes"), "{page}");

    let idle = TcpStream::connect(address).unwrap();
    admin.stop();
    drop(idle);
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}
