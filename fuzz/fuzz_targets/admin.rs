//! Any request to the admin side: never a 5xx, and without the token, or from elsewhere, nothing is read or changed.
#![no_main]
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use hookwright_admin::{
    Bounds, Control, DestinationStatus, Options, PluginStatus, PreviewFuture, PreviewRefused,
    Recent, ReloadFuture, Reloaded, Replays, SourceStatus, Switch, Tokens, router,
};
use hookwright_fuzz::{run, store};
use hookwright_model::clock::Clock;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Event, Rejected, Scope};
use hookwright_settings::AdminToken;
use hookwright_store::AuditLog;
use hookwright_store_memory::Memory;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower_service::Service;

const TOKEN: &str = "5b0fbe4c1d8e7a29";

/// Knows of nothing and counts who asks.
#[derive(Default)]
struct Asked(AtomicUsize);

impl Asked {
    fn note<T>(&self, answer: T) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        answer
    }
}

impl Control for Asked {
    fn ready(&self) -> bool {
        true
    }

    fn sources(&self) -> Vec<SourceStatus> {
        self.note(Vec::new())
    }

    fn without_tokens(&self, text: &str) -> String {
        self.note(text.to_owned())
    }

    fn destinations(&self) -> Vec<DestinationStatus> {
        self.note(Vec::new())
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        self.note(Vec::new())
    }

    fn rejected(&self, _: &str) -> Option<Vec<Rejected>> {
        self.note(Some(Vec::new()))
    }

    fn switch(&self, _: &str, _: Switch) -> Result<(), String> {
        self.note(Ok(()))
    }

    fn preview(&self, _: Arc<Event>) -> PreviewFuture<'_> {
        Box::pin(std::future::ready(self.note(Err(PreviewRefused::NoSource))))
    }

    fn reload(&self) -> ReloadFuture<'_> {
        let nothing = Reloaded { changed: Vec::new(), restart: Vec::new(), warnings: Vec::new() };
        Box::pin(std::future::ready(self.note(Ok(nothing))))
    }
}

static STORE: LazyLock<Arc<Memory>> = LazyLock::new(|| store().0);
static CONTROL: LazyLock<Arc<Asked>> = LazyLock::new(Arc::default);
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
static AUDIT: LazyLock<Arc<AuditLog>> =
    LazyLock::new(|| Arc::new(AuditLog::open(FOLDER.path()).expect("a new log")));
static REPLAYS: LazyLock<Replays> = LazyLock::new(|| {
    run(Replays::start(STORE.clone(), STORE.clone(), STORE.clone(), Clock::manual(0), Tasks::new()))
        .expect("the store has no replays")
});

fuzz_target!(|input: (bool, String, Vec<u8>, Vec<u8>, Vec<u8>)| {
    let (post, target, host, authorization, body) = input;
    let request = || -> Option<Request<Full<Bytes>>> {
        Request::builder()
            .method(if post { "POST" } else { "GET" })
            .uri(&target)
            .header(header::HOST, HeaderValue::from_bytes(&host).ok()?)
            .header(header::AUTHORIZATION, HeaderValue::from_bytes(&authorization).ok()?)
            .body(Full::new(Bytes::from(body.clone())))
            .ok()
    };
    let (Some(first), Some(second)) = (request(), request()) else { return };
    if authorization.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()) {
        return;
    }
    let (status, asked) = answer(first, believed());
    assert!(status < 500 && asked == 0, "{status} without the token");

    let local = is_near(second.uri().host().unwrap_or_default().as_bytes()) || is_near(&host);
    let (status, asked) = answer(second, Tokens::default());
    assert!(status < 500 && (asked == 0 || local), "{status} from elsewhere");
});

/// Whether it starts as this machine's names and addresses do.
fn is_near(host: &[u8]) -> bool {
    let host = host.to_ascii_lowercase();
    [&b"localhost"[..], b"127.", b"["].iter().any(|start| host.starts_with(start))
}

fn believed() -> Tokens {
    let hash = Sha256::digest(TOKEN).into();
    Tokens::new(vec![AdminToken { name: "fuzz".to_owned(), hash, scope: Scope::Admin }])
}

/// The status, and how often store and control were asked.
fn answer(request: Request<Full<Bytes>>, tokens: Tokens) -> (u16, u64) {
    // Their start asks the store, too.
    let replays = REPLAYS.clone();
    let count = || STORE.calls() + CONTROL.0.load(Ordering::Relaxed) as u64;
    let before = count();
    let service = router(Options {
        tokens,
        queries: STORE.clone(),
        work_queue: STORE.clone(),
        maintenance: STORE.clone(),
        audit: AUDIT.clone(),
        tasks: Tasks::new(),
        bounds: Bounds::default(),
        control: CONTROL.clone(),
        replays,
        clock: Clock::manual(0),
        backups: FOLDER.path().join("backups"),
        metrics: None,
        recent: Recent::default(),
        log: None,
    });
    let status = run(status(service, request));
    (status, count() - before)
}

async fn status<S, B>(mut service: S, request: Request<Full<Bytes>>) -> u16
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
{
    let Ok(()) = poll_fn(|context| service.poll_ready(context)).await;
    let Ok(response) = service.call(request).await;
    response.status().as_u16()
}
