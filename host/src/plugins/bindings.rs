//! The contract's Rust face, generated from `wit/v0.1`.
#![allow(unreachable_pub, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../wit/v0.1",
    world: "plugin-all",
    imports: {
        // These may take long on a large body: they give way first.
        "hookwright:plugin/types.[method]body.read": async | trappable,
        "hookwright:plugin/types.[method]body.select": async | trappable,
        "hookwright:plugin/http.send": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
