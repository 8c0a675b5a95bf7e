//! `hookwright token`: makes tokens for the admin API.
use std::process::ExitCode;

use base64::Engine as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a token: prints the token, for the client, and its hash, for the settings.
    New,
}

pub(super) fn run(command: &Command, as_json: bool) -> anyhow::Result<ExitCode> {
    let Command::New = command;
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    let digits = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random);
    let token = format!("hwt_{digits}");
    let hash = format!("sha256:{}", hex::encode(Sha256::digest(&token)));
    let told = match as_json {
        true => super::json_line(&json!({ "token": token, "hash": hash })),
        false => format!(
            "token  {token}\n\
             \x20      for the client, as `authorization: Bearer …` or in HOOKWRIGHT_TOKEN; shown only now\n\
             hash   {hash}\n\
             \x20      for the settings:\n\n\
             [admin.tokens.NAME]\ntoken = \"{hash}\"\nscope = \"read\"   # or replay, admin\n"
        ),
    };
    super::print(&told);
    Ok(ExitCode::SUCCESS)
}
