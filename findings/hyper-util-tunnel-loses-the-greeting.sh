#!/usr/bin/env bash
# crate hyper-util 0.1.21: client::legacy::connect::proxy::Tunnel, through a proxy's CONNECT to a server that speaks first.
# One would guess: what arrives together with the proxy's answer is the tunnel's first bytes and is read first; any 2xx opens the tunnel, as RFC 9110 says of CONNECT.
# True: the bytes behind the answer's head are thrown away with the buffer: the greeting is gone, and the client waits for it until a time limit, only when the two meet in one segment; a 201 is "unsuccessful". TLS and HTTP hide it, because there the client speaks first. Whoever connects to SMTP, NATS or MySQL through it meets it now and then.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "tunnel"
version = "0.0.0"
edition = "2021"
[dependencies]
hyper-util = { version = "=0.1.21", default-features = false, features = ["client-legacy", "client-proxy", "tokio", "http1"] }
tokio = { version = "1", features = ["net", "rt", "macros", "io-util", "time"] }
tower-service = "0.3"
TOML
cat > src/main.rs <<'RS'
use std::time::Duration;

use hyper_util::client::legacy::connect::{proxy::Tunnel, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_service::Service;

/// What a client gets that connects through a proxy whose answers are `writes`, one after the other.
async fn read_through(writes: &[&str]) -> String {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let serve = async {
        let (mut client, _) = proxy.accept().await.unwrap();
        client.read(&mut [0; 1024]).await.unwrap();
        for bytes in writes {
            client.write_all(bytes.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    };
    let call = async {
        let mut tunnel = Tunnel::new(address.parse().unwrap(), HttpConnector::new());
        match tunnel.call("http://mail.example:25".parse().unwrap()).await {
            Err(error) => error.to_string(),
            Ok(connection) => {
                let (mut connection, mut greeting) = (TokioIo::new(connection), [0; 64]);
                match tokio::time::timeout(Duration::from_secs(2), connection.read(&mut greeting)).await {
                    Ok(count) => String::from_utf8_lossy(&greeting[..count.unwrap()]).trim().to_owned(),
                    Err(_) => "nothing within two seconds".to_owned(),
                }
            }
        }
    };
    tokio::select! { got = call => got, () = serve => "no answer".to_owned() }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (head, greeting) = ("HTTP/1.1 200 OK\r\n\r\n", "220 mail.example ready\r\n");
    let apart = read_through(&[head, greeting]).await;
    let together = read_through(&[&format!("{head}{greeting}")]).await;
    let created = read_through(&["HTTP/1.1 201 Created\r\n\r\n"]).await;
    println!("hyper-util 0.1.21: the greeting after the proxy's answer: {apart}; together with it: {together}; answer 201: {created}");
    let as_stated = apart == greeting.trim() && together.starts_with("nothing") && created == "tunnel error: unsuccessful";
    std::process::exit(if as_stated { 0 } else { 1 });
}
RS
CARGO_TARGET_DIR=$dir/target cargo run --quiet
