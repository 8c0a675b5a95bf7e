//! The one path of the ingress: `/in/<source>`.

/// The source that a path names; none where the path is not one of ours. Pure,
/// and safe with any text. Whether there is such a source is another question.
pub fn source_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/in/")?;
    if name.is_empty() || name.contains('/') { None } else { Some(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_one_segment_after_in_names_a_source() {
        assert_eq!(source_name("/in/github"), Some("github"));
        for other in ["", "/", "/in", "/in/", "in/github", "/in/a/b", "/in//a", "/in/a/", "/In/a"] {
            assert_eq!(source_name(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_stands_there(path in "(/|in|[a-z.%]){0,12}") {
            if let Some(name) = source_name(&path) {
                prop_assert_eq!(format!("/in/{name}"), path);
            }
        }
    }
}
