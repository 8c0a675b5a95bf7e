//! The targets of log lines: `hookwright::delivery::lane`, as users know them from lines and write them in filters.
//!
//! The host is several crates, so the compiler calls the same module `hookwright_delivery::lane`. Which crate a module is in
//! may change with any release; the public names may not. So filters are matched against public names only, and lines show
//! them.
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use parking_lot::RwLock;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_core::callsite::Identifier;
use tracing_core::field::FieldSet;
use tracing_core::metadata::Kind;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::{Context, Layer};

/// What the names of the host's other crates begin with.
const CRATE: &str = "hookwright_";

/// Modules whose public name is not the one of their crate, a module before the crate that it is in.
const NAMES: [(&str, &str); 10] = [
    ("hookwright_admin::retention", "hookwright::retention"),
    ("hookwright_delivery::attempt::settle", "hookwright::delivery::attempt"),
    ("hookwright_delivery::attempt::together", "hookwright::delivery::together"),
    ("hookwright_delivery::dispatch", "hookwright::delivery::lane"),
    ("hookwright_intake::http", "hookwright::ingress"),
    ("hookwright_intake", "hookwright::ingress"),
    ("hookwright_model::tasks", "hookwright::tasks"),
    ("hookwright_routing::run", "hookwright::routing::pipeline"),
    ("hookwright_store_embedded", "hookwright::store::embedded"),
    ("hookwright_telemetry::traces", "hookwright::traces"),
];

/// The public name of a target; targets of other crates and those that are written out, as `plugin`, stay.
pub(super) fn public(target: &str) -> Cow<'_, str> {
    let Some(rest) = target.strip_prefix(CRATE) else { return Cow::Borrowed(target) };
    for (module, name) in NAMES {
        let below = target.strip_prefix(module);
        if let Some(below) = below.filter(|below| below.is_empty() || below.starts_with("::")) {
            return Cow::Owned(format!("{name}{below}"));
        }
    }
    Cow::Owned(format!("hookwright::{rest}"))
}

/// A filter that sees the public names of targets.
pub(super) struct PublicTargets(pub(super) EnvFilter);

impl<S: Subscriber> Layer<S> for PublicTargets {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        Layer::<S>::register_callsite(&self.0, renamed(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.enabled(registered(metadata).unwrap_or(metadata), context)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.0.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.0.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.0.on_close(id, context);
    }
}

/// The callsites of the host's other crates with their public names: some hundreds, each made when it is first met.
type Registered = RwLock<HashMap<Identifier, &'static Metadata<'static>>>;

static REGISTERED: LazyLock<Registered> = LazyLock::new(Registered::default);

/// The callsite's metadata with the public name of its target. It is kept for ever, as callsites are, and made once for
/// each: every change of the filter asks again for all of them.
fn renamed(metadata: &'static Metadata<'static>) -> &'static Metadata<'static> {
    let Cow::Owned(target) = public(metadata.target()) else { return metadata };
    let mut registered = REGISTERED.write();
    registered.entry(metadata.callsite()).or_insert_with(|| {
        let fields: Vec<&'static str> =
            metadata.fields().iter().map(|field| field.name()).collect();
        Box::leak(Box::new(Metadata::new(
            metadata.name(),
            target.leak(),
            *metadata.level(),
            metadata.file(),
            metadata.line(),
            metadata.module_path(),
            FieldSet::new(fields.leak(), metadata.callsite()),
            if metadata.is_span() { Kind::SPAN } else { Kind::EVENT },
        )))
    })
}

/// As [`renamed`], for a callsite that was registered. Asked for only where a filter depends on spans.
fn registered(metadata: &Metadata<'_>) -> Option<&'static Metadata<'static>> {
    if !metadata.target().starts_with(CRATE) {
        return None;
    }
    REGISTERED.read().get(&metadata.callsite()).copied()
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::testing::Lines;

    #[test]
    fn every_crate_of_the_host_has_the_name_that_its_module_had() {
        for (target, name) in [
            ("hookwright", "hookwright"),
            ("hookwright::app::reload", "hookwright::app::reload"),
            ("hookwright_delivery::lane", "hookwright::delivery::lane"),
            ("hookwright_delivery::dispatch", "hookwright::delivery::lane"),
            ("hookwright_delivery::attempt::settle", "hookwright::delivery::attempt"),
            ("hookwright_plugins", "hookwright::plugins"),
            ("hookwright_store::audit", "hookwright::store::audit"),
            ("hookwright_routing::run", "hookwright::routing::pipeline"),
            ("hookwright_store_embedded", "hookwright::store::embedded"),
            ("hookwright_store_embedded::writer", "hookwright::store::embedded::writer"),
            ("hookwright_intake::keys", "hookwright::ingress::keys"),
            ("hookwright_admin::retention", "hookwright::retention"),
            ("hookwright_admin::retentions", "hookwright::admin::retentions"),
            ("hookwright_model::tasks", "hookwright::tasks"),
            ("hookwright_telemetry::traces::otlp", "hookwright::traces::otlp"),
            ("plugin", "plugin"),
            ("hyper_util::client", "hyper_util::client"),
        ] {
            assert_eq!(public(target), name);
        }
    }

    fn logged(filter: &str) -> String {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry()
            .with(PublicTargets(EnvFilter::new(filter)))
            .with(tracing_subscriber::fmt::layer().with_writer(lines.clone()).with_ansi(false));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "hookwright_delivery::lane", "lane");
            tracing::debug!(target: "hookwright_store_embedded::writer", "writer");
            tracing::debug!(target: "hookwright_store::audit", "audit");
            tracing::debug!(target: "hookwright_intake::keys", attempt = 1, "keys");
            tracing::debug!(target: "hookwright_admin::log", "log");
            tracing::debug!(target: "hookwright_admin::retention", "retention");
            tracing::debug!(target: "hookwright::app", "app");
            tracing::debug_span!(target: "hookwright_routing::lane", "route", source = "a")
                .in_scope(|| tracing::trace!(target: "hookwright_routing::lane", "routed"));
        });
        let text = lines.text();
        let words = text.lines().filter_map(|line| line.rsplit(' ').next());
        words.collect::<Vec<_>>().join(" ")
    }

    /// `info,hookwright::delivery=debug` of the documents filtered nothing since the host became several crates.
    #[test]
    fn regression_a_filter_takes_the_public_names_of_targets() {
        let all = "lane writer audit attempt=1 log retention app";
        for (filter, expected) in [
            ("info", ""),
            ("debug", all),
            ("hookwright=debug", all),
            ("info,hookwright::delivery=debug", "lane"),
            ("info,hookwright::store=debug", "writer audit"),
            ("info,hookwright::store::embedded=debug", "writer"),
            ("info,hookwright::ingress=debug", "attempt=1"),
            ("info,hookwright::ingress[{attempt}]=debug", "attempt=1"),
            ("debug,hookwright::admin=off", "lane writer audit attempt=1 retention app"),
            ("hookwright=debug,hookwright::store=info", "lane attempt=1 log retention app"),
            ("info,[route{source=a}]=trace", "routed"),
            ("info,hookwright::routing[route{source=a}]=trace", "routed"),
            ("info,hookwright::routing[route{source=b}]=trace", ""),
            ("info,hookwright::delivery[route]=trace", ""),
        ] {
            assert_eq!(logged(filter), expected, "{filter}");
        }
    }
}
