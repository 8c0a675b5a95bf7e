//! Traces: what a collector gets of one event, from the source's span to the receiver's, and that nothing waits for it.
use std::time::Duration;

use hookwright_tests::{Answer, Host, HostBuilder, Receiver, eventually};
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn settings(collector: &str, sample: &str, ci: &Receiver) -> String {
    format!(
        "[traces]\nendpoint = \"{collector}\"\nsample = \"{sample}\"\n\
         headers = {{ x-key = \"dangerous_plain:k\" }}\n\
         [sources.shop]\nverify = {{ scheme = \"none\" }}\nplugins = [\"filter\"]\n\
         destinations = [\"ci\"]\n\
         [plugins.filter]\nconfig = {{ drop = [{{ field = \"/a\", equals = \"noise\" }}] }}\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\nretry = {{ base = \"10ms\" }}\n",
        ci.url()
    )
}

async fn post(host: &Host, headers: &[(&str, &str)]) -> String {
    let posted = host.client.post(host.ingress(), "/in/shop", headers, r#"{"a":1}"#).await;
    let posted = posted.expect("an answer");
    assert_eq!(posted.status, 202);
    posted.id()
}

/// All spans that the collector got.
fn spans(collector: &Receiver) -> Vec<Value> {
    let bodies = collector.received().into_iter();
    let documents = bodies.map(|got| serde_json::from_slice::<Value>(&got.body).expect("JSON"));
    let spans = |document: Value| {
        let spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
        spans.as_array().expect("spans").clone()
    };
    documents.flat_map(spans).collect()
}

async fn spans_of(collector: &Receiver, count: usize) -> Vec<Value> {
    eventually("the spans are exported", Duration::from_secs(20), || async {
        let found = spans(collector);
        (found.len() >= count).then_some(found)
    })
    .await
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s Value {
    let all = span["attributes"].as_array().expect("attributes");
    let found = all.iter().find(|one| one["key"] == key);
    found.map_or(&Value::Null, |one| &one["value"])
}

/// The source's span, the receipt, the plugin, both attempts: one trace, each under the right one.
#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_one_trace_from_the_source_to_the_receiver() {
    let collector = Receiver::good().await;
    let ci = Receiver::scripted(|_, headers| {
        Answer::status(if headers["hookwright-attempt"] == "1" { 503 } else { 200 })
    })
    .await;
    let text = settings(&collector.url(), "0%", &ci);
    let host = HostBuilder::new(&text).plugin("filter").start().await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    post(&host, &[("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-00"))]).await;
    let id = post(&host, &[("traceparent", &parent), ("tracestate", "congo=t61rcWkgMzE")]).await;
    host.settled(Duration::from_secs(20)).await;

    let found = spans_of(&collector, 4).await;
    let of =
        |name: &str| -> Vec<&Value> { found.iter().filter(|span| span["name"] == name).collect() };
    let (receipt, plugin) = (of("receive shop"), of("plugin filter"));
    assert_eq!((receipt.len(), plugin.len()), (1, 1), "{found:#?}");
    assert_eq!(receipt[0]["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(attribute(plugin[0], "hookwright.verdict")["stringValue"], "pass");
    for span in &found {
        assert_eq!(span["traceId"], TRACE);
        assert_eq!(attribute(span, "hookwright.event.id")["stringValue"], id.as_str());
        let time = |key: &str| span[key].as_str().and_then(|text| text.parse::<u64>().ok());
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span}");
        if span["name"] != "receive shop" {
            assert_eq!(span["parentSpanId"], receipt[0]["spanId"]);
        }
    }
    let sent: Vec<String> = ci
        .received()
        .iter()
        .filter(|got| got.header("webhook-id") == id)
        .map(|got| got.header("traceparent").to_owned())
        .collect();
    let attempts = of("deliver ci");
    assert_eq!(attempts.len(), sent.len(), "{found:#?}");
    for span in attempts {
        let text = format!("00-{TRACE}-{}-01", span["spanId"].as_str().expect("an id"));
        assert!(sent.contains(&text), "{text} is not in {sent:?}");
    }
    let got = collector.received();
    assert!(got.iter().all(|got| got.header("x-key") == "k"), "the collector's own header");
    assert_eq!(sent.len(), 2, "the first attempt failed");
    let traced = ci.received().into_iter().filter(|got| got.header("webhook-id") == id);
    assert!(traced.into_iter().all(|got| got.header("tracestate") == "congo=t61rcWkgMzE"));
    // The other source took no spans, and its receiver hears as much.
    let other = ci.received();
    let other = other.iter().find(|got| got.header("webhook-id") != id).expect("the first event");
    assert_eq!(other.header("traceparent"), format!("00-{TRACE}-00f067aa0ba902b7-00"));
}

/// A collector that is away costs spans, which are counted, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_a_collector_that_is_away() {
    let collector = Receiver::scripted(|_, _| Answer::status(500)).await;
    let ci = Receiver::good().await;
    let text = settings(&collector.url(), "100%", &ci);
    let host = HostBuilder::new(&text).plugin("filter").start().await;
    for _ in 0..50 {
        post(&host, &[]).await;
    }
    host.settled(Duration::from_secs(20)).await;
    assert_eq!(ci.received().len(), 50);
    eventually("they are counted", Duration::from_secs(20), || async {
        let shown = host.client.get(host.admin(), "/metrics").await.expect("metrics");
        let shown = String::from_utf8_lossy(&shown.body).into_owned();
        shown.contains("hookwright_trace_spans_total{result=\"failed\"} 150").then_some(())
    })
    .await;
    assert_eq!(host.log().matches("takes no spans").count(), 1, "{}", host.log());
}

/// Found by a review: the exporter waited for its request, and the host for it.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_collector_that_never_answers_does_not_hold_up_the_end() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let collector = format!("http://{}/v1/traces", silent.local_addr().expect("an address"));
    let ci = Receiver::good().await;
    let text = settings(&collector, "100%", &ci);
    let mut host = HostBuilder::new(&text).plugin("filter").start().await;
    for _ in 0..400 {
        post(&host, &[]).await;
    }
    host.settled(Duration::from_secs(20)).await;
    let (_first, _) = silent.accept().await.expect("the exporter asks");
    assert_eq!(host.terminate().await, Some(0), "{}", host.log());
}
