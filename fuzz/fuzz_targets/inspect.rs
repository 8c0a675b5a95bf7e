//! The gate before any bytes, bare and behind the header of a component: refused, or a plugin of a served contract.
#![no_main]
use hookwright_plugins::{GateError, inspect};
use libfuzzer_sys::fuzz_target;

/// Magic, version and layer of a component.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    look(&[HEADER, bytes].concat());
});

fn look(wasm: &[u8]) {
    let shape = match inspect(wasm) {
        Ok(shape) => shape,
        Err(error) => {
            assert_eq!(error == GateError::Empty, wasm.is_empty());
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(wasm.starts_with(HEADER), "only a component is accepted");
    assert_eq!(shape.size, wasm.len() as u64);
    assert!(shape.contract == "0.1" || shape.contract.starts_with("0.1."), "{shape:?}");
    for wanted in ["lifecycle", "handler"] {
        let interface = format!("hookwright:plugin/{wanted}@");
        assert!(shape.exports.iter().any(|name| name.starts_with(&interface)), "{shape:?}");
    }
    let json = serde_json::to_string(&shape).expect("a shape is JSON");
    assert_eq!(serde_json::from_str::<hookwright_plugins::Shape>(&json).expect("its own"), shape);
    let mut other = wasm.to_vec();
    // An empty custom section: another file, the same component.
    other.extend_from_slice(b"\0\x02\x01x");
    let other = inspect(&other).expect("a custom section changes nothing");
    assert_eq!((&other.imports, &other.exports), (&shape.imports, &shape.exports));
    assert_ne!(other.digest, shape.digest, "each file is a version of its own");
}
