//! The corpus of hostile guests, from WebAssembly text to components.
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding};

/// The contract's world with what guests of the corpus import of WASI.
const WORLD: &str = include_str!("../guests/world.wit");

/// A guest of `tests/hostile/`.
///
/// # Panics
/// Where the corpus is broken.
pub fn hostile(name: &str) -> Vec<u8> {
    guest(&format!("hostile/{name}"))
}

/// A guest below `tests/`: core modules are wrapped by the contract's world.
///
/// # Panics
/// Where the corpus is broken.
pub fn guest(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(folder.join(format!("{path}.wat")));
    let text = text.expect("a guest of the corpus");
    let mut wasm = wat::parse_str(&text).expect("WebAssembly text");
    if !text.contains("cabi_realloc") {
        return wasm;
    }
    let mut resolve = wit_parser::Resolve::default();
    let (mut package, _) = resolve.push_dir(folder.join("../wit/v0.1")).expect("the contract");
    let mut world = "plugin";
    if text.contains("\"wasi:") {
        package = resolve.push_str("guest.wit", WORLD).expect("the guests' world");
        world = "guest";
    }
    let world = resolve.select_world(&[package], Some(world)).expect("the contract's world");
    wit_component::embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8)
        .expect("metadata");
    let encoder = ComponentEncoder::default().module(&wasm).expect("a module");
    encoder.validate(true).encode().expect("a component")
}
