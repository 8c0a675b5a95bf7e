//! `hookwright demo`: a host with a source, plugins and a receiver of its own, and one real event through all.
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use base64::Engine;
use serde_json::Value;

use super::api::Api;
use super::show::story;
use crate::app::{App, Setup};
use hookwright_config::Config;
use hookwright_model::clock::{Clock, random_u64};
use hookwright_model::printable;
use hookwright_terminal::Paint;

mod receiver;

/// How long the event may take from post to delivery before the demo says that it failed.
const PATIENCE: Duration = Duration::from_secs(20);
const PLUGINS: [&str; 2] = ["filter", "thin-github"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder for the demo's settings and store.
    #[arg(long, default_value = "hookwright-demo")]
    dir: PathBuf,
    /// The folder with `filter.wasm` and `thin-github.wasm`. Without it the demo uses no plugins.
    #[arg(long)]
    plugins: Option<PathBuf>,
    /// Exit once the event is delivered.
    #[arg(long)]
    once: bool,
    /// Start of the measured time, in seconds since 1970: `make run` passes its own start, so that the
    /// reported time to the delivery includes the build.
    #[arg(long, hide = true, value_name = "SECONDS")]
    since: Option<u64>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let log = hookwright_telemetry::install(hookwright_telemetry::Format::Text, "warn")?;
    let metrics = hookwright_model::metrics::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let key = prepare(&args)?;
        let mut receiver = receiver::Receiver::start(&key).await?;
        let path = args.dir.join("hookwright.toml");
        let with_plugins = args.plugins.is_some();
        let text = settings(free(8080)?, free(8081)?, receiver.address, with_plugins);
        std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
        // Nothing is read again on SIGHUP, so that a closed terminal ends the demo.
        let compiler = Some(hookwright_plugins::Compiler::this_program()?);
        let setup = Setup {
            metrics: Some(metrics),
            settings: None,
            compiler,
            log: Some(log.levels.clone()),
        };
        let mut config = super::load(&path)?;
        let app = App::start(config.clone(), setup).await?;
        (config.ingress.listen, config.admin.listen) = (app.ingress_address(), app.admin_address());
        if let Err(error) = tell(&config, &mut receiver).await {
            app.stop().await;
            return Err(error);
        }
        if let Some(since) = args.since {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let waited = now.saturating_sub(since);
            super::print(&format!("\nFrom `make run` to the delivered event: {waited} s\n"));
        }
        if args.once {
            let clean = app.stop().await;
            return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        super::print(&format!(
            "\nThe host keeps running.\n  console   http://{}/\n  events    http://{}/in/github\n\
             \x20 anything  http://{}/in/bin   any method, any body: it is in the console\n\
             \x20 settings  {path}\nIn another terminal:\n\
             \x20 hookwright --config {path} send github\n  hookwright --config {path} tail\n\
             Ctrl-C ends it.\n",
            app.admin_address(),
            app.ingress_address(),
            app.ingress_address(),
            path = path.display(),
        ));
        let clean = app.run_until_signal().await;
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    });
    runtime.shutdown_timeout(super::serve::LEFTOVERS);
    ended
}

/// Makes the folder, its keys and its plugins; answers the receiver's key.
fn prepare(args: &Args) -> anyhow::Result<String> {
    let plugins = args.dir.join("plugins");
    std::fs::create_dir_all(&plugins)
        .with_context(|| format!("can't make {}", plugins.display()))?;
    for name in PLUGINS {
        let file = format!("{name}.wasm");
        if let Some(from) = &args.plugins {
            let from = from.join(&file);
            std::fs::copy(&from, plugins.join(&file)).with_context(|| {
                format!("can't copy {}: build it with `hookwright plugin build`", from.display())
            })?;
        }
    }
    let random: Vec<u8> = (0..4).flat_map(|_| random_u64().to_le_bytes()).collect();
    let key = format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(random));
    write_key(&args.dir.join("receiver.key"), &key)?;
    write_key(
        &args.dir.join("github.key"),
        &format!("{:016x}{:016x}", random_u64(), random_u64()),
    )?;
    Ok(key)
}

fn write_key(path: &Path, key: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = opened.with_context(|| format!("can't write {}", path.display()))?;
    Ok(file.write_all(key.as_bytes())?)
}

/// The default port, or a free one where it is taken: the settings name it, so that the
/// commands that the demo prints find the host.
fn free(port: u16) -> anyhow::Result<SocketAddr> {
    let wanted = SocketAddr::from(([127, 0, 0, 1], port));
    if TcpListener::bind(wanted).is_ok() {
        return Ok(wanted);
    }
    let free = TcpListener::bind((wanted.ip(), 0)).and_then(|listener| listener.local_addr());
    free.context("no port of 127.0.0.1 is free")
}

fn settings(
    ingress: SocketAddr,
    admin: SocketAddr,
    receiver: SocketAddr,
    with_plugins: bool,
) -> String {
    let plugins = match with_plugins {
        true => PLUGINS.map(|name| format!("\"{name}\"")).join(", "),
        false => String::new(),
    };
    let mut text = format!(
        "# The demo's settings; written again each time it starts.\n\
         [ingress]\nlisten = \"{ingress}\"\n\n[admin]\nlisten = \"{admin}\"\n\n[log]\nlevel = \"warn\"\n\n\
         # Captures anything.\n[sources.bin]\nbin = true\n\n\
         [sources.github]\nverify = {{ scheme = \"github\", secrets = [\"file:github.key\"] }}\n\
         plugins = [{plugins}]\ndestinations = [\"receiver\"]\n\n\
         [destinations.receiver]\nurl = \"http://{receiver}/hooks\"\nallow_private = true\n\
         sign = {{ scheme = \"standard\", secrets = [\"file:receiver.key\"] }}\n"
    );
    if with_plugins {
        text.push_str(
            "\n# Only pushes go on.\n[plugins.filter]\n\
             config = { keep = [{ field = \"kind\", equals = \"push\" }] }\n\n\
             # The thin part of GitHub's large event.\n[plugins.thin-github]\n\
             headers = [\"x-github-event\"]\n",
        );
    }
    text
}

/// Sends the event and prints what happened to it.
async fn tell(config: &Config, receiver: &mut receiver::Receiver) -> anyhow::Result<()> {
    let source = config.sources.get("github").context("the demo's settings have a source")?;
    let sample = super::send::sample(&source.endpoint.verify, None, None, &Clock::system())?;
    let url = format!("http://{}/in/github", config.ingress.listen);
    super::print(&format!(
        "A GitHub `push` event of {} bytes, signed, is posted to {url}\n",
        sample.body.len()
    ));
    let (status, answer) = super::send::post(&url, &sample).await?;
    let text = printable(&String::from_utf8_lossy(&answer));
    super::print(&format!("  answered {status} {text}\n"));
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let Some(id) = answer["id"].as_str() else { bail!("the host did not accept the event") };
    let arrived = tokio::time::timeout(PATIENCE, receiver.arrived(id)).await;
    let delivery = arrived.context("the event did not arrive within 20 s")?;
    super::print(&format!("The receiver got it, signature {}:\n", delivery.signature));
    for (name, value) in &delivery.headers {
        super::print(&format!("  {name}: {}\n", printable(value)));
    }
    super::print(&format!(
        "\n  {}\n\nWhat the host wrote down (`hookwright show {id}`):\n",
        delivery.body
    ));
    let api = Api::new(config);
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            let event = api.get(&format!("events/{id}")).await?;
            if event["deliveries"][0]["state"] == "delivered" {
                return anyhow::Ok(story(&event, Paint::stdout()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    super::print(&told.await.context("the delivery was not recorded within 20 s")??);
    Ok(())
}
