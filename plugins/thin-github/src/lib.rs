//! Makes GitHub's large events thin and stable: one flat object below 2 KiB, whatever GitHub adds.
mod shape;

use hookwright_plugin::prelude::*;

/// Amends the events that have a shape, and passes all others as they came.
///
/// The event's kind is what counts, or the header `x-github-event` where the
/// host knows no kind. The thin event says nothing that GitHub did not: each
/// value is copied as it stands, only long texts are cut.
#[plugin]
pub fn handle(event: Event) -> Result<Verdict> {
    let kind = match event.kind() {
        "" => event.header("x-github-event").unwrap_or_default(),
        kind => kind,
    };
    let Some(shape) = shape::of(kind) else { return Ok(Verdict::pass()) };
    let found = event.select_all(shape.iter().map(|(_, pointer)| *pointer));
    if found.iter().all(Option::is_none) {
        debug!("a {kind} without a single known value");
        return Ok(Verdict::pass());
    }
    let mut thin = shape::Writer::new(kind);
    let mut amendment = Amendment::new();
    for ((name, _), value) in shape.iter().zip(found) {
        let Some(value) = value else { continue };
        if let Some(attribute) = shape::attribute(name) {
            let text = value.text().unwrap_or_else(|| value.raw().to_owned());
            amendment = amendment.attribute(attribute, shape::short_ref(&text));
        }
        thin.add(name, &value);
    }
    Ok(amendment.body(thin.finish()).content_type("application/json").into())
}

#[cfg(test)]
mod tests;
