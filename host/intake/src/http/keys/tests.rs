//! The budgets of fetches, and what is kept when strangers name URLs.
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::cache::{KEPT, NOTED};
use super::*;
use hookwright_signing::{JwtKeys, JwtScheme, Verify};

const URL: &str = "https://issuer.example/jwks.json";

const SET: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[derive(Default)]
struct Server {
    asked: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
}

impl Fetch for Server {
    fn fetch(&self, url: String) -> Fetching {
        self.asked.fetch_add(1, SeqCst);
        let down = self.down.load(SeqCst) || url.contains("junk");
        if url.contains("never") {
            return Box::pin(std::future::pending());
        }
        Box::pin(async move {
            tokio::task::yield_now().await;
            if down { Err("it is down".to_owned()) } else { Ok(SET.into()) }
        })
    }
}

fn verifier() -> Verifier {
    Verifier::new(&Verify::Jwt(JwtScheme {
        keys: JwtKeys::Url(URL.to_owned()),
        issuer: None,
        audience: "us".to_owned(),
        claims: Vec::new(),
        tolerance: Duration::ZERO,
    }))
}

const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// As the settings name it.
fn own(url: &str) -> Wanted<'_> {
    Wanted { url: url.into(), named: false, key_id: None }
}

/// As a request names it.
fn named(url: &str) -> Wanted<'_> {
    Wanted { named: true, ..own(url) }
}

async fn ask(
    keys: &Keys,
    wanted: Wanted<'_>,
    (verifier, fetch): (&Verifier, &Server),
    address: IpAddr,
    now: Instant,
) -> Option<Arc<Fetched>> {
    keys.get(&wanted, Requester { verifier, fetch, address, now }).await
}

#[tokio::test]
async fn many_who_ask_share_one_fetch_and_the_next_comes_when_it_is_old() {
    let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
    let now = Instant::now();
    let ask = |at| ask(&keys, own(URL), (&verifier, &server), STRANGER, at);
    let all = futures_util::future::join_all((0..20).map(|_| ask(now))).await;
    assert!(all.iter().all(Option::is_some));
    assert_eq!(server.asked.load(SeqCst), 1);
    let later = now + verifier.age();
    assert!(ask(later).await.is_some());
    assert_eq!(server.asked.load(SeqCst), 2);
}

#[tokio::test]
async fn while_the_server_is_down_the_old_keys_serve_for_a_day() {
    let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
    let now = Instant::now();
    let ask = |at| ask(&keys, own(URL), (&verifier, &server), STRANGER, at);
    assert!(ask(now).await.is_some());
    server.down.store(true, SeqCst);
    let later = now + verifier.age();
    assert!(ask(later).await.is_some(), "the old ones");
    assert!(ask(later + Duration::from_secs(1)).await.is_some());
    assert_eq!(server.asked.load(SeqCst), 2, "it is left alone for a while");
    assert!(ask(later + STALE).await.is_none());
}

/// Ever new URLs used up a source's fetches, and pushed its own keys out.
#[tokio::test]
async fn regression_strangers_have_few_urls_fetched_and_the_own_keys_stay() {
    let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
    let (now, with) = (Instant::now(), (&verifier, &server));
    let (good, other) = ("https://provider.example/own.pem", IpAddr::V4([192, 0, 2, 2].into()));
    assert!(ask(&keys, named(good), with, other, now).await.is_some());
    keys.proved(good);
    // One address: as many as its burst.
    for n in 0..100 {
        let url = format!("https://provider.example/junk{n}");
        assert!(ask(&keys, named(&url), with, STRANGER, now).await.is_none());
    }
    assert_eq!(server.asked.load(SeqCst), 1 + FETCHES_PER_ADDRESS.burst as usize);
    // Many addresses: as many as the source's burst, of what is junk and what is not.
    for n in 0..1_000u32 {
        let sort = if n % 2 == 0 { "junk" } else { "real" };
        let url = format!("https://provider.example/{sort}{n}");
        ask(&keys, named(&url), with, IpAddr::V4((n << 8).into()), now).await;
    }
    assert_eq!(server.asked.load(SeqCst), FETCHES.burst as usize);
    let [proved, unproved, failed, _] = keys.cache.lock().sizes();
    assert!(proved == 1 && unproved <= KEPT && failed <= NOTED);
    // The own key is at hand, and is fetched again when that is due.
    let asked = server.asked.load(SeqCst);
    assert!(ask(&keys, named(good), with, STRANGER, now).await.is_some());
    assert_eq!(server.asked.load(SeqCst), asked);
    let due = now + verifier.age();
    for n in 0..1_000u32 {
        let url = format!("https://provider.example/later{n}");
        ask(&keys, named(&url), with, IpAddr::V4((n << 8).into()), due).await;
    }
    let asked = server.asked.load(SeqCst);
    assert!(ask(&keys, named(good), with, STRANGER, due).await.is_some());
    assert_eq!(server.asked.load(SeqCst), asked + 1, "a budget of its own");
    assert!(keys.flights.lock().is_empty());
}

/// A fetch that hung held all others up.
#[tokio::test(start_paused = true)]
async fn regression_a_strangers_slow_fetch_delays_no_other() {
    let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
    let (now, with) = (Instant::now(), (&verifier, &server));
    let hung = |n: u32| {
        let url = format!("https://provider.example/never{n}");
        let (keys, verifier, server) = (&keys, &verifier, &server);
        async move { ask(keys, named(&url), (verifier, server), IpAddr::V4((n << 8).into()), now).await }
    };
    let slow = futures_util::future::join_all((0..AT_ONCE as u32 - 1).map(hung));
    tokio::pin!(slow);
    assert!(futures_util::poll!(&mut slow).is_pending());
    assert!(ask(&keys, named("https://provider.example/own"), with, STRANGER, now).await.is_some());
    // What the settings name waits for nobody, however many hang.
    let more = hung(1_000);
    tokio::pin!(more);
    assert!(futures_util::poll!(&mut more).is_pending());
    assert!(ask(&keys, own(URL), with, STRANGER, now).await.is_some());
}

#[tokio::test]
async fn regression_a_failure_is_remembered_apart_and_for_a_moment() {
    let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
    let (now, with) = (Instant::now(), (&verifier, &server));
    let url = "https://provider.example/own";
    server.down.store(true, SeqCst);
    for _ in 0..5 {
        assert!(ask(&keys, named(url), with, STRANGER, now).await.is_none());
    }
    assert_eq!(server.asked.load(SeqCst), 1);
    server.down.store(false, SeqCst);
    let later = now + FAILED;
    assert!(ask(&keys, named(url), with, STRANGER, later).await.is_some());
    assert_eq!(keys.cache.lock().sizes(), [0, 1, 0, 0], "the failure is forgotten");
}

/// A new key is found before the set is old, and made-up names cost one fetch a minute.
#[tokio::test]
async fn regression_unknown_key_ids_have_the_set_fetched_again_once_a_minute() {
    let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
    let now = Instant::now();
    let with_id = |id: &str, at| {
        let wanted = Wanted { key_id: Some(id.to_owned()), ..own(URL) };
        let (keys, verifier, server) = (&keys, &verifier, &server);
        async move { ask(keys, wanted, (verifier, server), STRANGER, at).await }
    };
    for n in 0..50 {
        assert!(with_id(&format!("made up {n}"), now).await.is_some());
    }
    assert_eq!(server.asked.load(SeqCst), 1);
    for n in 0..50 {
        assert!(with_id(&format!("made up {n}"), now + AGAIN).await.is_some());
        assert!(with_id("a", now + AGAIN).await.is_some());
    }
    assert_eq!(server.asked.load(SeqCst), 2);
    // While it is down the old set serves, and it is left alone.
    server.down.store(true, SeqCst);
    for n in 0..50 {
        assert!(with_id(&format!("made up {n}"), now + AGAIN * 2).await.is_some());
        assert!(with_id("a", now + AGAIN * 2).await.is_some());
    }
    assert_eq!(server.asked.load(SeqCst), 3);
}

/// Whoever sent a recorded confirmation again had its URL fetched each time.
#[tokio::test]
async fn regression_a_confirmation_is_fetched_once_however_often_it_comes() {
    let (keys, server) = (Keys::default(), Server::default());
    let now = Instant::now();
    for _ in 0..10 {
        assert_eq!(keys.confirm("https://provider.example/c".into(), &server, now).await, Ok(()));
    }
    assert_eq!(server.asked.load(SeqCst), 1);
    for _ in 0..10 {
        assert!(keys.confirm("https://provider.example/junk".into(), &server, now).await.is_err());
    }
    assert_eq!(server.asked.load(SeqCst), 2);
    for n in 0..NOTED * 2 {
        let _ = keys.confirm(format!("https://provider.example/c{n}"), &server, now).await;
    }
    assert_eq!(keys.cache.lock().sizes(), [0, 0, 1, NOTED]);
}
