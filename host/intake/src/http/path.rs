//! The paths of the ingress: `/in/<source>` and, for a source with tokens, `/in/<source>/<token>`.

/// The source and the token that a path names; none where the path is not one
/// of ours. Pure, and safe with any text. Whether there is such a source, and
/// whether the token is right, are other questions.
pub fn target(path: &str) -> Option<(&str, Option<&str>)> {
    let rest = path.strip_prefix("/in/")?;
    let (name, token) = match rest.split_once('/') {
        Some((name, token)) => (name, Some(token)),
        None => (rest, None),
    };
    let good = |segment: &str| !segment.is_empty() && !segment.contains('/');
    (good(name) && token.is_none_or(good)).then_some((name, token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_segment_after_in_is_the_source_and_a_second_the_token() {
        assert_eq!(target("/in/github"), Some(("github", None)));
        assert_eq!(target("/in/github/t0ken"), Some(("github", Some("t0ken"))));
        for other in ["", "/", "/in", "/in/", "in/github", "/in//a", "/in/a/", "/in/a/b/", "/In/a"]
        {
            assert_eq!(target(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_stands_there(path in "(/|in|[a-z.%]){0,12}") {
            match target(&path) {
                Some((name, None)) => prop_assert_eq!(format!("/in/{name}"), path),
                Some((name, Some(token))) => prop_assert_eq!(format!("/in/{name}/{token}"), path),
                None => {}
            }
        }
    }
}
