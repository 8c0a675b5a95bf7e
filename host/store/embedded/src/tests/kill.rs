//! The real thing: a process that is killed with -9 in the middle of its work.
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const DIR: &str = "HOOKWRIGHT_TEST_KILLED_STORE";

/// Not a test by itself: the process that the next one kills.
#[test]
fn the_one_that_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let options = Options::new(dir, Clock::system());
    let handed = Arc::new(Recorder::default());
    let store = Arc::new(open_embedded(options, handed.clone()).unwrap());
    let opened =
        Opened { store, handed, clock: Clock::system(), dir: Arc::new(TempDir::new().unwrap()) };
    for number in 0u32.. {
        let waiting: Vec<_> = (0..7).map(|_| opened.store.append(event("x"))).collect();
        for one in waiting {
            let id = new_id(wait(one));
            println!("\n{id}");
            let event = opened.find(id);
            if number % 2 == 0 {
                let mut sent = delivery(&event, "ci");
                sent.payload = changed("y");
                opened.store.routed(outcome(&event, EventState::Routed, vec![sent]));
            } else {
                opened.route(&event, &["ci", "log"]);
                opened.settle(id, "log", 1, Next::Delivered);
            }
        }
    }
}

fn run_and_kill(dir: &Path, lines: usize) -> Vec<EventId> {
    let (_, test) = module_path!().split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&format!("{test}::the_one_that_is_killed"), "--exact", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut ids = Vec::new();
    let mut line = String::new();
    while ids.len() < lines {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the child ended by itself");
        ids.extend(line.trim().parse::<EventId>().ok());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    ids.extend(
        output.lines().map_while(Result::ok).filter_map(|line| line.parse::<EventId>().ok()),
    );
    ids
}

#[test]
fn kill_9_at_any_instant_loses_no_acknowledged_event() {
    let dir = Arc::new(TempDir::new().unwrap());
    let mut ids = Vec::new();
    for lines in [1, 40, 333] {
        ids.extend(run_and_kill(dir.path(), lines));
    }
    let opened = Opened::at(dir, Clock::system(), |_| {});
    for id in &ids {
        let read = opened.store.event(*id).unwrap().unwrap_or_else(|| panic!("{id} is lost"));
        assert_eq!(&read.event.body[..], b"x");
        for delivery in read.deliveries {
            let changed = delivery.payload.and_then(|payload| payload.body);
            assert!(changed.is_none_or(|body| &body[..] == b"y"));
        }
    }
    ids.sort();
    ids.dedup();
    assert!(ids.len() >= 374, "no id was given twice");
}
