//! `hookwright ready`: whether the host takes events, for what starts and watches it.
use std::process::ExitCode;

use anyhow::ensure;

use super::api::Where;

pub(super) fn run(host: &Where<'_>, as_json: bool) -> anyhow::Result<ExitCode> {
    let api = host.api()?;
    let ready = super::block_on(api.is_ready())?;
    ensure!(ready, "not ready: it starts or stops, or its store does not write; its log says more");
    super::print(if as_json { "{\"ready\":true}\n" } else { "ready\n" });
    Ok(ExitCode::SUCCESS)
}
