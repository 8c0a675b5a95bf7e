//! The promises that no other test carries, each with its text. Promises 1 and 3 are in `crash.rs`, 5 in
//! `hostile_plugins.rs`, 7 in `swap.rs`, 9 in `bad_input.rs`.
use std::time::{Duration, Instant};

use hookwright_tests::{Answer, HostBuilder, Receiver, eventually, is_signed};

/// "Nothing vanishes. Every accepted event ends, for every delivery, as delivered, dropped (with the
/// plugin's reason) or dead (with the cause), and each can be found, explained and replayed. An event for a
/// disabled or unknown destination is kept."
#[tokio::test(flavor = "multi_thread")]
async fn nothing_vanishes() {
    let good = Receiver::good().await;
    let bad = Receiver::scripted(|_, _| Answer::status(503)).await;
    let destination = |name: &str, receiver: &Receiver, more: &str| {
        format!(
            "[destinations.{name}]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n\
             retry = {{ base = \"10ms\", attempts = 3 }}\n{more}\n",
            receiver.url()
        )
    };
    let settings = format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nkind = \"header:x-kind\"\n\
         plugins = [\"filter\", \"route\"]\n\
         [plugins.filter]\nconfig = {{ drop = [{{ field = \"kind\", equals = \"noise\" }}] }}\n\
         [plugins.route]\nconfig = {{ rules = [\
         {{ when = {{ field = \"kind\", equals = \"all\" }}, to = [\"good\", \"bad\", \"off\"] }},\
         {{ when = {{ field = \"kind\", equals = \"lost\" }}, to = [\"good\", \"unknown\"] }}] }}\n\
         {}{}{}",
        destination("good", &good, ""),
        destination("bad", &bad, ""),
        destination("off", &good, "disabled = true"),
    );
    let host = HostBuilder::new(&settings).plugin("filter").plugin("route").start().await;
    let post = async |kind: &str| {
        let headers = [("x-kind", kind)];
        let posted = host.client.post(host.ingress(), "/in/shop", &headers, "{}").await;
        posted.expect("an answer").id()
    };
    let (noise, all, nobody) = (post("noise").await, post("all").await, post("else").await);
    let lost = post("lost").await;

    let ended = eventually("the failing delivery is dead", Duration::from_secs(10), || async {
        let event = host.api(&format!("events/{all}")).await.ok()?;
        let list = event["deliveries"].as_array()?.clone();
        let dead = list.iter().any(|one| one["destination"] == "bad" && one["state"] == "dead");
        let done =
            list.iter().any(|one| one["destination"] == "good" && one["state"] == "delivered");
        (dead && done).then_some(list)
    })
    .await;
    let state = |name: &str| {
        let found = ended.iter().find(|one| one["destination"] == name);
        found.map(|one| one["state"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
    };
    assert_eq!(state("good"), "delivered");
    assert_eq!(state("bad"), "dead");
    assert_eq!(state("off"), "waiting", "kept");
    let bad_one = ended.iter().find(|one| one["destination"] == "bad").expect("a delivery");
    assert!(bad_one["cause"].as_str().is_some_and(|cause| cause.contains("503")), "{bad_one}");
    assert_eq!(bad_one["log"].as_array().map(Vec::len), Some(3), "each attempt is kept: {bad_one}");

    let dropped = host.api(&format!("events/{noise}")).await.expect("the dropped event");
    assert_eq!(dropped["state"], "dropped");
    assert!(dropped["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{dropped}");
    let nobody = eventually("the other is routed", Duration::from_secs(5), || async {
        let event = host.api(&format!("events/{nobody}")).await.ok()?;
        (event["state"] != "accepted").then_some(event)
    })
    .await;
    assert_eq!(nobody["state"], "unrouted");
    let kept = eventually("the lost one is kept", Duration::from_secs(5), || async {
        let event = host.api(&format!("events/{lost}")).await.ok()?;
        (event["state"] == "parked").then_some(event)
    })
    .await;
    assert!(kept["reason"].as_str().is_some_and(|why| why.contains("`unknown`")), "{kept}");
    for (query, id) in [("delivery=dead", &all), ("state=dropped", &noise), ("state=parked", &lost)]
    {
        let page = host.api(&format!("events?{query}")).await.expect("a list");
        assert_eq!(page["events"][0]["id"].as_str(), Some(id.as_str()), "found by {query}: {page}");
    }
    let replay = format!("/api/v1/events/{all}/replay");
    let again = host.client.post(host.admin(), &replay, &[], "{\"destination\":\"bad\"}").await;
    assert_eq!(again.expect("an answer").status, 200);
    eventually("the replay was tried", Duration::from_secs(10), || async {
        (bad.count() >= 6).then_some(())
    })
    .await;
}

/// "Bytes stay exact. A body that no plugin changed leaves as it came, whatever its content type; what is
/// signed is what is sent."
#[tokio::test(flavor = "multi_thread")]
async fn bytes_stay_exact() {
    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let sink = Receiver::good().await;
    let settings = format!(
        "[sources.raw]\nverify = {{ scheme = \"none\" }}\nplugins = [\"filter\"]\ndestinations = [\"sink\"]\n\
         [plugins.filter]\nconfig = {{ drop = [{{ field = \"/a\", equals = \"noise\" }}] }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\n\
         sign = {{ scheme = \"standard\", secrets = [\"dangerous_plain:{SECRET}\"] }}\n",
        sink.url()
    );
    let host = HostBuilder::new(&settings).plugin("filter").start().await;
    let bodies: [&[u8]; 5] = [
        b"{\"a\" : 1.0000000000000000000000001,\r\n \"a\":\"\\u0041\"}",
        b"\xff\xfe\x00not text",
        b"",
        b"   {\"trailing\": true}\n\n",
        &[0u8; 70_000],
    ];
    for body in bodies {
        let kinds = [("content-type", "Text/Weird; Charset=\"x\"")];
        let posted = host.client.post(host.ingress(), "/in/raw", &kinds, body.to_vec()).await;
        let id = posted.expect("an answer").id();
        let got = eventually("it arrives", Duration::from_secs(10), || async {
            sink.received().into_iter().find(|got| got.header("webhook-id") == id)
        })
        .await;
        assert_eq!(got.body, body);
        assert_eq!(got.header("content-type"), "Text/Weird; Charset=\"x\"");
        assert!(is_signed(&got, SECRET), "what is signed is what is sent");
    }
}

/// "Only the host knows. Secrets, signing keys and URLs never enter a plugin. A plugin names destinations; the
/// host decides what a name means."
#[tokio::test(flavor = "multi_thread")]
async fn only_the_host_knows() {
    let sink = Receiver::good().await;
    // The plugin asks for both headers, and would drop the event if it saw the first.
    let settings = |header: &str| {
        format!(
            "[sources.raw]\nverify = {{ scheme = \"bearer\", secrets = [\"dangerous_plain:t0ken\"] }}\n\
             plugins = [\"filter\"]\ndestinations = [\"sink\"]\n\
             [plugins.filter]\nheaders = [\"authorization\", \"x-shown\"]\n\
             config = {{ drop = [{{ field = \"header:{header}\", exists = true }}] }}\n\
             [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
            sink.url()
        )
    };
    for (header, state) in [("authorization", "routed"), ("x-shown", "dropped")] {
        let mut host = HostBuilder::new(&settings(header)).plugin("filter").start().await;
        let headers = [("authorization", "Bearer t0ken"), ("x-shown", "yes")];
        let posted = host.client.post(host.ingress(), "/in/raw", &headers, "x").await;
        let posted = posted.expect("an answer");
        assert_eq!(posted.status, 202);
        let event = eventually("it is routed", Duration::from_secs(10), || async {
            let event = host.api(&format!("events/{}", posted.id())).await.ok()?;
            (event["state"] != "accepted").then_some(event)
        })
        .await;
        assert_eq!(event["state"], state, "{event}");
        assert_eq!(host.terminate().await, Some(0));
        let written = format!("{event}{}", host.log());
        assert!(!written.contains("t0ken"), "the secret is neither stored nor logged");
    }
}

/// "A destination harms only itself. Slow, dead or hostile, it cannot slow another one's deliveries, and its
/// memory is bounded by what is in flight, not by its backlog."
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_harms_only_itself() {
    let good = Receiver::good().await;
    let hanging = Receiver::scripted(|_, _| Answer {
        delay: Duration::from_secs(600),
        ..Answer::status(200)
    })
    .await;
    let settings = format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"hanging\", \"good\"]\n\
         [destinations.hanging]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n\
         timeout = \"600s\"\nin_flight = 4\n\
         [destinations.good]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        hanging.url(),
        good.url()
    );
    let host = HostBuilder::new(&settings).start().await;
    let body = vec![b'x'; 16 * 1024];
    let before = host.resident();
    let begin = Instant::now();
    for _ in 0..2_000 {
        let posted = host.client.post(host.ingress(), "/in/a", &[], body.clone()).await;
        assert_eq!(posted.expect("an answer").status, 202);
    }
    eventually("the good one has all", Duration::from_secs(120), || async {
        (good.count() == 2_000).then_some(())
    })
    .await;
    assert!(begin.elapsed() < Duration::from_secs(300), "it did not wait for the hanging one");
    assert!(hanging.connections() <= 4, "at most in_flight at once");
    let grown = host.resident().saturating_sub(before);
    assert!(grown < 80 << 20, "{} MiB for 31 MiB of backlog bodies", grown >> 20);
    let list = host.api("destinations").await.expect("destinations");
    let hanging = list["destinations"].as_array().into_iter().flatten();
    let hanging = hanging.clone().find(|one| one["name"] == "hanging").expect("a destination");
    assert_eq!(hanging["waiting"], 2_000, "its backlog is in the rows");
}
