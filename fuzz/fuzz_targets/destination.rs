//! Any URL and any CA of a destination: the client takes what the settings take, and only what can be posted to.
#![no_main]
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use hookwright_config::{Config, Sources};
use hookwright_egress::{Egress, Options, SetupError};
use hookwright_settings::Pem;
use http::Uri;
use libfuzzer_sys::fuzz_target;

static EGRESS: LazyLock<Egress> = LazyLock::new(Egress::default);

fuzz_target!(|input: (String, Option<Vec<u8>>)| {
    let (text, ca) = input;
    let ca = ca.map(Bytes::from);
    // A JSON string is a TOML string too, but for the character DEL.
    let quoted = serde_json::Value::from(text.as_str());
    let settings = format!("[destinations.d]\nurl = {quoted}\n");
    let read =
        Config::parse(Path::new("hookwright.toml"), settings.as_bytes(), &Sources::none()).ok();
    if let Some(url) = read.and_then(|config| config.destinations.get("d")?.to.url().cloned()) {
        assert!(!text.contains('#'), "{url}");
        client(url, None).expect("the client takes what the settings take");
    }
    if let Ok(url) = text.parse::<Uri>()
        && client(url.clone(), None).is_ok()
    {
        assert!(matches!(url.scheme_str(), Some("http" | "https")), "{url}");
        assert!(url.host().is_some_and(|host| !host.is_empty()), "{url}");
        assert!(url.authority().is_some_and(|all| !all.as_str().contains('@')), "{url}");
    }
    match client(Uri::from_static("https://a.example/"), ca.clone()) {
        Ok(()) => {}
        Err(error) => assert!(ca.is_some() && matches!(error, SetupError::Ca(_)), "{error}"),
    }
});

fn client(url: Uri, ca: Option<Bytes>) -> Result<(), SetupError> {
    let mut options = Options::new("d", url);
    options.transport.tls.ca = ca.map(|text| Pem { file: "ca.pem".into(), text });
    EGRESS.client(options).map(drop)
}
