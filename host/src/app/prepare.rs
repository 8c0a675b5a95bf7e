//! What is made of the settings before anything runs: by `serve`, by a reload and by `check`, so that they find the same mistakes.
use std::collections::HashMap;

use super::{host_key, options, traces};
use hookwright_config::{Config, Mistake, Mistakes};
use hookwright_delivery::Problem;
use hookwright_egress::SetupError;
use hookwright_model::Name;
use hookwright_settings::Destination;

/// All of it that can't be used, in one go, is what [`prepare`] answers otherwise.
pub(super) struct Prepared {
    /// Of the ingress.
    pub(super) tls: Option<hookwright_server::Tls>,
    pub(super) destinations: HashMap<Name, Destination>,
}

/// Mistakes that only show where the settings are put to use: in certificates,
/// keys, and what a client is made of. Reads files, so it blocks.
///
/// # Errors
/// All of them, with their places.
pub fn try_settings(config: &Config) -> Result<(), Mistakes> {
    prepare(config).map(drop)
}

/// Reads every file that is used later, and makes what is made of it.
pub(super) fn prepare(config: &Config) -> Result<Prepared, Mistakes> {
    let mut mistakes = Vec::new();
    let tls = options::tls(config).unwrap_or_else(|error| {
        mistakes.push(tls_mistake(config, &error));
        None
    });
    let egress = hookwright_delivery::Trial::default();
    let destinations = options::destinations(config);
    for (name, destination) in &destinations {
        let wrong = |key: &str, message: String, help: &str| {
            let key = match key {
                "" => format!("destinations.{name}"),
                key => format!("destinations.{name}.{key}"),
            };
            config.written.mistake_at(&key, message, help.to_owned())
        };
        match egress.make(name, destination) {
            Err(Problem::Client(SetupError::Ca(why))) => mistakes.push(wrong(
                "ca",
                format!("can't be used: {why}"),
                "it is a PEM file with the certificates that are trusted",
            )),
            Err(Problem::Client(SetupError::Identity(why))) => mistakes.push(wrong(
                "tls.cert",
                format!("can't be used: {why}"),
                "`tls.cert` is a PEM file with the chain, own certificate first, and \
                 `tls.key` its key in PEM, without a passphrase",
            )),
            Err(problem) => mistakes.push(wrong("", problem.to_string(), "mend it")),
            Ok(()) => {}
        }
    }
    if let Some(Err(error)) = config.traces.as_ref().map(traces::client) {
        let help = "name the collector, `http://127.0.0.1:4318/v1/traces` for example";
        let mistake = config.written.mistake_at("traces.endpoint", error.to_string(), help.into());
        mistakes.push(mistake);
    }
    if let Err(error) = host_key::look(config) {
        let help = "check the folder and its permissions".to_owned();
        mistakes.push(config.written.mistake_at("data_dir", format!("{error:#}"), help));
    }
    match mistakes.is_empty() {
        true => Ok(Prepared { tls, destinations }),
        false => Err(mistakes.into_iter().collect()),
    }
}

fn tls_mistake(config: &Config, error: &hookwright_server::TlsError) -> Mistake {
    let tls = config.ingress.tls.as_ref();
    let of = |key: &str, file: Option<&std::path::PathBuf>| {
        let own = file.is_some_and(|file| error.path() == Some(file.as_path()));
        own.then(|| format!("ingress.tls.{key}"))
    };
    let key = tls.and_then(|tls| {
        let pair = of("cert", Some(&tls.cert)).or_else(|| of("key", Some(&tls.key)));
        pair.or_else(|| of("client_ca", tls.client_ca.as_ref()))
    });
    let key = key.unwrap_or_else(|| "ingress.tls".to_owned());
    let help = "`openssl x509 -in CERT -noout -text` and `openssl pkey -in KEY -noout` tell more";
    config.written.mistake_at(&key, error.to_string(), help.to_owned())
}
