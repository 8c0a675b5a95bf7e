//! `hookwright tail`: events as they come and as they change.
use std::process::ExitCode;

use anyhow::Context;
use http::Method;
use http_body_util::BodyExt;
use serde_json::Value;

use super::api::{Where, query};
use super::events::line;
use hookwright_terminal::Paint;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only events from this source.
    #[arg(long)]
    source: Option<String>,
    /// Only events of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Only events with a delivery to this destination.
    #[arg(long)]
    destination: Option<String>,
    /// Exit after this many lines.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let pairs = [
        ("source", args.source.clone()),
        ("kind", args.kind.clone()),
        ("destination", args.destination.clone()),
    ];
    let api = host.api()?;
    let paint = Paint::stdout();
    super::block_on(async {
        let path = format!("stream{}", query(&pairs));
        let mut body = api.ask(Method::GET, &path, None).await?.into_body();
        let mut left = args.count.unwrap_or(u64::MAX);
        let mut pending = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the host closed the stream")?;
            pending.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let raw: Vec<u8> = pending.drain(..=end).collect();
                let Some(data) = raw.strip_prefix(b"data: ") else { continue };
                let event: Value = serde_json::from_slice(data).context("a line is no JSON")?;
                super::print(&if json { super::json_line(&event) } else { line(&event, paint) });
                left -= 1;
                if left == 0 {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
