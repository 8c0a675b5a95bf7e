//! The writer of a file, and what others do to the file meanwhile.
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::places::Places;
use super::writer;
use super::writer::Writer;
use hookwright_settings::FileOptions;

/// A file's writer with its settings.
#[derive(Clone)]
struct Pen {
    writer: Writer,
    options: Arc<FileOptions>,
}

impl Pen {
    fn of(places: &Places, options: FileOptions) -> Self {
        Self { writer: places.writer(Some(&options.path)), options: Arc::new(options) }
    }

    /// The only one in its process.
    fn new(options: FileOptions) -> Self {
        Self::of(&Places::default(), options)
    }

    fn plain(path: &Path) -> Self {
        Self::new(options(path))
    }

    async fn write(&self, line: &str, at_ms: u64) -> writer::Written {
        self.writer.write(line.as_bytes().to_vec(), Some(self.options.clone()), at_ms).await
    }
}

fn options(path: &Path) -> FileOptions {
    FileOptions::new(path.to_owned())
}

/// As the host writes them.
fn line(number: usize) -> String {
    format!("{{\"id\":\"evt_{number:05}\"}}\n")
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Every line of all files once, and nothing else.
fn assert_all(folder: &Path, count: usize) {
    let text = files(folder).concat();
    let lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    let expected: BTreeSet<String> = (0..count).map(line).collect();
    assert_eq!(lines.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(lines.len(), count, "each once");
}

#[tokio::test]
async fn lines_of_many_are_whole_and_each_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/lines");
    let pen = Pen::plain(&path);
    let lines: Vec<String> = (0..500).map(line).collect();
    for written in join_all(lines.iter().map(|line| pen.write(line, 0))).await {
        written.unwrap();
    }
    assert_all(path.parent().unwrap(), 500);
}

#[tokio::test]
async fn a_line_of_ours_that_a_crash_cut_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    let long = format!("a\n{{\"id\":\"evt_{}", "x".repeat(10_000));
    for (before, after) in [
        ("a\nb\n{\"id\":\"evt_0", "a\nb\nnew\n"),
        ("{\"id", "new\n"),
        ("a\n{", "a\nnew\n"),
        ("a\n", "a\nnew\n"),
        ("", "new\n"),
        (&long, "a\nnew\n"),
    ] {
        fs::write(&path, before).unwrap();
        Pen::plain(&path).write("new\n", 0).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), after, "{before}");
    }
}

/// A file is not the host's alone: what somebody else is writing was cut off as
/// if it were the host's own, half of a line or not.
#[tokio::test]
async fn regression_nothing_that_others_wrote_is_ever_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    for (before, after) in [
        ("theirs, unfinished", "theirs, unfinished\nnew\n"),
        ("a\n{\"level\":\"info\"", "a\n{\"level\":\"info\"\nnew\n"),
        ("\0\0\0", "\0\0\0\nnew\n"),
    ] {
        fs::write(&path, before).unwrap();
        Pen::plain(&path).write("new\n", 0).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), after, "{before}");
    }
    // While another Hookwright has the file, its half line may become a whole one.
    fs::write(&path, "{\"id\":\"evt_0").unwrap();
    let other = fs::File::open(&path).unwrap();
    other.try_lock().unwrap();
    Pen::plain(&path).write("new\n", 0).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"id\":\"evt_0\nnew\n");
    drop(other);
    // What others append between our lines stays in its place.
    let pen = Pen::plain(&path);
    fs::write(&path, "").unwrap();
    for number in 0..20 {
        pen.write(&line(2 * number), 0).await.unwrap();
        let mut theirs = fs::OpenOptions::new().append(true).open(&path).unwrap();
        theirs.write_all(line(2 * number + 1).as_bytes()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), (0..40).map(line).collect::<String>());
}

#[tokio::test]
async fn a_new_file_is_begun_by_size_by_age_and_when_somebody_took_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.jsonl");
    let sized = Pen::new(FileOptions { max_size: Some(4), keep: Some(2), ..options(&path) });
    for (line, at_ms) in
        [("a\n", 0), ("b\n", 1_000), ("c\n", 2_000), ("longer\n", 3_000), ("d\n", 4_000)]
    {
        sized.write(line, at_ms).await.unwrap();
    }
    // `a` and `b` filled the first, which two younger ones have driven out by now.
    assert_eq!(files(folder.path()), ["c\n", "longer\n", "d\n"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.jsonl");
    let max_age = Some(Duration::from_secs(60));
    let aged = Pen::new(FileOptions { max_age, ..options(&path) });
    for (line, at_ms) in [("a\n", 0), ("b\n", 59_999), ("c\n", 60_000)] {
        aged.write(line, at_ms).await.unwrap();
    }
    assert_eq!(files(folder.path()), ["a\nb\n", "c\n"]);
    fs::rename(&path, folder.path().join("taken")).unwrap();
    aged.write("e\n", 60_001).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "e\n");
    assert_eq!(fs::read_to_string(folder.path().join("taken")).unwrap(), "c\n");
}

/// logrotate's `copytruncate`: the next line went to where the file had ended
/// before, behind as many NULs.
#[tokio::test]
async fn regression_a_file_that_was_emptied_goes_on_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    let pen = Pen::plain(&path);
    let mut all = String::new();
    for number in 0..30 {
        pen.write(&line(number), 0).await.unwrap();
        if number % 3 == 0 {
            all += &fs::read_to_string(&path).unwrap();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        }
    }
    all += &fs::read_to_string(&path).unwrap();
    assert_eq!(all, (0..30).map(line).collect::<String>());
}

#[tokio::test]
async fn regression_a_file_that_was_removed_is_made_anew_and_keeps_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/lines");
    let pen = Pen::plain(&path);
    for number in 0..5 {
        pen.write(&line(number), 0).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line(number));
        // logrotate's `create` puts an empty one in its place.
        fs::remove_file(&path).unwrap();
        match number {
            1 => fs::write(&path, "").unwrap(),
            2 => fs::remove_dir(path.parent().unwrap()).unwrap(),
            _ => {}
        }
    }
}

/// Each reload made a second writer, and two destinations may reach one file
/// over links: each overwrote, and cut off, lines of the other.
#[tokio::test(flavor = "multi_thread")]
async fn regression_whoever_writes_to_a_file_and_by_whatever_name_loses_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir_all(out.join("sub")).unwrap();
    let path = out.join("lines.jsonl");
    fs::write(&path, "").unwrap();
    let (linked, hard) = (folder.path().join("linked"), folder.path().join("hard"));
    symlink(&path, &linked).unwrap();
    fs::hard_link(&path, &hard).unwrap();
    let spelled = out.join("sub/../lines.jsonl");
    for max_size in [None, Some(400)] {
        let places = Places::default();
        let names = [&path, &path, &linked, &hard, &spelled];
        // A hard link is a name of its own, which moving the other one does not move.
        let names = names.iter().filter(|name| max_size.is_none() || **name != &hard);
        let pens: Vec<Pen> =
            names.map(|path| Pen::of(&places, FileOptions { max_size, ..options(path) })).collect();
        let lines: Vec<String> = (0..1_000).map(line).collect();
        let writes = lines.iter().enumerate().map(|(number, line)| {
            let (pen, line) = (pens[number % pens.len()].clone(), line.clone());
            tokio::spawn(async move { pen.write(&line, 0).await })
        });
        for written in join_all(writes).await {
            written.unwrap().unwrap();
        }
        fs::remove_dir(out.join("sub")).unwrap();
        assert_all(&out, 1_000);
        assert!(linked.is_symlink(), "a link stays where it is");
        for entry in fs::read_dir(&out).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::create_dir(out.join("sub")).unwrap();
    }
}

/// "File exists" was said of a folder that is not there.
#[tokio::test]
async fn regression_a_link_to_a_folder_that_is_away_is_told_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    symlink("away", folder.path().join("link")).unwrap();
    let pen = Pen::plain(&folder.path().join("link/sub/lines"));
    let error = pen.write("a\n", 0).await.unwrap_err().to_string();
    assert!(error.contains("link is a link that leads nowhere"), "{error}");
    fs::create_dir(folder.path().join("away")).unwrap();
    pen.write("a\n", 0).await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("away/sub/lines")).unwrap(), "a\n");
}

#[test]
fn one_path_has_one_writer_for_as_long_as_somebody_uses_it() {
    let places = Places::default();
    let writer = |path: &str| places.writer(Some(Path::new(path)));
    let first = writer("/a/b");
    assert!(first.is_same(&writer("/a/./b")));
    assert!(!first.is_same(&writer("/a/c")));
    let output = places.writer(None);
    assert!(output.is_same(&places.writer(None)));
}

/// A full disk leaves a part of a line, which would begin the next one.
#[tokio::test]
#[expect(unsafe_code, reason = "std ignores no signal by itself")]
async fn regression_a_line_that_did_not_fit_leaves_nothing_behind() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const MOST: u64 = 1 << 32;
    // SAFETY: ignoring a signal runs no code. It is what turns the limit into an error.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let maximum = getrlimit(Resource::Fsize).maximum;
    // For all of this process, and larger than any other test's files.
    setrlimit(Resource::Fsize, Rlimit { current: Some(MOST), maximum }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    let mut file = fs::File::create(&path).unwrap();
    let before = MOST - 10;
    file.set_len(before - 1).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    file.write_all(b"\n").unwrap();
    let pen = Pen::plain(&path);
    // Ten bytes of it fit.
    let error = pen.write(&line(1), 0).await.unwrap_err();
    assert!(error.contains("lines: "), "{error}");
    assert_eq!(fs::metadata(&path).unwrap().len(), before);
    // There is room again, and the host has gone on.
    file.set_len(0).unwrap();
    for number in 0..2 {
        pen.write(&line(number), 0).await.unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), line(0) + &line(1));
}

/// Lines that nobody waits for any more were kept as long as the disk hung, and
/// each try again came on top of them.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_disk_that_hangs_gathers_no_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    let places = Places::default();
    let pen = Pen::of(&places, options(&path));
    pen.write(&line(0), 0).await.unwrap();
    let data = fs::metadata(&path).unwrap();
    let turn = places.files().turn((data.dev(), data.ino()));
    let (taken, is_taken) = std::sync::mpsc::channel();
    let (release, is_released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let _turn = turn.lock();
        taken.send(()).unwrap();
        let _ = is_released.recv();
    });
    is_taken.recv().unwrap();
    for number in 1..50 {
        let text = line(number);
        let written = pen.write(&text, 0);
        assert!(tokio::time::timeout(Duration::from_millis(1), written).await.is_err());
    }
    assert!(pen.writer.waiting() <= 1, "{} lines wait", pen.writer.waiting());
    assert!(tokio::time::timeout(Duration::from_millis(1), pen.writer.idle()).await.is_err());
    drop(release);
    holder.join().unwrap();
    pen.write(&line(50), 0).await.unwrap();
    pen.writer.idle().await;
    assert!(fs::read_to_string(&path).unwrap().ends_with(&line(50)));
}

#[tokio::test]
async fn regression_new_files_are_the_owners_alone_unless_the_settings_say_otherwise() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/lines");
    Pen::plain(&path).write(&line(0), 0).await.unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    // Exactly as it is said, and after a turn too; one that is there keeps its own.
    let path = folder.path().join("group/lines");
    let pen = Pen::new(FileOptions { mode: 0o664, max_size: Some(1), ..options(&path) });
    for number in 0..3 {
        pen.write(&line(number), 0).await.unwrap();
    }
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o664);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    Pen::new(FileOptions { mode: 0o600, ..options(&path) }).write(&line(3), 0).await.unwrap();
    assert_eq!(mode(&path), 0o640);
}

#[tokio::test]
async fn regression_in_a_folder_of_everybody_no_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (open, target) = (folder.path().join("tmp"), folder.path().join("target"));
    fs::create_dir(&open).unwrap();
    fs::write(&target, "").unwrap();
    let path = open.join("lines");
    symlink(&target, &path).unwrap();
    Pen::plain(&path).write("followed\n", 0).await.unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let error = Pen::plain(&path).write("x\n", 0).await.unwrap_err();
    assert!(error.contains("is a link in a folder that everybody may write to"), "{error}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "followed\n");
    fs::remove_file(&path).unwrap();
    Pen::plain(&path).write("own\n", 0).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "own\n");
}

#[tokio::test]
async fn what_can_not_be_written_is_told_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = Pen::plain(folder.path()).write("x\n", 0).await.unwrap_err();
    assert!(error.contains(&*folder.path().to_string_lossy()), "{error}");
    let error = Pen::plain(Path::new("/dev/full")).write("x\n", 0).await.unwrap_err();
    assert!(error.contains("/dev/full: is not a regular file"), "{error}");
}
