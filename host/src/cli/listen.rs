//! `hookwright listen`: live events of a host, handed on to a service on this machine.
//!
//! The place in the host's order of events is kept here and moves on once an
//! event is dealt with. A lost connection, a restart of the host or a night
//! asleep only make it ask again from there.
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::api::{Api, Http, Refused, Where, client, query};
use hookwright_model::EventId;
use hookwright_model::date::moment;
use hookwright_model::printable;
use hookwright_terminal::Paint;

/// Seconds that the host waits for an event before it answers that there is none.
const WAIT_S: u64 = 20;
/// How long the service may take to handle one event.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// Headers of the original request that are forwarded; the others belong to its connection, or are
/// written again.
const LEFT_OUT: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service's URL, such as `http://localhost:3000/hooks`.
    #[arg(long, value_name = "URL")]
    forward: String,
    /// Only events from this source.
    #[arg(long)]
    source: Option<String>,
    /// Only events of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Only events with a delivery to this destination.
    #[arg(long)]
    destination: Option<String>,
    /// Start after this event, instead of with the next one that arrives.
    #[arg(long, value_name = "EVENT")]
    after: Option<EventId>,
    /// Exit after this many events.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let to: http::Uri = args.forward.parse().context("--forward is no URL")?;
    if !matches!(to.scheme_str(), Some("http" | "https")) || to.authority().is_none() {
        bail!("--forward {}: write it as `http://localhost:3000/hooks`", args.forward);
    }
    let mut listener = Listener {
        api: host.api()?,
        service: client(&args.forward)?,
        to,
        json,
        paint: Paint::stdout(),
        left: args.count.unwrap_or(u64::MAX),
        position: args.after.map(|event| event.to_string()),
        wanted: vec![
            ("source", args.source.clone()),
            ("kind", args.kind.clone()),
            ("destination", args.destination.clone()),
        ],
    };
    super::block_on(async {
        // The first answer tells what is wrong; later ones are waited for.
        if listener.position.is_none() {
            let page = listener.api.get("feed").await?;
            listener.position = page["position"].as_str().map(str::to_owned);
        }
        listener.note(&format!("events go to {}; Ctrl-C ends it", args.forward));
        tokio::select! {
            done = listener.follow() => done?,
            _ = tokio::signal::ctrl_c() => {}
        }
        let position = listener.position.unwrap_or_default();
        if !json {
            super::print(&format!("go on from here with: --after {position}\n"));
        }
        Ok(ExitCode::SUCCESS)
    })
}

struct Listener {
    api: Api,
    service: Http,
    to: http::Uri,
    json: bool,
    paint: Paint,
    /// Events still to be handed on.
    left: u64,
    /// Everything up to this position is handled.
    position: Option<String>,
    wanted: Vec<(&'static str, Option<String>)>,
}

/// An event as the host's API describes it.
struct Told {
    detail: Value,
    body: Bytes,
}

impl Listener {
    async fn follow(&mut self) -> anyhow::Result<()> {
        while self.left > 0 {
            let mut pairs = self.wanted.clone();
            pairs.push(("after", self.position.clone()));
            pairs.push(("wait_s", Some(WAIT_S.to_string())));
            let path = format!("feed{}", query(&pairs));
            let page = self.patiently(async |api| api.get(&path).await).await?;
            for row in page["events"].as_array().into_iter().flatten() {
                let id = row["id"].as_str().context("an event without an id")?.to_owned();
                if let Some(told) = self.fetch(&id).await? {
                    self.hand_on(&id, &told).await?;
                }
                // Dealt with: whatever happens now, it is not told again.
                self.position = Some(id);
                self.left -= 1;
                if self.left == 0 {
                    return Ok(());
                }
            }
            self.position = page["position"].as_str().map(str::to_owned);
        }
        Ok(())
    }

    /// None if it was purged in the meantime.
    async fn fetch(&self, id: &str) -> anyhow::Result<Option<Told>> {
        let told = self.patiently(async |api| {
            let detail = api.get(&format!("events/{id}")).await?;
            let body = api.bytes(&format!("events/{id}/body")).await?;
            Ok(Told { detail, body })
        });
        match told.await {
            Ok(told) => Ok(Some(told)),
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(refused) if refused.status == http::StatusCode::NOT_FOUND => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Asks until there is an answer. A refusal that a retry can't change is an error.
    async fn patiently<T>(
        &self,
        ask: impl AsyncFn(&Api) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match ask(&self.api).await {
                Ok(answer) => {
                    if pause != FIRST_PAUSE {
                        self.note("the host is there again");
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let refused = error.downcast_ref::<Refused>();
            if refused.is_some_and(|refused| refused.status.is_client_error()) {
                return Err(error);
            }
            if pause == FIRST_PAUSE {
                self.note(&self.paint.bad(&format!("{error:#}; trying again")));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Tries until the service has the event: only a request that never reached the service is sent again.
    async fn hand_on(&self, id: &str, told: &Told) -> anyhow::Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            let request = request(&self.to, id, told)?;
            let asked = async {
                let answer = self.service.request(request).await?;
                let status = answer.status().as_u16();
                // Read to its end, so that the connection can be used again.
                let _ = answer.into_body().collect().await;
                Ok::<_, hyper_util::client::legacy::Error>(status)
            };
            let end = match timeout(PATIENCE, asked).await {
                Ok(Ok(status)) => Ok(status),
                Ok(Err(error)) if error.is_connect() => {
                    if pause == FIRST_PAUSE {
                        let why = format!("{} does not answer; waiting for it", self.to);
                        self.note(&self.paint.bad(&why));
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                    continue;
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("no answer within 30 s".to_owned()),
            };
            self.show(id, &told.detail, &end, begun.elapsed());
            return Ok(());
        }
    }

    fn show(&self, id: &str, event: &Value, end: &Result<u16, String>, took: Duration) {
        let text = |key: &str| printable(event[key].as_str().unwrap_or_default());
        let ms = took.as_secs_f64() * 1_000.0;
        if self.json {
            let (status, error) = (end.as_ref().ok(), end.as_ref().err());
            let line = json!({
                "event": id, "source": event["source"], "kind": event["kind"],
                "status": status, "error": error, "took_ms": (ms * 10.0).round() / 10.0,
            });
            return super::print(&super::json_line(&line));
        }
        let end = match end {
            Ok(status) => self.paint.status(u64::from(*status)),
            Err(why) => self.paint.bad(why),
        };
        let at = moment(event["received_ms"].as_u64().unwrap_or_default());
        let name = format!("{} {}", text("source"), text("kind"));
        super::print(&format!("{}  {id}  {name}  {end}  {ms:.0} ms\n", self.paint.dim(&at)));
    }

    fn note(&self, text: &str) {
        // What a program reads stays on standard output.
        super::note(text);
    }
}

/// As it came to the host, with the event's id.
fn request(to: &http::Uri, id: &str, told: &Told) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut request = Request::builder().method(Method::POST).uri(to);
    for pair in told.detail["headers"].as_array().into_iter().flatten() {
        let (Some(name), Some(value)) = (pair[0].as_str(), pair[1].as_str()) else { continue };
        if !LEFT_OUT.contains(&name) && name != "webhook-id" && name != "hookwright-source" {
            request = request.header(name, value);
        }
    }
    let source = told.detail["source"].as_str().unwrap_or_default();
    let request = request.header("webhook-id", id).header("hookwright-source", source);
    Ok(request.body(Full::new(told.body.clone()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_leaves_as_it_came_but_for_its_connection() {
        let told = Told {
            detail: json!({
                "source": "shop",
                "headers": [["host", "a"], ["x-a", "1"], ["x-a", "2"], ["connection", "close"]],
            }),
            body: Bytes::from_static(b"{}"),
        };
        let to = "http://localhost:3000/hooks".parse().unwrap();
        let request = request(&to, "evt_1", &told).unwrap();
        assert_eq!(request.headers().get_all("x-a").iter().count(), 2);
        assert!(request.headers().get("host").is_none());
        assert_eq!(request.headers()["webhook-id"], "evt_1");
        assert_eq!(request.headers()["hookwright-source"], "shop");
    }
}
