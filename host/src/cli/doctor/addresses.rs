//! The addresses that the host listens on: free, or held by a host that answers.
use std::io::ErrorKind;
use std::net::SocketAddr;

use super::super::api::{Api, reachable};
use super::finding::{Finding, Findings};
use hookwright_config::Config;

const ABOUT: &str = "addresses";

pub(super) async fn examine(found: &mut Findings, config: &Config) {
    let listens =
        [("ingress.listen", config.ingress.listen), ("admin.listen", config.admin.listen)];
    let taken: Vec<_> = listens.into_iter().filter(|(_, at)| is_taken(*at)).collect();
    if taken.len() == listens.len() {
        return running(found, config).await;
    }
    for (key, at) in listens {
        match std::net::TcpListener::bind(at) {
            Ok(_) => found.push(Finding::fine(ABOUT, format!("{at} is free for `{key}`"))),
            Err(error) => {
                let cure = match error.kind() {
                    ErrorKind::PermissionDenied => "ports below 1024 need `AmbientCapabilities=CAP_NET_BIND_SERVICE`, or a port above".to_owned(),
                    ErrorKind::AddrInUse => format!("`ss -ltnp` shows who has it; or change `{key}`"),
                    _ => format!("set `{key}` to an address of this machine"),
                };
                found.push(Finding::bad(
                    ABOUT,
                    format!("can't listen on {at} (`{key}`): {error}"),
                    cure,
                ));
            }
        }
    }
}

fn is_taken(at: SocketAddr) -> bool {
    std::net::TcpListener::bind(at).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// Both addresses are in use, possibly by a host with these settings.
async fn running(found: &mut Findings, config: &Config) {
    let at = reachable(config.admin.listen);
    match Api::new(config).get("stats").await {
        Ok(_) => found.push(Finding::fine(ABOUT, format!("a host runs and answers at {at}"))),
        Err(error) => {
            let what = format!("both are taken, and no host answers at {at}: {error:#}");
            let cure =
                "`ss -ltnp` shows who has them; if it is the host, look at its log".to_owned();
            found.push(Finding::bad(ABOUT, what, cure));
        }
    }
}
