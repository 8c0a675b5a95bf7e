//! Long JSON pointers into deep bodies: on a small stack, what is found is what was put there.
#![no_main]
use hookwright_model::pointer::{self, POINTER_TOKENS};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

/// What is left of the stack where a host call runs is more.
const STACK: usize = 128 << 10;

// Which levels are objects (repeated to the depth), how deep the body is, how
// long the pointers are, and what stands at the end of it.
fuzz_target!(|input: (Vec<bool>, u32, [u16; 3], String)| {
    let (shape, depth, lengths, inner) = input;
    let depth = (depth % 300_000) as usize;
    let object = |level: usize| !shape.is_empty() && shape[level % shape.len()];
    let mut body: String =
        (0..depth).map(|level| if object(level) { "{\"a\":" } else { "[" }).collect();
    let start = body.len();
    body.push_str(&inner);
    let end = body.len();
    body.extend((0..depth).rev().map(|level| if object(level) { '}' } else { ']' }));
    let pointers = lengths.map(|length| {
        let token = |level| if object(level) { "/a" } else { "/0" };
        (0..usize::from(length).min(depth)).map(token).collect::<String>()
    });
    let whole = serde_json::from_str::<&RawValue>(&inner).is_ok();

    let walk = || {
        let found = pointer::select(body.as_bytes(), &pointers);
        for (pointer, text) in pointers.iter().zip(found) {
            let tokens = pointer.split('/').count() - 1;
            if !whole {
                // Together with what is around it, it may be JSON after all.
                continue;
            }
            assert_eq!(text.is_some(), tokens <= POINTER_TOKENS, "{tokens} tokens");
            let Some(text) = text else { continue };
            if tokens == depth {
                assert_eq!(text, body[start..end].trim_matches([' ', '\t', '\r', '\n']));
            } else {
                assert!(text.starts_with(if object(tokens) { '{' } else { '[' }));
            }
        }
    };
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, walk);
        small.expect("a thread").join().expect("a walk without a panic");
    });
});
