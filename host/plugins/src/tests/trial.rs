//! Candidates with real components: shadows that decide nothing, canaries that decide for some.
use super::*;
use crate::version::picks;
use crate::{Call, CallMode, Candidate, InFlightLedger, Mode, TrialCounts, Verdict, inspect};

fn with(mode: Mode) -> Spec {
    Spec { candidate: Some(Candidate { file: "p-2.wasm".into(), mode }), ..spec("p") }
}

async fn on_trial(spec: Spec, old: &[u8], new: &[u8]) -> (Yard, Plugins) {
    let yard = Yard::new();
    yard.put("p.wasm", old);
    yard.put("p-2.wasm", new);
    let plugins = yard.open(vec![spec]);
    for report in plugins.load_all().await {
        report.result.unwrap();
    }
    (yard, plugins)
}

fn counts(plugins: &Plugins) -> TrialCounts {
    plugins.status()[0].candidate.clone().unwrap().counts
}

/// "A candidate file with `shadow = true` runs beside, its verdicts only counted and compared."
#[tokio::test]
async fn a_shadow_is_compared_and_decides_nothing() {
    let (old, new) = (guest!("guests/pass.wat"), guest!("guests/drop.wat"));
    let (_yard, plugins) = on_trial(with(Mode::Shadow), &old, &new).await;
    for number in 0..10 {
        let answer = ask(&plugins, "p", &event(number, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Pass));
        assert_eq!(answer.digest, Some(inspect(&old).unwrap().digest));
        eventually("it is compared", || counts(&plugins).different == number as u64 + 1).await;
    }
    let (old, new) = (guest!("hostile/trap.wat"), guest!("guests/pass.wat"));
    let (_yard, plugins) = on_trial(with(Mode::Shadow), &old, &new).await;
    assert!(ask(&plugins, "p", &event(1, "{}")).await.result.is_err());
    eventually("it would have mended it", || counts(&plugins).mended == 1).await;
}

#[tokio::test]
async fn a_shadow_that_loops_holds_nobody_up() {
    let mut spec = with(Mode::Shadow);
    spec.limits.time = Duration::from_millis(300);
    let (_yard, plugins) =
        on_trial(spec, &guest!("guests/pass.wat"), &guest!("hostile/loop.wat")).await;
    for number in 0..40 {
        let answer = ask(&plugins, "p", &event(number, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Pass));
    }
    assert!(counts(&plugins).skipped > 0, "only so many at a time");
    eventually("those end", || {
        let counts = counts(&plugins);
        counts.failed + counts.skipped == 40
    })
    .await;
}

/// The fault: shadows took the places and the threads of the active version.
#[tokio::test]
async fn regression_a_slow_shadow_takes_nothing_from_the_version_in_force() {
    let yard = Yard::new();
    yard.put("p.wasm", &guest!("guests/pass.wat"));
    yard.put("p-2.wasm", &guest!("hostile/loop.wat"));
    let mut spec = with(Mode::Shadow);
    spec.limits.time = Duration::from_secs(20);
    // One place for the plugin, and one thread for calls that take long.
    let options = Options { max_instances: 4, slow_threads: 1, ..yard.options() };
    let plugins = Plugins::open(options, vec![spec]).unwrap();
    for report in plugins.load_all().await {
        let _ = report.result;
    }
    assert!(plugins.status()[0].candidate.as_ref().unwrap().digest.is_some());
    for number in 0..40 {
        let answer = ask(&plugins, "p", &event(number, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Pass));
    }
    let counts = counts(&plugins);
    assert_eq!(
        (counts.failed, counts.skipped),
        (0, 40 - 16),
        "all that there is room for still run"
    );
}

#[tokio::test]
async fn a_shadow_counts_apart() {
    let (wasm, other) = (guest!("guests/counts.wat"), guest!("guests/counts.wat"));
    let other = [other, vec![0, 3, 1, b'v', 1]].concat();
    let spec = Spec { grants: vec!["kv".into()], ..with(Mode::Shadow) };
    let (_yard, plugins) = on_trial(spec, &wasm, &other).await;
    for number in 1..5 {
        let mut answer = ask(&plugins, "p", &event(number, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Drop(number.to_string())));
        let rows = plugins.state().commit(answer.changes.take().map(|own| *own), |rows| rows);
        assert_eq!(rows.len(), 1);
        eventually("it is compared", || counts(&plugins).same == number as u64).await;
    }
}

/// "`canary = "5%"` by a hash of the event id; the digest that handled an event is recorded."
#[tokio::test]
async fn a_canary_decides_for_its_share_and_says_so() {
    let (old, new) = (guest!("guests/pass.wat"), guest!("guests/drop.wat"));
    let (_yard, plugins) = on_trial(with(Mode::Canary(30)), &old, &new).await;
    let digests = [&old, &new].map(|wasm| Some(inspect(wasm).unwrap().digest));
    let mut picked = 0;
    for number in 0..200 {
        let event = event(number, "{}");
        let answer = ask(&plugins, "p", &event).await;
        let again = ask(&plugins, "p", &event).await;
        assert_eq!(answer.digest, again.digest, "a replay goes the same way");
        let (digest, result) = match answer.result {
            Ok(Verdict::Drop(_)) => (digests[1], "new"),
            _ => (digests[0], "old"),
        };
        assert_eq!(answer.digest, digest, "{result}");
        picked += usize::from(result == "new");
    }
    assert!((30..90).contains(&picked), "{picked} of 200 are about 30 %");
    assert_eq!(counts(&plugins).same, 2 * picked as u64);
}

/// "An automatic way back when its failure rate exceeds the old one's."
#[tokio::test]
async fn a_canary_that_fails_costs_no_event_and_is_stopped() {
    let (old, new) = (guest!("guests/pass.wat"), guest!("hostile/trap.wat"));
    let (yard, plugins) = on_trial(with(Mode::Canary(50)), &old, &new).await;
    let mut fell_back = 0;
    for number in 0..200 {
        let answer = ask(&plugins, "p", &event(number, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Pass), "the old version decides");
        assert_eq!(answer.digest, Some(inspect(&old).unwrap().digest));
        fell_back += usize::from(answer.log.iter().any(|line| line.starts_with("candidate ")));
    }
    assert_eq!(fell_back, 20, "then it got no more");
    let stopped = counts(&plugins).stopped.unwrap();
    assert!(stopped.starts_with("20 of its 20 calls failed"), "{stopped}");
    assert_eq!(plugins.status()[0].quarantined, None);
    // A better one starts again.
    yard.put("p-2.wasm", &guest!("guests/drop.wat"));
    plugins.load_all().await;
    assert_eq!(counts(&plugins), TrialCounts::default());
    let mut drops = 0;
    for number in 0..50 {
        let answer = ask(&plugins, "p", &event(number, "{}")).await;
        drops += usize::from(matches!(answer.result, Ok(Verdict::Drop(_))));
    }
    assert!(drops > 0);
}

#[tokio::test]
async fn a_candidate_that_does_not_load_leaves_the_old_one_and_says_why() {
    let yard = Yard::new();
    yard.put("p.wasm", &guest!("guests/pass.wat"));
    let plugins = yard.open(vec![with(Mode::Canary(100))]);
    plugins.load_all().await;
    assert_eq!(ask(&plugins, "p", &event(1, "{}")).await.result, Ok(Verdict::Pass));
    let candidate = plugins.status()[0].candidate.clone().unwrap();
    assert!(candidate.last_error.is_some_and(|why| why.contains("p-2.wasm is missing")));
    assert_eq!(candidate.digest, None);
    assert_eq!(plugins.status().len(), 1, "it is no plugin of its own");
    // Settings that stay keep the trial; others end it.
    yard.put("p-2.wasm", &guest!("guests/drop.wat"));
    plugins.load_all().await;
    let drop = Ok(Verdict::Drop("second".into()));
    assert_eq!(ask(&plugins, "p", &event(1, "{}")).await.result, drop);
    plugins.prepare(vec![with(Mode::Canary(100))]).await.unwrap().finish();
    assert_eq!(counts(&plugins).same, 1);
    plugins.prepare(vec![spec("p")]).await.unwrap().finish();
    assert_eq!(ask(&plugins, "p", &event(1, "{}")).await.result, Ok(Verdict::Pass));
    assert!(plugins.status()[0].candidate.is_none());
}

/// A preview is nobody's call: it counts for no trial and no quarantine.
#[tokio::test]
async fn regression_previews_do_not_count() {
    let (old, new) = (guest!("hostile/trap.wat"), guest!("guests/drop.wat"));
    for mode in [Mode::Shadow, Mode::Canary(50)] {
        let (_yard, plugins) = on_trial(with(mode), &old, &new).await;
        let pinned = plugins.pin(&["p".parse().unwrap()]);
        for number in 0..60 {
            let event = event(number, "{}");
            let preview = Call { mode: CallMode::Preview, ..Call::about(&event) };
            let answer = pinned.call(0, &preview).await;
            let decides = if picks(mode, event.id) { &new } else { &old };
            assert_eq!(answer.digest, Some(inspect(decides).unwrap().digest));
        }
        assert_eq!(counts(&plugins), TrialCounts::default());
        assert_eq!(plugins.status()[0].quarantined, None);
    }
}

/// A shadow would outlast its event's turn, and what it does to the host would be nobody's.
#[tokio::test]
async fn regression_a_suspected_event_has_no_shadow() {
    let yard = Yard::new();
    yard.put("p.wasm", &guest!("guests/pass.wat"));
    yard.put("p-2.wasm", &guest!("guests/drop.wat"));
    let (suspected, other) = (event(1, "{}"), event(2, "{}"));
    let mark = format!("{} 0123456789ab p\n", suspected.id);
    std::fs::write(yard.dir.path().join("in-hand"), mark).unwrap();
    let ledger = InFlightLedger::open(yard.dir.path(), i64::MAX).unwrap();
    let options = Options { ledger: Some(ledger.into()), ..yard.options() };
    let plugins = Plugins::open(options, vec![with(Mode::Shadow)]).unwrap();
    plugins.load_all().await;
    assert_eq!(ask(&plugins, "p", &suspected).await.result, Ok(Verdict::Pass));
    assert_eq!(counts(&plugins).skipped, 1);
    assert_eq!(ask(&plugins, "p", &other).await.result, Ok(Verdict::Pass));
    eventually("the other is compared", || counts(&plugins).different == 1).await;
}
