//! A headless Chromium, driven over WebDriver (W3C) by the harness's own HTTP client.
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::{Client, eventually};

/// How long a page may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A browser with one page; it ends when dropped.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    client: Client,
}

impl Browser {
    /// # Panics
    /// Where Chromium or its driver is missing, with what installs them.
    pub async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`chromedriver` is missing: run `make setup`, or install chromium-driver");
        let stdout = driver.stdout.take().expect("a piped output");
        let port = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let port = lines.find_map(|line| {
                let rest = line.split("successfully on port ").nth(1)?;
                rest.trim_end_matches('.').parse::<u16>().ok()
            });
            std::thread::spawn(move || lines.for_each(drop));
            port
        });
        let port = port.await.ok().flatten().expect("the driver tells its port");
        let mut browser = Self {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
            client: Client::default(),
        };
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--hide-scrollbars",
            "--window-size=1280,800",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let made = browser.ask(Method::POST, "/session", wanted).await;
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let body = if method == Method::GET { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        let answer = self.client.ask(method, self.address, path, &headers, body.into()).await;
        let answer = answer.expect("the driver answers").json();
        let error = &answer["value"]["error"];
        assert!(error.is_null(), "{path}: {}", answer["value"]);
        answer["value"].clone()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, &format!("/session/{}{path}", self.session), body).await
    }

    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// What the body of a function answers.
    pub async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Waits until the expression is true.
    pub async fn until(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        let waited = eventually(expression, PATIENCE, || async {
            let answer = self.run(&script).await;
            let holds = match &answer {
                Value::Bool(holds) => *holds,
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                _ => true,
            };
            holds.then_some(answer)
        });
        waited.await
    }

    /// Waits until the page shows the text.
    pub async fn shows(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Clicks the first element that the selector finds and, where a text is
    /// given, that reads so.
    pub async fn click(&self, selector: &str, text: &str) {
        let find = format!(
            "[...document.querySelectorAll({})].find((one) => one.textContent.trim().startsWith({}) && !one.hidden)",
            json!(selector),
            json!(text)
        );
        self.until(&format!("!!{find}")).await;
        self.run(&format!("{find}.click();")).await;
    }

    /// Types into whatever has the focus.
    pub async fn keys(&self, text: &str) {
        let actions: Vec<Value> = text
            .chars()
            .flat_map(|key| {
                [
                    json!({ "type": "keyDown", "value": key }),
                    json!({ "type": "keyUp", "value": key }),
                ]
            })
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", json!({ "actions": [keyboard] })).await;
    }

    /// Errors that the page told its console since the last look.
    pub async fn errors(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({ "type": "browser" })).await;
        let severe = log.as_array().into_iter().flatten().filter(|line| line["level"] == "SEVERE");
        severe.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// Shows pages to a reader who likes it `dark` or `light`, and still: a
    /// colour that is on its way to another is none to measure.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// The size of the page, in CSS pixels.
    pub async fn size(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What is seen of the page, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        use base64::Engine as _;
        let shot = self.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
        let data = shot["data"].as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(data).expect("Base64")
    }

    /// Ends the browser in good order; a drop ends it anyhow.
    pub async fn close(mut self) {
        self.ask(Method::DELETE, &format!("/session/{}", self.session), json!({})).await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver takes its browser along.
        let pid = i32::try_from(self.driver.id()).expect("a process id");
        #[expect(unsafe_code, reason = "std sends no signal but SIGKILL")]
        // SAFETY: `kill` takes two numbers; the process is our own child.
        unsafe {
            libc::kill(pid, libc::SIGTERM)
        };
        let _ = self.driver.wait();
    }
}
