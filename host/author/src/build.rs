//! `hookwright plugin build`: from a project to a component in the plugins folder.
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::component::{Component, in_project};
use super::language::Project;
use super::toolchain::Toolchain;
use super::workspace::{Plugin, Workspace, group};

/// A small stack: an instance's memory, with the SDK's allocator in it, stays
/// below the MiB that a pool keeps resident.
const FLAGS: &str = "-Clink-arg=-zstack-size=131072";

/// Builds plugins: a cargo project, or one of JavaScript (package.json), TypeScript
/// (a plugin.ts beside it), Python (pyproject.toml) or C (plugin.toml) with the tool
/// that its README names.
///
/// For Rust it uses the active toolchain with the target wasm32-wasip2 or
/// wasm32-unknown-unknown, or one with the standard library's source
/// (rustup's rust-src, Debian's rust-web-src). HOOKWRIGHT_BUILD_WITH
/// (`wasip2`, `unknown`, `source`), HOOKWRIGHT_RUSTC, HOOKWRIGHT_CARGO and
/// HOOKWRIGHT_LINKER choose another.
#[derive(Debug, Clone, clap::Args)]
pub struct BuildArgs {
    /// Folders of projects; a cargo workspace's own folder stands for all plugins in it
    #[arg(default_value = ".", value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Where the components go; `plugins-built` in each PATH otherwise, where the other commands
    /// look for them
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Compile plugins in Rust for a first look, in a fraction of the time: they are larger and
    /// slower, and their digests are not those of a build without this
    #[arg(long)]
    pub quick: bool,
}

/// What was built.
#[derive(Debug, Clone)]
pub(super) struct Built {
    /// By name.
    pub components: Vec<Component>,
    /// Which compiler it was.
    pub toolchain: String,
    pub took: Duration,
}

/// Builds the plugins, puts the components in place and prints what they are.
///
/// # Errors
/// When there is no toolchain for Wasm (the text says which commands install
/// one), when a plugin does not compile, or when a result is not a plugin.
pub(super) fn run(args: &BuildArgs) -> Result<Built> {
    let built = build(args)?;
    for component in &built.components {
        hookwright_terminal::print(&format!("{component}\n"));
    }
    let took = built.took.as_secs_f64();
    hookwright_terminal::print(&format!("built with {} in {took:.1} s\n", built.toolchain));
    Ok(built)
}

fn build(args: &BuildArgs) -> Result<Built> {
    let began = Instant::now();
    let (mut components, mut tools) = (Vec::new(), Vec::new());
    let mut cargo = Vec::new();
    let out_of = |path: &Path| args.out.clone().unwrap_or_else(|| in_project(path));
    for path in &args.paths {
        match Project::find(path)? {
            Some(project) => {
                let made = tempfile::Builder::new().suffix(".wasm").tempfile()?;
                tools.push(project.build(made.path())?);
                components.push(Component::write(&project.name, made.path(), &out_of(path))?);
            }
            None => cargo.push(path.clone()),
        }
    }
    // Those of one workspace are built together where they go to one place.
    let groups: Vec<&[PathBuf]> = match args.out {
        Some(_) => cargo.chunks(cargo.len().max(1)).collect(),
        None => cargo.chunks(1).collect(),
    };
    for paths in groups {
        tools.push(build_rust(paths, &out_of(&paths[0]), args.quick, &mut components)?);
    }
    components.sort_by(|one, other| one.name.cmp(&other.name));
    tools.dedup();
    Ok(Built { components, toolchain: tools.join(", "), took: began.elapsed() })
}

/// Answers which toolchain it was.
fn build_rust(
    paths: &[PathBuf],
    out: &Path,
    quick: bool,
    components: &mut Vec<Component>,
) -> Result<String> {
    let first = paths.first().map_or(Path::new("."), PathBuf::as_path);
    let folder = if first.is_dir() { first } else { Path::new(".") };
    let toolchain = Toolchain::find(folder)?;
    for workspace in group(&toolchain.cargo, paths)? {
        // Not several at once but for a first look: cargo would give all of them the features that
        // one of them asks of a dependency, and a component, with its digest and its speed, would
        // depend on what it was built beside.
        let at_once = if quick { workspace.plugins.len().max(1) } else { 1 };
        for plugins in workspace.plugins.chunks(at_once) {
            let files = compile(&toolchain, &workspace, plugins, quick)?;
            for (plugin, file) in plugins.iter().zip(files) {
                components.push(Component::write(&plugin.name, &file, out)?);
            }
        }
    }
    Ok(toolchain.describe())
}

/// A line of cargo's report, as far as it matters here.
#[derive(Deserialize)]
struct Report {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The profile of a first look, as `--config` defines it: half the compiler's work for code that
/// is run a few times.
const QUICK: &[&str] = &[
    "profile.hookwright-quick.inherits=\"release\"",
    "profile.hookwright-quick.opt-level=1",
    "profile.hookwright-quick.lto=\"off\"",
    "profile.hookwright-quick.codegen-units=16",
    "profile.hookwright-quick.panic=\"abort\"",
    "profile.hookwright-quick.strip=\"debuginfo\"",
    "profile.hookwright-quick.debug=false",
];
/// The settings of a workspace that has no profile `plugin` of its own.
const RELEASE: &[&str] = &["profile.release.panic=\"abort\"", "profile.release.lto=\"fat\""];

/// Runs cargo once for these plugins; answers the linked files in their order.
///
/// # Errors
/// When cargo does not start, when a plugin does not compile, or when one makes no file.
fn compile(
    toolchain: &Toolchain,
    workspace: &Workspace,
    plugins: &[Plugin],
    quick: bool,
) -> Result<Vec<PathBuf>> {
    let mut command = toolchain.cargo(&workspace.root);
    command.arg("build").args(toolchain.arguments());
    command.arg("--message-format=json-render-diagnostics");
    command.arg("--target-dir").arg(&workspace.target);
    let (profile, settings): (_, &[&str]) = match (quick, workspace.has_profile) {
        (true, _) => ("hookwright-quick", QUICK),
        (false, true) => ("plugin", &[]),
        (false, false) => ("release", RELEASE),
    };
    command.args(["--profile", profile]);
    command.args(settings.iter().flat_map(|setting| ["--config", setting]));
    command.args(plugins.iter().flat_map(|plugin| ["--package", &plugin.name]));
    // Also keeps out flags that a project's cargo settings meant for other targets.
    command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS).stdout(Stdio::piped());
    let mut child =
        command.spawn().with_context(|| format!("can't run `{}`", toolchain.cargo.display()))?;
    let output = child.stdout.take().context("cargo's output is a pipe")?;
    let mut linked = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let Ok(report) = serde_json::from_str::<Report>(&line?) else { continue };
        if report.reason == "compiler-artifact" {
            let wasm = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "wasm");
            if let Some(file) = report.filenames.into_iter().find(wasm) {
                linked.insert(report.manifest_path, file);
            }
        }
    }
    let names = || plugins.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>().join(", ");
    if !child.wait()?.success() {
        bail!("{} does not compile; see above", names());
    }
    let file = |plugin: &Plugin| {
        let made = linked.remove(&plugin.manifest);
        made.with_context(|| format!("{} made no .wasm file", plugin.name))
    };
    plugins.iter().map(file).collect()
}
