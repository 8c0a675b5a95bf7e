//! What each scheme's check costs, whether the place of the first wrong byte shows in its time, and that changed requests get nowhere.
use std::hint::black_box;
use std::time::{Instant, SystemTime};

use hookwright_signing::{Draft, Request, Sent, Verifier};
use hookwright_tests::mutants::{self, Dice};
use hookwright_tests::schemes::{AT, Case, check, received};
use http::{HeaderMap, Method};

use super::median;

/// Checks in one measurement.
const CALLS: u32 = 500;
/// Pairs of measurements of the timing of a wrong byte.
const PAIRS: usize = 1_001;

/// Prints the three; `changed` is how many requests to change.
pub(crate) fn run(rounds: usize, changed: u64) -> anyhow::Result<()> {
    let cases = Case::all();
    costs(&cases, rounds)?;
    timing(&cases)?;
    let seed = SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
    let tally = mutants::run(&cases, changed, &mut Dice(seed));
    println!(
        "\nchanged requests over all schemes: {} accepted, {} refused {:?}",
        tally.accepted.len(),
        tally.refused,
        tally.reasons
    );
    anyhow::ensure!(tally.accepted.is_empty(), "accepted: {:#?}", tally.accepted);
    Ok(())
}

/// A request and its headers as the receiver has them.
fn prepared(case: &Case, size: usize) -> anyhow::Result<(Sent, HeaderMap)> {
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(size.saturating_sub(11)));
    // Who reads its fields out of the body gets a body of its own shape.
    let own = !case.signs_body() || case.name == "linear";
    let body = Some(body.as_bytes()).filter(|_| !own);
    let sent = case.sent(&Draft { id: "msg_1", at_s: AT, kind: None, body });
    let headers = received(&sent).ok_or_else(|| anyhow::anyhow!("{} can't be sent", case.name))?;
    anyhow::ensure!(check(&case.verifier, &headers, &sent, AT).is_ok(), "{}", case.name);
    Ok((sent, headers))
}

/// Microseconds of one check.
fn timed(verifier: &Verifier, sent: &Sent, headers: &HeaderMap) -> f64 {
    let query = sent.query.as_deref();
    let request = Request { method: &Method::POST, query, headers, body: &sent.body };
    let begin = Instant::now();
    for _ in 0..CALLS {
        let _ = black_box(verifier.verify(black_box(&request), AT));
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
}

fn costs(cases: &[Case], rounds: usize) -> anyhow::Result<()> {
    let sizes = [1 << 10, 16 << 10];
    let mut subjects = Vec::new();
    for case in cases {
        for size in sizes {
            subjects.push((case, prepared(case, size)?, Vec::new()));
        }
    }
    for _ in 0..rounds {
        for (case, (sent, headers), times) in &mut subjects {
            times.push(timed(&case.verifier, sent, headers));
        }
    }
    println!(
        "one check, one thread, one secret; schemes that do not sign the whole body get a small one"
    );
    println!("{:<20} {:>12} {:>12}", "", "1 KiB, µs", "16 KiB, µs");
    for pair in subjects.chunks(sizes.len()) {
        let name = &pair[0].0.name;
        println!("{name:<20} {:>12.2} {:>12.2}", median(&pair[0].2), median(&pair[1].2));
    }
    Ok(())
}

/// The same wrong signature, its first byte changed or its last: pairs of
/// measurements, each one the other way round, and the median of their differences.
fn timing(cases: &[Case]) -> anyhow::Result<()> {
    println!("\nthe first wrong byte of the secret or signature: first against last");
    println!("{:<20} {:>12} {:>12} {:>12}", "", "first, µs", "last, µs", "difference");
    for name in ["github", "stripe", "standard", "gitlab", "bearer", "basic", "api-key header"] {
        let case = cases.iter().find(|case| case.name == name);
        let case = case.ok_or_else(|| anyhow::anyhow!("no scheme {name}"))?;
        let (sent, headers) = prepared(case, 64)?;
        let wrong = |last: bool| {
            let mut headers = headers.clone();
            let header = case.headers().into_iter().find(|name| headers.contains_key(*name));
            let header = header.unwrap_or_default().to_owned();
            let signature = if headers.contains_key("webhook-signature") {
                "webhook-signature"
            } else {
                &header
            };
            let mut text = headers[signature].as_bytes().to_vec();
            let length = text.len();
            // Behind the prefix; not in base64's last digit, which is checked before.
            let prefix = (0..length - 8).rev().find(|at| b"=, ".contains(&text[*at]));
            let place = if last { length - 4 } else { prefix.map_or(0, |at| at + 1) };
            text[place] = if text[place] == b'1' { b'2' } else { b'1' };
            headers.insert(signature.parse::<http::HeaderName>()?, text.try_into()?);
            anyhow::ensure!(check(&case.verifier, &headers, &sent, AT).is_err(), "{name}");
            anyhow::Ok(headers)
        };
        let (first, last) = (wrong(false)?, wrong(true)?);
        let (mut firsts, mut lasts, mut differences) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            let before = (pair % 2 == 1).then(|| timed(&case.verifier, &sent, &last));
            let one = timed(&case.verifier, &sent, &first);
            let other = before.unwrap_or_else(|| timed(&case.verifier, &sent, &last));
            firsts.push(one);
            lasts.push(other);
            differences.push(other - one);
        }
        println!(
            "{name:<20} {:>12.4} {:>12.4} {:>+9.1} ns",
            median(&firsts),
            median(&lasts),
            median(&differences) * 1e3
        );
    }
    Ok(())
}
