//! The shipped alerts, held against what a running host exports: they see the first failure, and end.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use hookwright_tests::{Answer, Host, HostBuilder, Receiver, eventually, hostile};

/// A scrape: each series, as it is written, with its value.
type Scrape = BTreeMap<String, f64>;

/// What a rule looks at the growth of: `name{label="value"}[10m]`.
#[derive(Debug, Clone)]
struct Selector {
    alert: String,
    metric: String,
    matchers: Vec<(String, String, String)>,
}

fn rules() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/alerts.yml");
    std::fs::read_to_string(path).expect("the rules")
}

/// All range selectors of counters, with the alert that each is in.
fn selectors() -> Vec<Selector> {
    let text = rules();
    let mut found = Vec::new();
    for rule in text.split("- alert: ").skip(1) {
        let alert = rule.lines().next().unwrap_or_default().trim().to_owned();
        for (end, _) in rule.match_indices('[') {
            let before = &rule[..end];
            let start = before.rfind("hookwright_").expect("a metric before its range");
            let (metric, labels) =
                before[start..].split_once('{').unwrap_or((&before[start..], ""));
            // Histograms begin with their first sample; a count of theirs alerts nobody by itself.
            if metric.ends_with("_bucket") || !metric.ends_with("_total") {
                continue;
            }
            let matchers = labels.trim_end_matches('}').split(',').filter(|one| !one.is_empty());
            let matchers = matchers.map(|one| {
                let at = one.find(['=', '!']).expect("an operator");
                let (label, rest) = one.split_at(at);
                let value = rest.find('"').expect("a value");
                let (operator, value) = rest.split_at(value);
                (label.to_owned(), operator.to_owned(), value.trim_matches('"').to_owned())
            });
            let matchers = matchers.collect();
            found.push(Selector { alert: alert.clone(), metric: metric.to_owned(), matchers });
        }
    }
    assert!(found.len() >= 10, "{found:?}");
    found
}

fn label<'s>(series: &'s str, name: &str) -> Option<&'s str> {
    let (_, labels) = series.split_once('{')?;
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

impl Selector {
    fn takes(&self, series: &str) -> bool {
        series.split('{').next() == Some(&self.metric)
            && self.matchers.iter().all(|(name, operator, value)| {
                let own = label(series, name).unwrap_or_default();
                let is_one = value.split('|').any(|value| value == own);
                match operator.as_str() {
                    "=" => own == value,
                    "=~" => is_one,
                    "!=" => own != value,
                    "!~" => !is_one,
                    other => panic!("no operator {other}"),
                }
            })
    }

    /// What the series have grown by, by the value of the label.
    fn growth(&self, by: &str, before: &Scrape, after: &Scrape) -> BTreeMap<String, f64> {
        let mut grown = BTreeMap::new();
        for (series, value) in after.iter().filter(|(series, _)| self.takes(series)) {
            // As Prometheus counts: from the first value that it saw.
            let first = before.get(series).unwrap_or(value);
            *grown.entry(label(series, by).unwrap_or_default().to_owned()).or_default() +=
                value - first;
        }
        grown
    }
}

async fn scrape(host: &Host) -> Scrape {
    let answer = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let series = lines.filter_map(|line| line.rsplit_once(' '));
    series.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect()
}

const HOST: &str = "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";

/// New settings, and a reload.
fn change(host: &Host, text: &str) {
    let new = host.dir().join("hookwright.toml.new");
    std::fs::write(&new, format!("{text}{HOST}")).expect("a write");
    std::fs::rename(&new, host.dir().join("hookwright.toml")).expect("a rename");
    host.hang_up();
}

fn url(name: &str, receiver: &Receiver, more: &str) -> String {
    format!("[destinations.{name}]\nurl = \"{}\"\nallow_private = true\n{more}\n", receiver.url())
}

/// Each counter that a rule takes the growth of, for each source and destination.
fn begins(scrape: &Scrape, sources: &[&str], destinations: &[&str]) {
    for selector in selectors() {
        let there: BTreeSet<&str> = scrape
            .keys()
            .filter(|series| selector.takes(series))
            .map(|series| {
                label(series, "destination").or(label(series, "source")).unwrap_or_default()
            })
            .collect();
        assert!(!there.is_empty(), "{}: no series for {selector:?}", selector.alert);
        let by_destination = scrape
            .keys()
            .any(|series| selector.takes(series) && label(series, "destination").is_some());
        let by_source =
            scrape.keys().any(|series| selector.takes(series) && label(series, "source").is_some());
        let wanted = match (by_destination, by_source) {
            (true, _) => destinations,
            (_, true) => sources,
            _ => &[],
        };
        for name in wanted {
            assert!(there.contains(name), "{}: {selector:?} has none of {name}", selector.alert);
        }
    }
}

/// Series began with the first failure, which no `increase` or `rate` sees: the shipped alerts
/// said nothing of the first dead letters. And a healthy file had one that fired for ever.
#[tokio::test(flavor = "multi_thread")]
async fn regression_the_shipped_alerts_see_the_first_failure_and_no_success() {
    let bad = Receiver::scripted(|_, _| Answer::status(500)).await;
    let settings = "[sources.open]\nverify = { scheme = \"none\" }\ndestinations = [\"bad\", \"file\"]\n\
         [sources.signed]\nverify = { scheme = \"github\", secrets = [\"dangerous_plain:secret\"] }\n\
         destinations = [\"file\"]\n\
         [sources.trapped]\nverify = { scheme = \"none\" }\nplugins = [\"p\"]\ndestinations = [\"file\"]\n\
         [plugins.p]\n\
         [destinations.file]\nfile = { path = \"out/events.jsonl\" }\n"
        .to_owned()
        + &url("bad", &bad, "retry = { attempts = 1 }");
    let host = HostBuilder::new(&settings).file("p.wasm", &hostile("trap")).start().await;
    let before = scrape(&host).await;
    begins(&before, &["open", "signed", "trapped"], &["bad", "file"]);

    for source in ["open", "trapped"] {
        let path = format!("/in/{source}");
        let posted = host.client.post(host.ingress(), &path, &[], "{}").await.expect("an answer");
        assert_eq!(posted.status, 202);
    }
    let wrong = [("x-hub-signature-256", "sha256=00"), ("x-github-event", "push")];
    let posted = host.client.post(host.ingress(), "/in/signed", &wrong, "{}").await;
    assert_eq!(posted.expect("an answer").status, 401);
    change(&host, "[sources.open]\nverify = \"nonsense\"\n");
    let fires = |alert: &str, by: &str, subject: &str, after: &Scrape| {
        let all = selectors();
        let first = all.iter().find(|one| one.alert == alert).expect("an alert of that name");
        first.growth(by, &before, after).get(subject).is_some_and(|grown| *grown > 0.0)
    };
    let taken = "hookwright_delivery_attempts_total{destination=\"file\",outcome=\"taken\"}";
    let after = eventually("each alert sees its cause", Duration::from_secs(60), || async {
        let after = scrape(&host).await;
        // The file has its line, too.
        if after[taken] - before[taken] < 1.0 {
            return None;
        }
        let all = [
            ("HookwrightDeadLetters", "destination", "bad"),
            ("HookwrightDestinationFails", "destination", "bad"),
            ("HookwrightSignatureFailures", "source", "signed"),
            ("HookwrightEventsParked", "source", "trapped"),
            ("HookwrightSettingsRefused", "result", "refused"),
        ];
        all.into_iter()
            .all(|(alert, by, subject)| fires(alert, by, subject, &after))
            .then_some(after)
    })
    .await;
    for alert in ["HookwrightDeadLetters", "HookwrightDestinationFails"] {
        assert!(!fires(alert, "destination", "file", &after), "{alert} fires for a healthy file");
    }

    // What a reload brings begins at once, too.
    let more = settings
        + "[sources.late]\nverify = { scheme = \"none\" }\ndestinations = [\"late\"]\n"
        + &url("late", &bad, "retry = { attempts = 1 }");
    change(&host, &more);
    eventually("the new source is there", Duration::from_secs(60), || async {
        let posted = host.client.post(host.ingress(), "/in/late", &[], "x").await.ok()?;
        (posted.status == 202).then_some(())
    })
    .await;
    let all = ["open", "signed", "trapped", "late"];
    begins(&scrape(&host).await, &all, &["bad", "file", "late"]);
}

/// `breaker_open` stayed 1 after a reload while all was delivered, and so did what was told of a
/// destination that is in the settings no more.
#[tokio::test(flavor = "multi_thread")]
async fn regression_gauges_end_with_what_they_tell_of() {
    let bad = Receiver::scripted(|_, _| Answer::status(500)).await;
    let source =
        "[sources.a]\nverify = { scheme = \"none\" }\ndestinations = [\"bad\", \"gone\"]\n";
    let breaker = |wait: &str| format!("breaker = {{ attempts = 1, wait = \"{wait}\" }}");
    let gone = url("gone", &bad, &breaker("4m"));
    let host = HostBuilder::new(&(source.to_owned() + &url("bad", &bad, &breaker("4m")) + &gone))
        .start()
        .await;
    let posted = host.client.post(host.ingress(), "/in/a", &[], "{}").await.expect("an answer");
    assert_eq!(posted.status, 202);
    let open =
        |name: &str| format!("hookwright_destination_breaker_open{{destination=\"{name}\"}}");
    let disabled = "hookwright_destination_disabled{destination=\"gone\"}";
    let shows = |what: &'static str, wanted: Vec<(String, f64)>| {
        let host = &host;
        eventually(what, Duration::from_secs(60), move || {
            let wanted = wanted.clone();
            async move {
                let shown = scrape(host).await;
                wanted.iter().all(|(series, value)| shown.get(series) == Some(value)).then_some(())
            }
        })
    };
    shows("both are open", vec![(open("bad"), 1.0), (open("gone"), 1.0)]).await;
    let path = "/api/v1/destinations/gone/disable";
    let answer = host.client.post(host.admin(), path, &[], "").await.expect("an answer");
    assert_eq!(answer.status, 200);
    shows("one is disabled", vec![(disabled.to_owned(), 1.0)]).await;
    let source = source.replace(", \"gone\"", "");
    change(&host, &(source + &url("bad", &bad, &breaker("3m"))));
    let all = vec![(open("bad"), 0.0), (open("gone"), 0.0), (disabled.to_owned(), 0.0)];
    shows("a new breaker is closed, and nothing is told of what is gone", all).await;
    assert_eq!(scrape(&host).await["hookwright_delivery_backlog{destination=\"gone\"}"], 1.0);
}
