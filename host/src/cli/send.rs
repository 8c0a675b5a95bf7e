//! `hookwright send`: an event for the running host, signed as its provider signs.
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use super::api::reachable;
use hookwright_model::clock::{Clock, random_u64};
use hookwright_model::printable;
use hookwright_signing::{Draft, Part, Sent, Verify, sign_as_provider};

const GITHUB_PUSH: &str = include_str!("../../samples/github-push.json");
const STRIPE_PAID: &str = include_str!("../../samples/stripe-invoice-paid.json");
const STANDARD: &str = include_str!("../../samples/standard.json");

/// How long the host may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A source in the settings.
    source: String,
    /// The event type, as the provider names it. Default: one of the scheme's.
    #[arg(long)]
    kind: Option<String>,
    /// The body. Default: a sample for the source's scheme.
    #[arg(long, conflicts_with = "file")]
    data: Option<String>,
    /// The body, from a file.
    #[arg(long)]
    file: Option<PathBuf>,
    /// An additional header, `name: value`. May be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Send the event this many times, each with an id of its own.
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// Print only the response's body, byte for byte and without escaping: it may affect the terminal.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// A sample of the scheme, or the caller's body, signed as the provider signs.
///
/// # Errors
/// Only the provider can sign.
pub(super) fn sample(
    verify: &Verify,
    kind: Option<&str>,
    body: Option<&[u8]>,
    clock: &Clock,
) -> anyhow::Result<Sent> {
    let id = format!("sample-{:016x}", random_u64());
    let body = body.or_else(|| if kind.is_none() { real(verify) } else { None });
    let draft = Draft { id: &id, at_s: clock.now_ms() / 1_000, kind, body };
    let Some(mut sent) = sign_as_provider(verify, &draft) else {
        bail!("only the provider can sign: scheme `{}` checks with its public key", verify.name());
    };
    let form = matches!(verify, Verify::Preset(scheme) if scheme.preset.signs(Part::TwilioForm));
    let content_type = if form { "application/x-www-form-urlencoded" } else { "application/json" };
    sent.headers.push(("content-type".to_owned(), content_type.to_owned()));
    Ok(sent)
}

/// A body as the provider really sends it.
fn real(verify: &Verify) -> Option<&'static [u8]> {
    match verify.name() {
        "github" => Some(GITHUB_PUSH.as_bytes()),
        "stripe" => Some(STRIPE_PAID.as_bytes()),
        "standard" | "none" | "hmac" | "api-key" | "basic" | "bearer" => Some(STANDARD.as_bytes()),
        _ => None,
    }
}

/// Posts it; the answer's status and body.
pub(super) async fn post(url: &str, sample: &Sent) -> anyhow::Result<(u16, Bytes)> {
    let mut request = match &sample.query {
        Some(query) => Request::post(format!("{url}?{query}")),
        None => Request::post(url),
    };
    for (name, value) in &sample.headers {
        request = request.header(name, value);
    }
    // Without what may be a token.
    let shown = url.rsplit_once("/in/").map_or(url, |(host, _)| host);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = request.body(Full::new(Bytes::from(sample.body.clone())))?;
    let asked = async {
        let answer = client
            .request(request)
            .await
            .with_context(|| format!("can't post to {shown}: is `hookwright serve` running?"))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.context("the answer broke off")?.to_bytes();
        anyhow::Ok((status, body))
    };
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    answered.with_context(|| format!("no answer from {shown} within 30 s"))?
}

pub(super) fn run(config: &Path, json: bool, args: Args) -> anyhow::Result<ExitCode> {
    let config = super::load(config)?;
    let Some(source) = config.sources.get(args.source.as_str()) else {
        let known: Vec<_> = config.sources.keys().map(|name| name.as_str()).collect();
        bail!("the settings have no source `{}`; they have: {}", args.source, known.join(", "));
    };
    let body = match (&args.data, &args.file) {
        (Some(data), _) => Some(Bytes::from(data.clone())),
        (None, Some(file)) => {
            let read = std::fs::read(file);
            Some(read.with_context(|| format!("can't read {}", file.display()))?.into())
        }
        (None, None) => None,
    };
    let scheme = if config.ingress.tls.is_some() { "https" } else { "http" };
    if scheme == "https" {
        bail!("`send` speaks plain HTTP; this host's ingress has TLS: use curl");
    }
    let mut url = format!("{scheme}://{}/in/{}", reachable(config.ingress.listen), args.source);
    if let Some(token) = source.endpoint.tokens.first() {
        let token = std::str::from_utf8(token.expose()).context("a token is plain text")?;
        url = format!("{url}/{token}");
    }
    let extra = args.headers.iter().map(|text| header(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let clock = Clock::system();
    super::block_on(async {
        let mut code = ExitCode::SUCCESS;
        for _ in 0..args.count {
            let kind = args.kind.as_deref();
            let mut sample = sample(&source.endpoint.verify, kind, body.as_deref(), &clock)?;
            sample.headers.extend(extra.iter().cloned());
            let (status, answer) = post(&url, &sample).await?;
            if args.raw {
                super::print_raw(&answer);
            } else {
                super::print(&told(status, &answer, json));
            }
            if !(200..300).contains(&status) {
                code = ExitCode::FAILURE;
            }
        }
        Ok(code)
    })
}

/// The answer in one line. As JSON it is the answer itself, where that is JSON.
fn told(status: u16, answer: &[u8], json: bool) -> String {
    let text = String::from_utf8_lossy(answer);
    if !json {
        return format!("{status} {}\n", printable(text.trim()));
    }
    let document = serde_json::from_slice(answer);
    super::json_line(&document.unwrap_or_else(|_| json!({ "status": status, "text": text })))
}

fn header(text: &str) -> anyhow::Result<(String, String)> {
    let Some((name, value)) = text.split_once(':') else {
        bail!("`{text}` is no header: write `name: value`");
    };
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer was printed as it came, with whatever it did to the terminal.
    #[test]
    fn regression_an_answer_steers_no_terminal_and_json_is_json() {
        let hostile = "ok\n200 \u{1b}]0;owned\u{7}\u{9b}2J";
        assert_eq!(
            told(200, hostile.as_bytes(), false),
            "200 ok\\n200 \\u{1b}]0;owned\\u{7}\\u{9b}2J\n"
        );
        let line = told(200, hostile.as_bytes(), true);
        assert_eq!(line.lines().count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read, json!({ "status": 200, "text": hostile }));
        assert_eq!(told(202, b"{\"id\": \"evt_1\"}", true), "{\"id\":\"evt_1\"}\n");
        assert_eq!(told(200, b"\xff", true), "{\"status\":200,\"text\":\"\u{fffd}\"}\n");
    }
}
