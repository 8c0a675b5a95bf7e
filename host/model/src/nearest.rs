//! Which of some names a person may have meant.

/// The name most like the wanted one, where one is like it at all.
pub fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // A long key is not worth the quadratic comparison.
    if wanted.len() > 100 {
        return None;
    }
    let wanted = wanted.to_lowercase().replace('-', "_");
    let score = |name: &str| {
        let name = name.replace('-', "_");
        let prefix = name.starts_with(&wanted) || wanted.starts_with(&name);
        strsim::normalized_damerau_levenshtein(&wanted, &name) + if prefix { 0.3 } else { 0.0 }
    };
    let scored = names.map(|name| (name, score(name))).filter(|(_, score)| *score >= 0.6);
    scored.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name)
}

/// `a`, `b`, `c`.
pub fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
