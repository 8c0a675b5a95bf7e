//! Certificates from files: readable, fitting, and good for a while.
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::finding::{Finding, Findings};
use crate::app;
use hookwright_config::Config;
use hookwright_model::date::http_date;

const ABOUT: &str = "certificates";
/// Warn this long before a certificate expires: time for a person to get a new one.
const SOON: Duration = Duration::from_secs(21 * 86_400);

pub(super) fn examine(found: &mut Findings, config: &Config) {
    let mut files: Vec<(String, &Path)> = Vec::new();
    if let Some(tls) = &config.ingress.tls {
        files.push(("ingress.tls.cert".to_owned(), &tls.cert));
        if let Some(path) = &tls.client_ca {
            files.push(("ingress.tls.client_ca".to_owned(), path));
        }
        if let Err(error) = app::check_tls(config) {
            let cure = "write matching PEM files; a running host keeps the old ones".to_owned();
            found.push(Finding::bad(ABOUT, format!("{error:#}"), cure));
        }
    }
    for (name, to) in &config.destinations {
        let Some(tls) = to.to.post().map(|post| &post.transport.tls) else { continue };
        let chain = tls.identity.as_ref().map(|identity| &identity.chain);
        for (key, pem) in [("ca", tls.ca.as_ref()), ("tls.cert", chain)] {
            let key = format!("destinations.{name}.{key}");
            files.extend(pem.map(|pem| (key, pem.file.as_path())));
        }
    }
    let now = SystemTime::now();
    for (key, path) in files {
        found.push(of_file(&key, path, now));
    }
}

/// The certificate in the file that expires first.
fn of_file(key: &str, path: &Path, now: SystemTime) -> Finding {
    let shown = format!("{} (`{key}`)", path.display());
    let end = match app::certificate_end(path) {
        Ok(end) => end,
        Err(error) => {
            let cure = "it must be a PEM file with certificates that this user may read".to_owned();
            return Finding::bad(ABOUT, format!("`{key}`: {error}"), cure);
        }
    };
    match end.duration_since(now) {
        Err(_) => {
            let cure = "renew it; the host takes the new file at once".to_owned();
            Finding::bad(ABOUT, format!("{shown} is over since {}", date(end)), cure)
        }
        Ok(left) if left < SOON => {
            let days = left.as_secs() / 86_400;
            let what = format!("{shown} ends on {}, in {days} days", date(end));
            let cure = "renew it; the host takes the new file at once".to_owned();
            Finding::warning(ABOUT, what, cure)
        }
        Ok(_) => Finding::fine(ABOUT, format!("{shown} is good until {}", date(end))),
    }
}

/// A time in HTTP's date format, which is readable and in UTC.
fn date(at: SystemTime) -> String {
    http_date(at)
}
