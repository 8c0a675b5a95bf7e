//! What a component must be before any of it runs: whole, a plugin, of a known contract, content with its grants.
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wasmparser::{Encoding, Parser, Payload, Validator};
use wasmtime::Engine;

use crate::gate::report::{ConfigIssue, Shape};
use crate::limits::COMPONENT_BYTES;
use crate::text::escape;
use hookwright_model::Digest;

/// The contract's minor versions that this host serves, newest first.
const SERVED: &[&str] = &["0.1"];
const PACKAGE: &str = "hookwright:plugin/";
/// What each plugin of the contract exports.
const EXPORTS: &[&str] = &["lifecycle", "handler"];
/// Interfaces of the contract that need no grant.
const FREE: &[&str] = &["types", "log"];
/// Interfaces of the contract that the settings may grant.
const GRANTS: &[&str] = &["kv", "http", "responder"];
/// Packages of WASI 0.2 that have an empty world behind them.
const EMPTY_WORLD: &[&str] =
    &["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/"];
const NETWORK: &[&str] = &["wasi:sockets/", "wasi:http/"];

/// Imports that a refusal names, and bytes of each name.
const REFUSALS: usize = 10;
const NAME: usize = 100;

/// Why a component may not serve. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum GateError {
    /// There are no bytes.
    #[error("the file is empty: it may still be on its way")]
    Empty,
    /// The file is larger than the limit.
    #[error("the file has {size} bytes; {COMPONENT_BYTES} is the limit for a plugin")]
    TooLarge {
        /// Bytes.
        size: u64,
    },
    /// The bytes are not WebAssembly; the text says what they look like.
    #[error("this is no WebAssembly but {0}: build the plugin with `hookwright plugin build`")]
    NotWasm(String),
    /// A module, not a component.
    #[error(
        "this is a core WebAssembly module, not a component: build it for `wasm32-wasip2`, or with `hookwright plugin build`"
    )]
    CoreModule,
    /// Compiled code, which is never loaded from the plugins directory.
    #[error(
        "this is native code (`.cwasm`), which is never loaded from the plugins directory: put the component itself there"
    )]
    NativeCode,
    /// The component does not parse or validate.
    #[error("the component is broken or only half copied: {0}")]
    Broken(String),
    /// It lacks an export of the contract.
    #[error("the component is no Hookwright plugin: it does not export `{PACKAGE}{0}`")]
    NoPlugin(String),
    /// It was built for a version of the contract that this host does not serve.
    #[error(
        "built for the contract {PACKAGE} {found}, and this Hookwright serves {served}: update Hookwright, or rebuild the plugin with an SDK for one of those"
    )]
    Contract {
        /// The version of the component.
        found: String,
        /// The versions of this host.
        served: String,
    },
    /// It imports what its grants do not allow; one text for each import.
    #[error("{}", .0.join("; "))]
    Imports(Vec<String>),
    /// It imports WASI, so its instances cannot be kept.
    #[error(
        "imports WASI (`{0}`), where clock, chance and handles belong to one event, so its instances can't be kept: build it without WASI, or remove `instances` from its settings"
    )]
    Warm(String),
    /// Its interface differs from the contract.
    #[error("its interface differs from the contract: {0}")]
    Interface(String),
    /// `describe` failed.
    #[error("`describe` failed: {0}")]
    Describe(String),
    /// `init` failed.
    #[error("`init` failed: {0}")]
    Init(String),
    /// The settings do not fit its schema, or `init` refuses them.
    #[error("the plugin refuses its settings: {}", list(.0))]
    Config(Vec<ConfigIssue>),
    /// The compiler failed or could not be run.
    #[error("compiling failed: {0}")]
    Compile(String),
    /// The probe event got no verdict.
    #[error("the probe event failed: {0}")]
    Probe(String),
}

fn list(issues: &[ConfigIssue]) -> String {
    let line = |ConfigIssue { path, message, help }: &ConfigIssue| {
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let help = if help.is_empty() { String::new() } else { format!(" ({help})") };
        format!("{place}{message}{help}")
    };
    issues.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// Reads a component without running it: what it imports, exports and was built for.
///
/// # Errors
/// Where it is not a whole component, or not one for a contract that this host serves.
pub fn inspect(wasm: &[u8]) -> Result<Shape, GateError> {
    is_component(wasm)?;
    Validator::new().validate_all(wasm).map_err(|error| GateError::Broken(error.to_string()))?;
    let (imports, exports) = names(wasm)?;
    let contract = contract(&imports, &exports)?;
    let digest = Digest::new(Sha256::digest(wasm).into());
    Ok(Shape { digest, size: wasm.len() as u64, contract, imports, exports })
}

fn is_component(wasm: &[u8]) -> Result<(), GateError> {
    if wasm.is_empty() {
        return Err(GateError::Empty);
    }
    let size = wasm.len() as u64;
    if size > COMPONENT_BYTES {
        return Err(GateError::TooLarge { size });
    }
    if Parser::is_component(wasm) {
        return Ok(());
    }
    if Parser::is_core_wasm(wasm) {
        return Err(GateError::CoreModule);
    }
    if Engine::detect_precompiled(wasm).is_some() {
        return Err(GateError::NativeCode);
    }
    if b"\0asm".starts_with(&wasm[..wasm.len().min(4)]) {
        return Err(GateError::Broken("it ends in its own header".into()));
    }
    let looks = if wasm.starts_with(b"\x7fELF") {
        "a native program"
    } else if wasm
        .iter()
        .take(256)
        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
    {
        "text"
    } else {
        "something else"
    };
    Err(GateError::NotWasm(looks.into()))
}

/// Names at the component's outer level.
fn names(wasm: &[u8]) -> Result<(Vec<String>, Vec<String>), GateError> {
    let broken = |error: wasmparser::BinaryReaderError| GateError::Broken(error.to_string());
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0u32);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(broken)? {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

/// The contract's version, after a check that the host serves it.
fn contract(imports: &[String], exports: &[String]) -> Result<String, GateError> {
    for name in imports.iter().chain(exports) {
        let Some(version) = name.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@')) else {
            continue;
        };
        if !SERVED.contains(&minor(version.1)) {
            return Err(GateError::Contract { found: version.1.into(), served: SERVED.join(", ") });
        }
    }
    let mut found = "";
    for wanted in EXPORTS {
        found = exports
            .iter()
            .filter_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'))
            .find_map(|(interface, version)| (interface == *wanted).then_some(version))
            .ok_or_else(|| GateError::NoPlugin((*wanted).into()))?;
    }
    Ok(found.to_owned())
}

/// `0.1` of `0.1.7`: below 1.0 the minor version is the one that breaks.
fn minor(version: &str) -> &str {
    match version.match_indices('.').nth(1) {
        Some((end, _)) => &version[..end],
        None => version,
    }
}

/// Holds the imports against the grants, by name.
///
/// # Errors
/// Those that go beyond them, and how many where there are many.
pub(crate) fn check_imports(imports: &[String], grants: &[String]) -> Result<(), GateError> {
    let mut all = imports.iter().filter_map(|name| refusal(name, grants));
    let mut refused: Vec<String> = all.by_ref().take(REFUSALS).collect();
    match all.count() {
        0 => {}
        more => refused.push(format!("and {more} more")),
    }
    if refused.is_empty() { Ok(()) } else { Err(GateError::Imports(refused)) }
}

/// A grant has more behind its name where it says for what: `http:HOST`.
fn covers(grant: &str, interface: &str) -> bool {
    grant.split(':').next() == Some(interface)
}

fn refusal(import: &str, grants: &[String]) -> Option<String> {
    let import = &escape(import, NAME);
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    if let Some(interface) = name.strip_prefix(PACKAGE) {
        return match interface {
            free if FREE.contains(&free) => None,
            granted
                if GRANTS.contains(&granted)
                    && grants.iter().any(|grant| covers(grant, granted)) =>
            {
                None
            }
            other if GRANTS.contains(&other) => {
                let grant = if other == "http" { "http:HOST" } else { other };
                Some(format!(
                    "wants `{import}`, which its grants do not allow: write `grants = [\"{grant}\"]` in its settings if it may"
                ))
            }
            _ => Some(format!("wants `{import}`, which this Hookwright does not offer")),
        };
    }
    if NETWORK.iter().any(|package| name.starts_with(package)) {
        return Some(format!("wants the network (`{name}`), which its grants do not allow"));
    }
    if EMPTY_WORLD.iter().any(|package| name.starts_with(package)) {
        let known = version.starts_with("0.2.");
        return (!known).then(|| format!("wants `{import}`: of WASI only 0.2 is offered"));
    }
    Some(format!("wants `{import}`, which this Hookwright does not offer"))
}

/// Instances are kept only of guests that hold nothing of the host from event to event.
pub(crate) fn check_warm(imports: &[String], warm: bool) -> Result<(), GateError> {
    match imports.iter().find(|name| warm && name.starts_with("wasi:")) {
        Some(name) => Err(GateError::Warm(escape(name, NAME))),
        None => Ok(()),
    }
}

/// Whether WASI must be linked.
pub(crate) fn wants_wasi(imports: &[String]) -> bool {
    imports.iter().any(|name| name.starts_with("wasi:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_component_are_named() {
        assert_eq!(inspect(b""), Err(GateError::Empty));
        assert_eq!(inspect(b"\0asm\x01\0\0\0"), Err(GateError::CoreModule));
        assert_eq!(inspect(b"fn main() {}"), Err(GateError::NotWasm("text".into())));
        assert!(matches!(inspect(b"\x7fELF\x02\x01"), Err(GateError::NotWasm(_))));
        assert!(matches!(inspect(b"\0as"), Err(GateError::Broken(_))));
        assert!(matches!(inspect(b"\0asm\x0d\0\x01\0\x07\x7f"), Err(GateError::Broken(_))));
        assert_eq!(inspect(b"\0asm\x0d\0\x01\0"), Err(GateError::NoPlugin("lifecycle".into())));
    }

    #[test]
    fn imports_are_held_against_the_grants_by_name() {
        let check = |names: &[&str], grants: &[&str]| {
            let own =
                |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            check_imports(&own(names), &own(grants)).map_err(|error| error.to_string())
        };
        let fine = [
            "hookwright:plugin/types@0.1.0",
            "hookwright:plugin/log@0.1.0",
            "wasi:cli/stdout@0.2.6",
        ];
        assert_eq!(check(&fine, &[]), Ok(()));
        let bad =
            ["wasi:sockets/tcp@0.2.0", "hookwright:plugin/kv@0.1.0", "env", "wasi:io/poll@0.3.0"];
        let text = check(&bad, &[]).unwrap_err();
        for part in ["wants the network (`wasi:sockets/tcp`)", "plugin/kv", "`env`", "only 0.2"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.contains("grants = [\"kv\"]"), "the cure: {text}");
        assert_eq!(check(&bad[1..2], &["kv"]), Ok(()));
        let other = check(&["hookwright:plugin/files@0.1.0"], &["files"]).unwrap_err();
        assert!(other.contains("does not offer"), "{other}");
    }

    #[test]
    fn instances_of_a_guest_with_wasi_are_not_kept() {
        let imports = ["wasi:cli/stdout@0.2.6".to_owned()];
        assert_eq!(check_warm(&imports, false), Ok(()));
        let text = check_warm(&imports, true).unwrap_err().to_string();
        assert!(text.contains("wasi:cli/stdout") && text.contains("`instances`"), "{text}");
    }

    #[test]
    fn another_contract_is_refused_with_both_versions() {
        let exports = ["hookwright:plugin/handler@0.7.0".to_owned()];
        let text = contract(&[], &exports).unwrap_err().to_string();
        assert!(text.contains("0.7.0") && text.contains("serves 0.1"), "{text}");
    }
}
