//! The bindings that the crate carries are those that its contract gives, so that no plugin's build makes them.
use std::fs;
use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::Opts;

/// The contract's world with all that a plugin may import.
const WORLD: &str = "plugin-all";
const HEAD: &str = "//! Bindings to the contract in `wit/v0.1`, made by `UPDATE_BINDINGS=1 cargo test -p hookwright-plugin --test bindings`.\n";

fn generated(contract: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(contract).expect("the contract is valid");
    let world = resolve.select_world(&[package], Some(WORLD)).expect("the world is there");
    let options = Opts {
        format: true,
        pub_export_macro: true,
        export_macro_name: Some("export_component".into()),
        default_bindings_module: Some("hookwright_plugin::guest::bindings".into()),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).expect("bindings are made");
    let (_, source) = files.iter().next().expect("one file");
    format!("{HEAD}{}", String::from_utf8_lossy(source))
}

#[test]
fn the_bindings_are_those_of_the_contract() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("src/guest/bindings.rs");
    let made = generated(&root.join("wit/v0.1"));
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        fs::write(&file, &made).expect("the bindings are written");
    }
    let carried = fs::read_to_string(&file).unwrap_or_default();
    assert!(carried == made, "{} is not the contract's: {}", file.display(), HEAD.trim());
}
