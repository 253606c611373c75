//! Compiles the protobuf files, without `protoc`.

// A build script talks to cargo on its standard output.
#![allow(clippy::print_stdout)]

const FILES: [&str; 7] = [
    "proto/content.proto",
    "proto/delivery.proto",
    "proto/log.proto",
    "proto/query.proto",
    "proto/row.proto",
    "proto/signal.proto",
    "proto/state.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(files)?;
    Ok(())
}
