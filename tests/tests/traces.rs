//! Traces: what a collector gets of one event, from the source's span to the receiver's, and that nothing waits for it.
use std::time::Duration;

use hookwright_tests::{Answer, Host, HostBuilder, Receiver, eventually};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value as Json;

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

/// All that the collector got, as OpenTelemetry's own types read it.
fn requests(collector: &Receiver) -> Vec<ExportTraceServiceRequest> {
    let read = |body: &[u8]| {
        let request = serde_json::from_slice(body).expect("a request of OTLP");
        // It skips keys that it does not know, so each must come out again.
        let again = serde_json::to_value(&request).expect("JSON");
        missing(&serde_json::from_slice(body).expect("JSON"), &again, "");
        request
    };
    collector.received().iter().map(|got| read(&got.body)).collect()
}

/// Panics at the first value of `sent` that is not in `kept`.
fn missing(sent: &Json, kept: &Json, path: &str) {
    match sent {
        Json::Object(all) => all.iter().for_each(|(key, value)| {
            missing(value, &kept[key.as_str()], &format!("{path}/{key}"));
        }),
        Json::Array(all) => all.iter().enumerate().for_each(|(index, value)| {
            missing(value, &kept[index], &format!("{path}/{index}"));
        }),
        value => assert_eq!(kept, value, "{path}"),
    }
}

fn spans(collector: &Receiver) -> Vec<Span> {
    let resources = requests(collector).into_iter().flat_map(|all| all.resource_spans);
    resources.flat_map(|all| all.scope_spans).flat_map(|all| all.spans).collect()
}

async fn spans_of(collector: &Receiver, count: usize) -> Vec<Span> {
    eventually("the spans are exported", Duration::from_secs(20), || async {
        let found = spans(collector);
        (found.len() >= count).then_some(found)
    })
    .await
}

fn attribute<'s>(all: &'s [KeyValue], key: &str) -> Option<&'s Value> {
    all.iter().find(|one| one.key == key)?.value.as_ref()?.value.as_ref()
}

/// Empty where there is none.
fn text<'s>(all: &'s [KeyValue], key: &str) -> &'s str {
    match attribute(all, key) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

/// The source's span, the receipt, the plugin, both attempts: one trace, each under the right one.
#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_one_trace_from_the_source_to_the_receiver() {
    let collector = Receiver::good().await;
    let ci = Receiver::scripted(|_, headers| {
        Answer::status(if headers["hookwright-attempt"] == "1" { 503 } else { 200 })
    })
    .await;
    let all = settings(&collector.url(), "0%", &ci);
    let host = HostBuilder::new(&all).plugin("filter").start().await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    post(&host, &[("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-00"))]).await;
    let id = post(&host, &[("traceparent", &parent), ("tracestate", "congo=t61rcWkgMzE")]).await;
    host.settled(Duration::from_secs(20)).await;

    let found = spans_of(&collector, 4).await;
    let of = |name: &str| -> Vec<&Span> { found.iter().filter(|span| span.name == name).collect() };
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (receipt, plugin) = (of("receive shop"), of("plugin filter"));
    assert_eq!((receipt.len(), plugin.len()), (1, 1), "{found:#?}");
    assert_eq!(hex(&receipt[0].parent_span_id), "00f067aa0ba902b7");
    assert_eq!(receipt[0].kind(), SpanKind::Server);
    assert_eq!(text(&plugin[0].attributes, "hookwright.verdict"), "pass");
    for span in &found {
        assert_eq!(hex(&span.trace_id), TRACE);
        assert_eq!(text(&span.attributes, "hookwright.event.id"), id.as_str());
        assert!(0 < span.start_time_unix_nano, "{span:?}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        if span.name != "receive shop" {
            assert_eq!(span.parent_span_id, receipt[0].span_id);
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
        let parent = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        assert!(sent.contains(&parent), "{parent} is not in {sent:?}");
        assert_eq!(span.kind(), SpanKind::Client);
        assert_eq!(text(&span.attributes, "server.address"), "127.0.0.1");
        let port = Value::IntValue(ci.address().port().into());
        assert_eq!(attribute(&span.attributes, "server.port"), Some(&port));
        assert!(span.attributes.iter().all(|one| !format!("{one:?}").contains("/hook")));
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
    let mut host = HostBuilder::new(&text).plugin("filter").start().await;
    for _ in 0..50 {
        post(&host, &[]).await;
    }
    host.settled(Duration::from_secs(20)).await;
    assert_eq!(ci.received().len(), 50);
    host.counted(&["hookwright_trace_spans_total{result=\"failed\"} 150\n"]).await;
    assert_eq!(host.terminate().await, Some(0));
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

#[tokio::test(flavor = "multi_thread")]
async fn the_host_has_a_name_a_version_and_an_instance() {
    let (collector, ci) = (Receiver::good().await, Receiver::good().await);
    let mut instances = Vec::new();
    for service in ["service = \"hooks-eu\"\n", ""] {
        let before = collector.count();
        let all = settings(&collector.url(), "100%", &ci);
        let all = all.replacen("[traces]\n", &format!("[traces]\n{service}"), 1);
        let host = HostBuilder::new(&all).plugin("filter").start().await;
        post(&host, &[]).await;
        let request = eventually("spans are exported", Duration::from_secs(20), || async {
            requests(&collector).into_iter().nth(before)
        })
        .await;
        let resource = request.resource_spans[0].resource.as_ref().expect("a resource");
        let name = if service.is_empty() { "hookwright" } else { "hooks-eu" };
        assert_eq!(text(&resource.attributes, "service.name"), name);
        assert_eq!(text(&resource.attributes, "service.version"), env!("CARGO_PKG_VERSION"));
        instances.push(text(&resource.attributes, "service.instance.id").to_owned());
    }
    assert!(instances[0].len() == 36 && instances[0] != instances[1], "{instances:?}");
}

/// What a collector rejects of a request that it takes is lost, which is counted and told.
#[tokio::test(flavor = "multi_thread")]
async fn spans_that_a_collector_rejects_are_counted_and_told_once() {
    let collector = Receiver::scripted(|_, _| Answer {
        body: r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}"#,
        ..Answer::status(200)
    })
    .await;
    let ci = Receiver::good().await;
    let all = settings(&collector.url(), "100%", &ci);
    let mut host = HostBuilder::new(&all).plugin("filter").start().await;
    // In two requests at least: the second is not sent before the first was answered.
    post(&host, &[]).await;
    spans_of(&collector, 3).await;
    post(&host, &[]).await;
    spans_of(&collector, 6).await;
    let asked = collector.count();
    assert!(asked >= 2, "{asked}");
    let line = |result: &str, spans: usize| {
        format!("hookwright_trace_spans_total{{result=\"{result}\"}} {spans}\n")
    };
    host.counted(&[&line("rejected", asked), &line("exported", 6 - asked)]).await;
    assert_eq!(host.terminate().await, Some(0));
    assert_eq!(host.log().matches("complains").count(), 1, "{}", host.log());
    assert!(host.log().contains("too old"), "{}", host.log());
}

/// No more of its answer is kept than the bound, so a longer one can't be understood.
#[tokio::test(flavor = "multi_thread")]
async fn a_collectors_answer_is_read_within_a_bound() {
    let long = "x".repeat(hookwright_telemetry::traces::ANSWER_BYTES);
    let answer =
        format!(r#"{{"partialSuccess":{{"rejectedSpans":"1","errorMessage":"{long}"}}}}"#).leak();
    let collector = Receiver::scripted(|_, _| Answer { body: answer, ..Answer::status(200) }).await;
    let ci = Receiver::good().await;
    let all = settings(&collector.url(), "100%", &ci);
    let mut host = HostBuilder::new(&all).plugin("filter").start().await;
    post(&host, &[]).await;
    host.counted(&["hookwright_trace_spans_total{result=\"exported\"} 3\n"]).await;
    assert_eq!(host.terminate().await, Some(0));
    assert!(!host.log().contains("complains"), "{}", host.log());
}
