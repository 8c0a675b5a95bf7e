//! What the metrics tell.
use metrics_exporter_prometheus::PrometheusBuilder;

use super::serve;
use hookwright_settings::EndpointOptions;
use hookwright_signing::{Secret, Verify, presets};

#[tokio::test]
async fn requests_refusals_and_events_are_counted_by_source() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let secrets = [Secret::new("old"), Secret::new("token")];
    let verify = Verify::preset(&presets::BEARER, secrets);
    let source = EndpointOptions { verify, ..EndpointOptions::default() };
    let ingress = ::metrics::with_local_recorder(&recorder, || serve(source));
    let mut wire = ingress.server.connect().await;
    for (path, headers) in [
        ("/in/s", "authorization: Bearer token\r\n"),
        ("/in/s", "authorization: Bearer token\r\n"),
        ("/in/s", "authorization: Bearer other\r\n"),
        ("/in/s", ""),
        ("/in/none", ""),
    ] {
        wire.post(path, headers, "five!").await;
    }
    let page = recorder.handle().render();
    for line in [
        r#"hookwright_ingress_requests_total{source="s",status="202"} 2"#,
        r#"hookwright_ingress_requests_total{source="s",status="401"} 2"#,
        r#"hookwright_ingress_requests_total{source="-",status="404"} 1"#,
        r#"hookwright_ingress_refused_total{source="s",reason="bad-signature"} 1"#,
        r#"hookwright_ingress_refused_total{source="s",reason="missing-header"} 1"#,
        r#"hookwright_ingress_refused_total{source="-",reason="unknown-source"} 1"#,
        r#"hookwright_ingress_verified_total{source="s",secret="0"} 0"#,
        r#"hookwright_ingress_verified_total{source="s",secret="1"} 2"#,
        r#"hookwright_ingress_body_bytes_total{source="s"} 10"#,
        r#"hookwright_events_total{source="s"} 2"#,
        r#"hookwright_ingress_seconds_count{source="s"} 4"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}
