//! The store's URL: what of it is PostgreSQL's, and what is done in its place.
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::error::OpenError;

/// How long one server of the URL may take to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// How long sent bytes may stay without an answer of the network.
const UNANSWERED: Duration = Duration::from_secs(10);

/// Where the database is.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) config: Config,
    /// Hosts and ports, for people: no user and no password.
    pub(crate) place: String,
}

/// Whether the text is a URL that [`crate::open`] would take, without a connection.
///
/// # Errors
/// What is wrong with it; the password is in no message.
pub fn check(url: &str) -> Result<(), OpenError> {
    parse(url).map(drop)
}

pub(crate) fn parse(url: &str) -> Result<Target, OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Url("it does not begin with postgres://".into()));
    }
    // A certificate is always verified, name and all: what libpq calls `verify-full`.
    let url = url.replace("sslmode=verify-full", "sslmode=require");
    let url = url.replace("sslmode=verify-ca", "sslmode=require");
    let parsed: Result<Config, _> = url.parse();
    let mut config = parsed.map_err(|error| {
        let text = super::error::text(&error);
        OpenError::Url(text.trim_start_matches("invalid configuration: ").to_owned())
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(OpenError::Url("it names no host".into()));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNANSWERED);
    }
    if config.get_application_name().is_none() {
        config.application_name("hookwright");
    }
    config.keepalives_idle(UNANSWERED);
    let place = place(&config);
    Ok(Target { config, place })
}

fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let names: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(at, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(at)),
            Host::Unix(path) => format!("{}:{}", path.display(), port(at)),
        })
        .collect();
    match names.is_empty() {
        true => {
            config.get_hostaddrs().iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
        false => names.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_names_is_told_without_its_secret() {
        let target = parse("postgres://me:secret@a.db,b.db:6000/x?sslmode=verify-full").unwrap();
        assert_eq!(target.place, "a.db:5432,b.db:6000");
        for (url, meant) in [
            ("mysql://me@x/y", "does not begin with"),
            ("postgres:///x", "names no host"),
            ("postgres://me:secret@x/y?sslmode=perhaps", "sslmode"),
            ("postgres://me:secret@x:port/y", "port"),
        ] {
            let error = parse(url).err().unwrap().to_string();
            assert!(error.contains(meant) && !error.contains("secret"), "{error}");
        }
    }
}
