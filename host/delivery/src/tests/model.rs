//! Random hand-offs, failures and overflow over real sockets: each is delivered exactly once a round.
use std::collections::HashMap;
use std::time::Duration;

use super::*;
use hookwright_testkit::receiver::{Reply, Seen, answer, status};

/// A small generator (SplitMix64), so that a seed names a run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// Fails each event as often as its id says, in as many ways, then takes it.
fn moody(seen: &Seen) -> Reply {
    let id = seen.headers["webhook-id"].as_bytes();
    let attempt: u64 =
        seen.headers["hookwright-attempt"].to_str().expect("text").parse().expect("n");
    let mut dice = Dice(u64::from(id[21]) << 16 | u64::from(id[20]) << 8 | u64::from(id[19]));
    let moods = dice.roll(4);
    let mut slow = |reply| Reply::After(Duration::from_millis(dice.roll(4)), Box::new(reply));
    if attempt > moods {
        return slow(status(200));
    }
    slow(match (moods + attempt) % 4 {
        0 => status(503),
        1 => Reply::Close(vec![]),
        2 => answer(429, "retry-after: 0\r\n", "slow down"),
        _ => Reply::Reset(vec![]),
    })
}

async fn run(seed: u64) {
    let mut dice = Dice(seed);
    let names = ["a", "b", "c"];
    let receiver = Receiver::start(moody).await;
    let mut destinations = Destinations::new();
    for text in names {
        let mut options = to(&receiver);
        options.in_flight = 1 + dice.roll(12) as usize;
        options.policy.base = Duration::from_millis(1 + dice.roll(20));
        destinations.insert(name(text), options);
    }
    let options = Options { destinations, window: 0, ..Options::default() };
    let bench = Bench::start_with(TestStore::late(), options);
    let mut next = 0;
    let mut rounds: HashMap<(&'static str, EventId), usize> = HashMap::new();
    for _ in 0..40 {
        let mut burst = Vec::new();
        for _ in 0..dice.roll(30) {
            next += 1;
            let body = vec![b'x'; dice.roll(4_000) as usize];
            let to = names[dice.roll(3) as usize];
            burst.push((to, delivery(next, to, body)));
        }
        for (to, delivery) in burst {
            rounds.extend(bench.store.add(vec![delivery]).into_iter().map(|id| ((to, id), 1)));
        }
        let mut ended: Vec<_> = rounds.keys().copied().collect();
        ended.retain(|(to, id)| bench.store.is_delivered(to, *id));
        ended.sort_by_key(|(_, id)| *id);
        if !ended.is_empty() {
            let (to, id) = ended[dice.roll(ended.len() as u64) as usize];
            let before = successes(&bench.store.row(to, id));
            bench.store.again(to, id);
            bench.store.until(|store| successes(&store.row(to, id)) > before).await;
            *rounds.get_mut(&(to, id)).expect("known") += 1;
        }
        tokio::task::yield_now().await;
    }
    for text in names {
        bench.all_delivered(text).await;
    }
    let mut made = 0;
    for ((to, id), rounds) in &rounds {
        let row = bench.store.row(to, *id);
        assert_eq!(successes(&row), *rounds, "{row:?}, seed {seed}");
        made += row.attempts.len();
    }
    assert_eq!(receiver.seen().len(), made, "every request is recorded once, seed {seed}");
}

fn successes(row: &super::store::Row) -> usize {
    row.attempts.iter().filter(|attempt| attempt.outcome.is_success()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_delivery_succeeds_exactly_once_a_round() {
    for seed in 0..4 {
        run(seed).await;
    }
}
