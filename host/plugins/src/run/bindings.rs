//! The contract's Rust face, generated from `wit/v0.1`.
#![allow(unreachable_pub, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit/v0.1",
    world: "plugin-all",
    imports: {
        // What walks or copies bytes of the guest's choice gives way as they add up.
        "hookwright:plugin/types.[method]body.read": async | trappable,
        "hookwright:plugin/types.[method]body.select": async | trappable,
        "hookwright:plugin/http.send": async | trappable,
        "hookwright:plugin/kv.get": async | trappable,
        "hookwright:plugin/kv.set": async | trappable,
        "hookwright:plugin/kv.delete": async | trappable,
        "hookwright:plugin/kv.increment": async | trappable,
        "hookwright:plugin/log.log": async | trappable,
        "hookwright:plugin/responder.respond": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
