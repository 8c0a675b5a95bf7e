//! A swap drops nothing; the cache is trusted only while it is whole.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::{Fault, Verdict};
use hookwright_model::Digest;

fn digest(wasm: &[u8]) -> Digest {
    crate::inspect(wasm).unwrap().digest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_under_load_loses_no_call_and_mixes_no_versions() {
    let (first, second) = (guest!("guests/pass.wat"), guest!("guests/drop.wat"));
    let (first_digest, second_digest) = (digest(&first), digest(&second));
    let (yard, plugins) = loaded(spec("p"), &first).await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered: Arc<[AtomicUsize; 4]> = Arc::default();
    let askers: Vec<_> = (0..4)
        .map(|own| {
            let (plugins, stop, answered) = (plugins.clone(), stop.clone(), answered.clone());
            tokio::spawn(async move {
                let mut seen = std::collections::HashSet::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(&plugins, "p", &event(1, "{}")).await;
                    let digest = answer.digest.unwrap();
                    match answer.result.unwrap() {
                        Verdict::Pass => assert_eq!(digest, first_digest),
                        Verdict::Drop(_) => assert_eq!(digest, second_digest),
                        other => panic!("{other:?}"),
                    }
                    seen.insert(digest);
                    answered[own].fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                seen
            })
        })
        .collect();
    let counts = || answered.each_ref().map(|own| own.load(Ordering::Relaxed));
    // Of each asker: one that waits long would see one version only.
    let gone_on = |before: [usize; 4]| {
        counts().into_iter().zip(before).all(|(now, before)| now > before + 20)
    };
    for wasm in [&second, &first, &second] {
        let before = counts();
        eventually("calls go on", || gone_on(before)).await;
        yard.put("p.wasm", wasm);
        plugins.load_all().await[0].result.as_ref().unwrap();
    }
    let before = counts();
    eventually("calls go on", || gone_on(before)).await;
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        assert_eq!(asker.await.unwrap().len(), 2, "each saw both versions");
    }
}

#[tokio::test]
async fn a_pinned_version_outlives_the_swap() {
    let (yard, plugins) = loaded(spec("p"), &guest!("guests/pass.wat")).await;
    let pinned = plugins.pin(&[name("p")]);
    yard.put("p.wasm", &guest!("guests/drop.wat"));
    plugins.load_all().await[0].result.as_ref().unwrap();
    let event = event(1, "{}");
    let asked = Call { replay: true, ..Call::about(&event) };
    assert_eq!(pinned.call(0, &asked).await.result, Ok(Verdict::Pass));
    assert_eq!(ask(&plugins, "p", &event).await.result, Ok(Verdict::Drop("second".into())));
}

#[tokio::test]
async fn a_plugin_that_fails_for_most_events_is_quarantined_until_a_new_version_comes() {
    let (yard, plugins) = loaded(spec("p"), &guest!("hostile/trap.wat")).await;
    for number in 0..20 {
        let answer = ask(&plugins, "p", &event(number, "{}")).await;
        assert!(matches!(answer.result, Err(Fault::Trap(_))), "{:?}", answer.result);
    }
    let answer = ask(&plugins, "p", &event(20, "{}")).await;
    let Err(Fault::Quarantined(why)) = &answer.result else { panic!("{:?}", answer.result) };
    assert!(why.contains("20 of its last 20") && why.contains("last words"), "{why}");
    assert!(answer.digest.is_some() && answer.log.is_empty());
    let quarantined = plugins.status()[0].quarantined.clone().unwrap();
    assert_eq!(&quarantined.why, why);
    yard.put("p.wasm", &guest!("guests/pass.wat"));
    plugins.load_all().await;
    assert_eq!(ask(&plugins, "p", &event(21, "{}")).await.result, Ok(Verdict::Pass));
    assert_eq!(plugins.status()[0].quarantined, None);
}

#[tokio::test]
async fn a_bad_version_never_replaces_a_good_one() {
    let (yard, plugins) = loaded(spec("p"), &guest!("guests/pass.wat")).await;
    for bad in
        [guest!("hostile/loop-always.wat"), guest!("hostile/wants-network.wat"), b"\0asm".to_vec()]
    {
        yard.put("p.wasm", &bad);
        assert!(plugins.load_all().await[0].result.is_err());
        assert_eq!(ask(&plugins, "p", &event(1, "{}")).await.result, Ok(Verdict::Pass));
        assert!(plugins.status()[0].last_error.is_some());
    }
    std::fs::remove_file(yard.plugins_dir().join("p.wasm")).unwrap();
    plugins.load_all().await;
    assert_eq!(ask(&plugins, "p", &event(1, "{}")).await.result, Ok(Verdict::Pass));
    assert!(plugins.status()[0].last_error.as_ref().unwrap().contains("missing"));
}

#[tokio::test]
async fn settings_are_taken_over_whole_or_not_at_all() {
    let (yard, plugins) = loaded(spec("p"), &guest!("guests/pass.wat")).await;
    yard.put("q.wasm", &guest!("guests/drop.wat"));
    let changed = Spec { config_json: r#"{"x": 1}"#.into(), ..spec("p") };
    let refused = plugins.prepare(vec![changed.clone(), spec("gone")]).await.err().unwrap();
    assert_eq!(refused.0.len(), 1);
    assert!(refused.to_string().contains("`gone`"), "{refused}");
    assert_eq!(plugins.status().len(), 1);
    plugins.prepare(vec![changed, spec("q")]).await.unwrap().finish();
    assert_eq!(ask(&plugins, "p", &event(1, "{}")).await.result, Ok(Verdict::Pass));
    assert_eq!(
        ask(&plugins, "q", &event(1, "{}")).await.result,
        Ok(Verdict::Drop("second".into()))
    );
}

#[tokio::test]
async fn a_poisoned_cache_is_compiled_anew() {
    let (yard, plugins) = loaded(spec("p"), &guest!("guests/pass.wat")).await;
    drop(plugins);
    let cache = yard.options().cache_dir;
    let entries = || -> Vec<_> {
        std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let [entry] = entries().try_into().unwrap();
    let whole = std::fs::read(&entry).unwrap();
    // The native code, its head, the checksum and the mark at the end.
    let places = [0, whole.len() / 2, whole.len() - 100, whole.len() - 20, whole.len() - 1];
    let flipped = places.map(|place| {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        flipped
    });
    let cut = [whole[..whole.len() / 2].to_vec(), Vec::new()];
    for damaged in flipped.iter().chain(&cut) {
        std::fs::write(&entry, damaged).unwrap();
        let plugins = yard.open(vec![spec("p")]);
        plugins.load_all().await[0].result.as_ref().unwrap();
        assert_eq!(ask(&plugins, "p", &event(1, "{}")).await.result, Ok(Verdict::Pass));
        assert_eq!(entries(), std::slice::from_ref(&entry));
        drop(plugins);
        let plugins = Plugins::open(cannot_compile(&yard), vec![spec("p")]).unwrap();
        let kept = plugins.load_all().await;
        assert!(kept[0].result.is_ok(), "a whole entry replaced the damaged one");
    }
}

/// "The compiled cache can't be poisoned (mode, owner, key, hash), and a bad entry is recompiled."
#[tokio::test]
async fn a_cache_entry_that_is_not_ours_or_not_this_ones_is_compiled_anew() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let yard = Yard::new();
    yard.put("p.wasm", &guest!("guests/pass.wat"));
    yard.put("q.wasm", &guest!("guests/drop.wat"));
    let cache = yard.options().cache_dir;
    let entries = || -> Vec<_> {
        std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    yard.open(vec![spec("p")]).load_all().await;
    let [entry] = entries().try_into().unwrap();
    yard.open(vec![spec("q")]).load_all().await;
    let other = entries().into_iter().find(|path| *path != entry).unwrap();
    let moved = || {
        std::fs::remove_file(&entry).unwrap();
        std::fs::copy(&other, &entry).unwrap();
    };
    let mode = || {
        std::fs::set_permissions(&entry, std::fs::Permissions::from_mode(0o620)).unwrap();
    };
    let link = || {
        let target = yard.dir.path().join("elsewhere");
        std::fs::rename(&entry, &target).unwrap();
        symlink(&target, &entry).unwrap();
    };
    let owner = || {
        // Only root can give a file away; others can't make such an entry either.
        let given = std::os::unix::fs::chown(&entry, Some(12_345), None);
        given.is_ok()
    };
    let tampered: [(&str, &dyn Fn() -> bool); 4] = [
        ("another one's", &|| {
            moved();
            true
        }),
        ("of a lax mode", &|| {
            mode();
            true
        }),
        ("a link", &|| {
            link();
            true
        }),
        ("of another user", &owner),
    ];
    for (what, tamper) in tampered {
        if !tamper() {
            continue;
        }
        let refused = Plugins::open(cannot_compile(&yard), vec![spec("p")]).unwrap();
        assert!(refused.load_all().await[0].result.is_err(), "{what}: it was not loaded");
        let plugins = yard.open(vec![spec("p")]);
        plugins.load_all().await[0].result.as_ref().unwrap();
        let answer = ask(&plugins, "p", &event(1, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Pass), "{what}");
        let whole = Plugins::open(cannot_compile(&yard), vec![spec("p")]).unwrap();
        assert!(whole.load_all().await[0].result.is_ok(), "{what}: a good one replaced it");
    }
}

#[tokio::test]
async fn the_cache_spares_compiling() {
    let (yard, plugins) = loaded(spec("p"), &guest!("guests/pass.wat")).await;
    drop(plugins);
    let plugins = Plugins::open(cannot_compile(&yard), vec![spec("p")]).unwrap();
    plugins.load_all().await[0].result.as_ref().unwrap();
    assert_eq!(ask(&plugins, "p", &event(1, "{}")).await.result, Ok(Verdict::Pass));
}

/// What loads with these comes from the cache.
fn cannot_compile(yard: &Yard) -> Options {
    let none = Compiler::Child { program: "/nonexistent".into(), args: Vec::new() };
    Options { compiler: none, ..yard.options() }
}
