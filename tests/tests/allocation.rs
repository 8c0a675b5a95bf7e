//! Checking a signature takes no memory: ingress does it for every request.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use hookwright_signing::Draft;
use hookwright_tests::schemes::{AT, Case, check, received};

/// Counts what each thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends may still ask after its count is gone.
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_common_schemes_verify_without_an_allocation() {
    let common = [
        "standard",
        "github",
        "gitlab",
        "bitbucket",
        "stripe",
        "shopify",
        "woocommerce",
        "meta",
        "zendesk",
        "paddle",
        "twitch",
        "razorpay",
        "svix",
        "openai",
        "sentry",
        "pagerduty",
        "typeform",
        "calendly",
        "jira",
        "docusign",
        "bearer",
        "hmac sha256",
        "api-key header",
    ];
    let cases = Case::all();
    for name in common {
        let case = cases.iter().find(|case| case.name == name).expect(name);
        let sent = case.sent(&Draft { id: "msg_1", at_s: AT, kind: None, body: None });
        let headers = received(&sent).expect("headers");
        let before = ASKED.get();
        let verified = check(&case.verifier, &headers, &sent, AT);
        let asked = ASKED.get() - before;
        assert!(verified.is_ok(), "{name}");
        assert_eq!(asked, 0, "{name}");
    }
}
