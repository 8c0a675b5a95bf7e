//! The corpus of hostile guests, from WebAssembly text to components.
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding};

/// The contract's world with what guests of the corpus import of WASI.
const WORLD: &str = include_str!("../../guests/world.wit");

/// A guest of `tests/hostile/`.
///
/// # Panics
/// Where the corpus is broken.
pub fn hostile(name: &str) -> Vec<u8> {
    guest(&format!("hostile/{name}"))
}

/// A guest below `tests/`, named without its `.wat`.
///
/// # Panics
/// Where the corpus is broken.
pub fn guest(path: &str) -> Vec<u8> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(tests.join(format!("{path}.wat")));
    component(&text.expect("a guest of the corpus"))
}

/// WebAssembly text to a component: core modules that export `cabi_realloc` are wrapped by the contract's world,
/// whatever else the text is stays as it is.
///
/// # Panics
/// Where the text is none of WebAssembly.
pub fn component(text: &str) -> Vec<u8> {
    let mut wasm = wat::parse_str(text).expect("WebAssembly text");
    if wasmparser::Parser::is_component(&wasm) || !text.contains("cabi_realloc") {
        return wasm;
    }
    let mut resolve = wit_parser::Resolve::default();
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/v0.1");
    resolve.push_dir(contract).expect("the contract");
    let package = resolve.push_str("guest.wit", WORLD).expect("the guests' world");
    let world = resolve.select_world(&[package], Some("guest")).expect("the guests' world");
    wit_component::embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8)
        .expect("metadata");
    let encoder = ComponentEncoder::default().module(&wasm).expect("a module");
    encoder.validate(true).encode().expect("a component")
}
