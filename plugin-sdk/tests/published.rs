//! What the crate carries besides its code.

/// The crate is published alone, so it holds a copy of the contract.
#[test]
fn the_contract_is_the_workspaces() {
    let original = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/v0.1/types.wit");
    // Outside the workspace there is only the copy.
    let Ok(original) = std::fs::read_to_string(original) else { return };
    assert_eq!(include_str!("../wit/v0.1/types.wit"), original, "copy wit/v0.1 to plugin-sdk/wit");
}
