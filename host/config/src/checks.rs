//! What no section can see by itself: two settings that do not fit each other.
use std::path::PathBuf;
use std::time::Duration;

use super::alerts::OWN_SOURCES;
use super::config::Config;
use super::reader::Section;
use super::tree::{Entry, Table, Value};
use super::unit::{Fault, print_duration, print_size};
use hookwright_model::retry::Policy;
use hookwright_model::{Name, other_protocol};
use hookwright_settings::{Auth, OAuth2};
use hookwright_signing::Verify;

pub(super) fn check(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    listeners(s, tree, config);
    open_sources(s, tree, config);
    plain_sources(s, tree, config);
    client_certificates(s, tree, config);
    body_sizes(s, tree, config);
    memory(s, tree, config);
    unused_plugins(s, tree);
    retry_spans(s, tree, config);
    ports(s, tree, config);
    shared_files(s, tree, config);
    own_sources(s, tree);
}

/// Names that the host's own alerts come from.
fn own_sources(s: &Section<'_, '_>, tree: &Table) {
    for name in OWN_SOURCES {
        if let Some(entry) = find(tree, &["sources", name]) {
            let fault = Fault::new("is the host's own source of alerts", "choose another name");
            s.reader.mistake(&entry.key, &format!("sources.{name}"), fault);
        }
    }
}

fn listeners(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let (ingress, admin) = (config.ingress.listen, config.admin.listen);
    if ingress != admin || ingress.port() == 0 {
        return;
    }
    for section in ["admin", "ingress"] {
        if let Some(entry) = find(tree, &[section, "listen"]) {
            let message = format!("ingress and admin both listen on {admin}");
            let fault = Fault::new(message, "give one of them another port");
            return s.reader.mistake(&entry.node.origin, &format!("{section}.listen"), fault);
        }
    }
}

fn open_sources(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let reachable = !config.ingress.listen.ip().is_loopback();
    for (name, source) in config.sources.iter().filter(|_| reachable) {
        let open = matches!(source.endpoint.verify, Verify::None)
            && source.endpoint.allow.is_empty()
            && source.endpoint.tokens.is_empty()
            && source.endpoint.client.is_none();
        if let (Some(entry), true) = (find(tree, &["sources", name, "verify"]), open) {
            let message = format!("anybody who reaches {} may post", config.ingress.listen);
            let help = "choose a scheme, list the addresses that may post in `allow`, or give the URL `tokens`";
            let path = format!("sources.{name}.verify");
            s.reader.warning(&entry.key, &path, Fault::new(message, help));
        }
    }
}

/// `require_tls` where no request can come encrypted.
fn plain_sources(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let plain = config.ingress.tls.is_none() && config.ingress.proxies.trusted.is_empty();
    for (name, source) in config.sources.iter().filter(|_| plain) {
        let entry = find(tree, &["sources", name, "require_tls"]);
        if let (Some(entry), true) = (entry, source.endpoint.require_tls) {
            let help = "set `[ingress] tls`, or name the proxy that ends TLS in `trusted_proxies`";
            let fault = Fault::new("no request can come over HTTPS: every one is refused", help);
            s.reader.mistake(&entry.node.origin, &format!("sources.{name}.require_tls"), fault);
        }
    }
}

fn client_certificates(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let asked = config.ingress.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    for (name, source) in config.sources.iter().filter(|_| !asked) {
        let entry = find(tree, &["sources", name, "client"]);
        if let (Some(entry), true) = (entry, source.endpoint.client.is_some()) {
            let help = "set `client_ca` in `[ingress] tls`";
            let fault = Fault::new("no client is asked for a certificate", help);
            s.reader.mistake(&entry.key, &format!("sources.{name}.client"), fault);
        }
    }
}

/// An event with its headers must fit one file of the journal, and the queue before it.
fn body_sizes(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let most = config.room_for_body();
    let fault = || {
        let help = format!(
            "at most {} fits: make it smaller, or `store.segment` and `store.queue` larger",
            print_size(most)
        );
        Fault::new("is more than half of what the store can hold at once", help)
    };
    if config.ingress.max_body > most {
        let keys = [["ingress", "max_body"], ["store", "segment"], ["store", "queue"]];
        if let Some(entry) = keys.iter().find_map(|path| find(tree, path)) {
            s.reader.mistake(&entry.node.origin, "ingress.max_body", fault());
        }
    }
    for (name, source) in &config.sources {
        let entry = find(tree, &["sources", name, "max_body"]);
        if let (Some(entry), true) = (entry, source.own_body.is_some_and(|body| body > most)) {
            s.reader.mistake(&entry.node.origin, &format!("sources.{name}.max_body"), fault());
        }
    }
}

/// A body that fits no fair share would be refused for ever, with a 503.
fn memory(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let least = config.largest_body().saturating_mul(6);
    let entry = find(tree, &["ingress", "memory"]);
    if let (Some(entry), true) = (entry, config.ingress.memory.is_some_and(|all| all < least)) {
        let largest = print_size(config.largest_body());
        let help = format!("write `\"{}\"` or more, or make `max_body` smaller", print_size(least));
        let fault = Fault::new(format!("is less than six bodies of {largest}"), help);
        s.reader.mistake(&entry.node.origin, "ingress.memory", fault);
    }
}

fn unused_plugins(s: &Section<'_, '_>, tree: &Table) {
    let Some(Value::Table(plugins)) = find(tree, &["plugins"]).map(|entry| &entry.node.value)
    else {
        return;
    };
    let used = |name: &str| {
        let Some(Value::Table(sources)) = find(tree, &["sources"]).map(|e| &e.node.value) else {
            return false;
        };
        let lists = sources.values().filter_map(|source| match &source.node.value {
            Value::Table(source) => find(source, &["plugins"]),
            _ => None,
        });
        lists.into_iter().any(|list| match &list.node.value {
            Value::List(items) => items.iter().any(|item| item.text() == Some(name)),
            _ => false,
        })
    };
    for (name, entry) in plugins.iter().filter(|(name, _)| !used(name)) {
        let fault = Fault::new("no source uses this plugin", "name it in a source's `plugins`");
        s.reader.warning(&entry.key, &s.path_of(&format!("plugins.{name}")), fault);
    }
}

fn ports(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let urls = config.destinations.iter().flat_map(|(name, destination)| {
        let url = destination.to.url().map(|url| (name, &["url"][..], url));
        let token = match destination.to.post().and_then(|post| post.auth.as_ref()) {
            Some(Auth::OAuth2(OAuth2 { token_url, .. })) => Some(token_url),
            _ => None,
        };
        url.into_iter().chain(token.map(|url| (name, &["auth", "token_url"][..], url)))
    });
    for (name, key, url) in urls {
        let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
        let port = url.port_u16().unwrap_or(default);
        let message = match (&config.delivery.ports, other_protocol(port)) {
            (Some(ports), _) if !ports.contains(&port) => {
                format!("port {port} is not among `delivery.ports`")
            }
            (None, Some(service)) => format!("port {port} is that of {service}"),
            _ => continue,
        };
        if let Some(entry) = find(tree, &[&["destinations", name], key].concat()) {
            let help =
                "correct the port, or name all that destinations may have in `[delivery] ports`";
            let fault = Fault::new(message, help);
            let path = format!("destinations.{name}.{}", key.join("."));
            s.reader.mistake(&entry.node.origin, &path, fault);
        }
    }
}

/// Lines of two destinations in one file lose nothing, but each would turn it
/// over by its own settings: more likely a slip.
fn shared_files(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let mut seen: Vec<(&PathBuf, &Name)> = Vec::new();
    for (name, destination) in &config.destinations {
        let Some(file) = destination.to.file() else { continue };
        let first = seen.iter().find(|(path, _)| **path == file.path);
        match (first, find(tree, &["destinations", name, "file"])) {
            (Some((_, other)), Some(entry)) => {
                let message = format!("`{other}` writes to this file already");
                let fault = Fault::new(message, "give each destination a file of its own");
                let path = format!("destinations.{name}.file");
                s.reader.mistake(&entry.node.origin, &path, fault);
            }
            _ => seen.push((&file.path, name)),
        }
    }
}

fn retry_spans(s: &Section<'_, '_>, tree: &Table, config: &Config) {
    let keep = config.retention.keep;
    for (name, destination) in &config.destinations {
        let span = span(&destination.policy);
        if let (Some(entry), true) = (find(tree, &["destinations", name]), span > keep) {
            let message = format!(
                "its retries may go on for {}, longer than finished events are kept ({})",
                print_duration(Duration::from_secs(span.as_secs())),
                print_duration(keep)
            );
            let help = "lower `attempts` or `cap`, or raise `retention.keep`";
            let path = format!("destinations.{name}.retry");
            s.reader.warning(&entry.key, &path, Fault::new(message, help));
        }
        // What is always too old has no attempt, and nothing else would say so.
        let gathers = destination.batch.as_ref().map_or(Duration::ZERO, |batch| batch.wait);
        let first = destination.policy.first.max(gathers);
        let age = destination.policy.max_age.filter(|age| *age <= first);
        if let (Some(age), Some(entry)) = (age, find(tree, &["destinations", name])) {
            let message = format!(
                "a delivery is given up at its age of {}, and waits for {} before its first attempt",
                print_duration(age),
                print_duration(first)
            );
            let help = "raise `max_age`, or shorten that wait (`first`, `schedule`, `batch.wait`)";
            let path = format!("destinations.{name}.retry.max_age");
            s.reader.warning(&entry.key, &path, Fault::new(message, help));
        }
    }
}

/// From acceptance to the last attempt, at the longest, without the attempts' own time.
fn span(policy: &Policy) -> Duration {
    let (mut wait, cap) = (policy.base.as_secs_f64(), policy.cap.as_secs_f64());
    let mut all = policy.first.as_secs_f64();
    let spread = 1.0 + policy.jitter;
    if policy.schedule.is_empty() {
        for _ in 1..policy.attempts {
            all += wait.min(cap) * spread;
            wait = (wait * policy.factor).min(cap);
        }
    } else {
        all += policy.schedule.iter().map(|wait| wait.as_secs_f64() * spread).sum::<f64>();
    }
    let all = policy.max_age.map_or(all, |age| all.min(age.as_secs_f64()));
    Duration::try_from_secs_f64(all).unwrap_or(Duration::MAX)
}

fn find<'t>(tree: &'t Table, path: &[&str]) -> Option<&'t Entry> {
    let (last, tables) = path.split_last()?;
    let inner = tables.iter().try_fold(tree, |table, key| match &table.get(*key)?.node.value {
        Value::Table(inner) => Some(inner),
        _ => None,
    });
    inner?.get(*last)
}
