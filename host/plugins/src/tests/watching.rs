//! The directory watch: renames, symlink swaps, half copies, a directory that goes and returns.
use super::*;
use crate::{Fault, Verdict};

struct Watched {
    yard: Yard,
    plugins: Plugins,
    watch: tokio::task::JoinHandle<()>,
}

impl Watched {
    async fn new() -> Self {
        let (yard, plugins) = loaded(spec("p"), &guest!("guests/pass.wat")).await;
        Self::over(yard, plugins)
    }

    fn over(yard: Yard, plugins: Plugins) -> Self {
        let watching = plugins.clone();
        let watch = tokio::spawn(async move { watching.watch().await });
        Self { yard, plugins, watch }
    }

    fn file(&self) -> std::path::PathBuf {
        self.yard.plugins_dir().join("p.wasm")
    }

    async fn becomes(&self, wasm: &[u8]) {
        let wanted = Some(crate::inspect(wasm).unwrap().digest);
        eventually("the new version takes over", || {
            let status = &self.plugins.status()[0];
            status.digest == wanted && status.last_error.is_none()
        })
        .await;
    }

    async fn complains(&self, of: &str) {
        eventually(of, || {
            self.plugins.status()[0].last_error.as_ref().is_some_and(|text| text.contains(of))
        })
        .await;
        let answer = ask(&self.plugins, "p", &event(1, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Pass), "the old version stays");
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[tokio::test]
async fn a_rename_over_the_file_takes_over() {
    let watched = Watched::new().await;
    let second = guest!("guests/drop.wat");
    watched.yard.put("p.wasm.new", &second);
    std::fs::rename(watched.yard.plugins_dir().join("p.wasm.new"), watched.file()).unwrap();
    watched.becomes(&second).await;
    watched.yard.put("p.wasm", &guest!("guests/pass.wat"));
    watched.becomes(&guest!("guests/pass.wat")).await;
}

#[tokio::test]
async fn a_symlink_swap_takes_over() {
    let watched = Watched::new().await;
    let (dir, second) = (watched.yard.plugins_dir(), guest!("guests/drop.wat"));
    // As a Kubernetes volume does it: one link for all files, swapped by a rename.
    for (version, wasm) in [("v1", &guest!("guests/pass.wat")), ("v2", &second)] {
        std::fs::create_dir(dir.join(version)).unwrap();
        std::fs::write(dir.join(version).join("p.wasm"), wasm).unwrap();
    }
    std::os::unix::fs::symlink("v1", dir.join("data")).unwrap();
    std::fs::remove_file(watched.file()).unwrap();
    std::os::unix::fs::symlink("data/p.wasm", watched.file()).unwrap();
    std::os::unix::fs::symlink("v2", dir.join("data.new")).unwrap();
    std::fs::rename(dir.join("data.new"), dir.join("data")).unwrap();
    watched.becomes(&second).await;
}

#[tokio::test]
async fn a_half_copied_file_waits_for_its_other_half() {
    let watched = Watched::new().await;
    let second = guest!("guests/drop.wat");
    watched.yard.put("p.wasm", &second[..second.len() / 2]);
    watched.complains("half copied").await;
    watched.yard.put("p.wasm", &second);
    watched.becomes(&second).await;
}

/// "A version that was removed from the directory stays active for events in
/// flight, then its events follow `on_failure`."
#[tokio::test]
async fn a_file_that_is_taken_away_takes_its_version_with_it() {
    let watched = Watched::new().await;
    let in_flight = watched.plugins.pin(&[name("p")]);
    std::fs::remove_file(watched.file()).unwrap();
    eventually("the version goes", || watched.plugins.status()[0].digest.is_none()).await;
    let answer = ask(&watched.plugins, "p", &event(1, "{}")).await;
    assert!(
        matches!(&answer.result, Err(Fault::NotLoaded(why)) if why.contains("p.wasm is missing")),
        "{:?}",
        answer.result
    );
    let answer = ask_pinned(&in_flight, &event(1, "{}")).await;
    assert_eq!(answer.result, Ok(Verdict::Pass), "events in flight end with it");
    watched.yard.put("p.wasm", &guest!("guests/pass.wat"));
    watched.becomes(&guest!("guests/pass.wat")).await;
    let answer = ask(&watched.plugins, "p", &event(1, "{}")).await;
    assert_eq!(answer.result, Ok(Verdict::Pass));
}

#[tokio::test]
async fn a_file_that_is_removed_and_written_anew_leaves_no_gap() {
    let grace = Duration::from_secs(60);
    let yard = Yard::new();
    yard.put("p.wasm", &guest!("guests/pass.wat"));
    let options = Options { grace, ..yard.options() };
    let plugins = Plugins::open(options, vec![spec("p")]).unwrap();
    plugins.load_all().await;
    let watched = Watched::over(yard, plugins);
    std::fs::remove_file(watched.file()).unwrap();
    watched.complains("missing").await;
    watched.yard.put("p.wasm", &guest!("guests/drop.wat"));
    watched.becomes(&guest!("guests/drop.wat")).await;
}

#[tokio::test]
async fn a_directory_that_vanishes_may_return() {
    let watched = Watched::new().await;
    let second = guest!("guests/drop.wat");
    std::fs::remove_dir_all(watched.yard.plugins_dir()).unwrap();
    watched.complains("missing").await;
    std::fs::create_dir(watched.yard.plugins_dir()).unwrap();
    watched.yard.put("p.wasm", &second);
    watched.becomes(&second).await;
    // The watch stands on the new directory.
    watched.yard.put("p.wasm", &guest!("guests/pass.wat"));
    watched.becomes(&guest!("guests/pass.wat")).await;
}
