//! `confab health`: whether a running service is well, as an exit code, for a container's health check.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::exit::{Code, Failure, OrFail};
use crate::settings::{AdminListen, Settings};

/// The file of the data directory that says where the health endpoint of the service is.
pub(crate) const ADDRESS_FILE: &str = "admin.address";

/// The health endpoint's usual address.
pub(crate) const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the service that runs with these settings.
pub(crate) fn check(settings: &Settings, path: &str) -> Result<(), Failure> {
    let address = address(settings)?;
    let what = || format!("http://{address}{path}");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).or_fail(Code::Other, what())?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .or_fail(Code::Other, what())?;
    stream
        .set_write_timeout(Some(PATIENCE))
        .or_fail(Code::Other, what())?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .or_fail(Code::Other, what())?;
    let mut answer = String::new();
    stream
        .take(16 * 1024)
        .read_to_string(&mut answer)
        .or_fail(Code::Other, what())?;
    let status = answer.split_whitespace().nth(1).unwrap_or("no status");
    if status == "200" {
        Ok(())
    } else {
        Err(Failure::new(Code::Other, format!("{}: {status}", what())))
    }
}

/// Where its health endpoint is: the address that is set, or the one that the service has written down.
fn address(settings: &Settings) -> Result<SocketAddr, Failure> {
    match settings.admin_listen {
        AdminListen::Off => Err(Failure::new(
            Code::Setting,
            "admin_listen is off: there is nothing to ask",
        )),
        AdminListen::At(address) if address.port() != 0 => Ok(reachable(address)),
        // A process of a cluster has no data directory to write it down in.
        AdminListen::Auto if !settings.is_embedded() => Ok(USUAL),
        AdminListen::At(_) | AdminListen::Auto => {
            let file = settings.data_dir()?.join(ADDRESS_FILE);
            let text = fs::read_to_string(&file);
            let text = text.or_fail(
                Code::Other,
                format_args!("no service runs here: {}", file.display()),
            )?;
            text.trim().parse().or_fail(Code::Other, file.display())
        }
    }
}

/// An address to connect to for one that is listened on: "any address" is this machine.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
