//! What differs between two outcomes, line by line, as the case file would say it.
use similar::TextDiff;

use super::outcome::{Bodies, Outcome};

/// Lines around a change that are shown.
const CONTEXT: usize = 3;

/// None where they are the same. Bodies of JSON are compared by what they mean,
/// unless `exact`; a reason only where one is expected. `names` head the two.
pub fn difference(
    expected: &Outcome,
    got: &Outcome,
    exact: bool,
    names: [&str; 2],
) -> Option<String> {
    let bodies = if exact { Bodies::Exact } else { Bodies::Compared };
    let mut got = got.clone();
    let alike = (expected.verdict, expected.failure) == (got.verdict, got.failure);
    if alike && expected.reason.is_none() {
        got.reason = None;
    }
    let (expected, got) = (expected.write(bodies), got.write(bodies));
    if expected == got {
        return None;
    }
    let diff = TextDiff::from_lines(&expected, &got);
    let shown = diff.unified_diff().context_radius(CONTEXT).header(names[0], names[1]).to_string();
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_plugins::{Amendment, Fault, Verdict};

    fn difference(expected: &Outcome, got: &Outcome, exact: bool) -> Option<String> {
        super::difference(expected, got, exact, ["expected", "got"])
    }

    fn amended(body: &'static str) -> Outcome {
        let mut amendment = Amendment::default();
        amendment.payload.body = Some(body.into());
        Outcome::of(&Ok(Verdict::Amend(Box::new(amendment))))
    }

    #[test]
    fn json_is_compared_by_what_it_means_unless_exact() {
        let (one, same) = (amended(r#"{"a":1,"b":[]}"#), amended("{ \"b\": [], \"a\": 1 }"));
        assert_eq!(difference(&one, &same, false), None);
        assert!(difference(&one, &same, true).is_some());
    }

    #[test]
    fn a_changed_member_is_one_line_of_the_difference() {
        let told = difference(
            &amended(r#"{"amount":1.50,"id":7,"who":{"name":"Ann","place":"Bern, Switzerland"}}"#),
            &amended(r#"{"amount":1.5,"id":7,"who":{"name":"Ann","place":"Bern, Switzerland"}}"#),
            false,
        );
        let told = told.unwrap();
        let changed: Vec<_> = told
            .lines()
            .filter(|line| {
                (line.starts_with('-') || line.starts_with('+'))
                    && !line.starts_with("---")
                    && !line.starts_with("+++")
            })
            .collect();
        assert_eq!(changed, ["-  \"amount\": 1.50,", "+  \"amount\": 1.5,"]);
    }

    #[test]
    fn a_reason_counts_where_one_is_expected() {
        let dropped = |reason: &str| Outcome::of(&Ok(Verdict::Drop(reason.into())));
        let any = Outcome { reason: None, ..dropped("") };
        assert_eq!(difference(&any, &dropped("why"), false), None);
        assert!(difference(&dropped("why"), &dropped("because"), false).is_some());
        let failed = Outcome::of(&Err(Fault::Reject("why".into())));
        assert!(difference(&any, &failed, false).is_some());
    }
}
