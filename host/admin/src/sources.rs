//! Sources: how each is doing, and what was refused.
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::control::{Control, SourceStatus};
use super::params::{Limit, Millis, Names, Query, by_name};
use super::problem::Problem;
use super::recent::{Recent, SourceRecent};
use hookwright_model::Rejected;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SourcePage)]
pub(super) struct Page {
    sources: Vec<Source>,
    /// `after` of the next page, where there is one.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Source {
    #[serde(flatten)]
    status: SourceStatus,
    recent: SourceRecent,
}

/// List sources
///
/// By name: where each is posted to, how its provider is set up, what goes
/// wrong, and the last five minutes.
#[utoipa::path(get, path = "/sources", tag = "sources", operation_id = "list_sources",
    params(Names), responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(control): State<Arc<dyn Control>>,
    State(recent): State<Recent>,
    Query(page): Query<Names>,
) -> Json<Page> {
    let (all, next) = by_name(control.sources(), &page, |status| &status.name);
    let source = |status: SourceStatus| {
        let recent = recent.source(&status.name);
        Source { status, recent }
    };
    Json(Page { sources: all.into_iter().map(source).collect(), next })
}

/// Which of them, as the query of the request says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectedParams {
    /// Only for this reason, `bad-signature` for example.
    reason: Option<String>,
    /// Only those before, milliseconds since 1970: `next` of the page before.
    #[param(inline)]
    before: Option<Millis>,
    #[param(inline)]
    limit: Option<Limit>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RejectedPage {
    source: String,
    rejected: Vec<Rejected>,
    /// `before` of the next page, where there is one.
    next: Option<u64>,
}

/// List refused requests
///
/// The last ones of a source, newest first, with the reason, the headers and
/// the start of the body; `-` stands for requests that named no source.
#[utoipa::path(get, path = "/sources/{name}/rejected", tag = "sources",
    operation_id = "list_rejected", params(("name" = String, Path), RejectedParams),
    responses((status = 200, body = RejectedPage)))]
pub(super) async fn rejected(
    State(control): State<Arc<dyn Control>>,
    Path(source): Path<String>,
    Query(params): Query<RejectedParams>,
) -> Result<Json<RejectedPage>, Problem> {
    let Some(mut rejected) = control.rejected(&source) else {
        return Err(Problem::missing(
            "no source has this name; `-` stands for requests without one",
        ));
    };
    rejected.retain(|one| params.before.is_none_or(|before| one.at_ms < before.0));
    rejected.retain(|one| params.reason.as_ref().is_none_or(|reason| reason == one.reason));
    let limit = params.limit.unwrap_or_default().0;
    // What came in one millisecond stays together.
    let cut = rejected.get(limit - 1).map_or(0, |last| last.at_ms);
    let fits = rejected.iter().take_while(|one| one.at_ms >= cut).count();
    let more = fits < rejected.len();
    rejected.truncate(fits);
    let next = rejected.last().filter(|_| more).map(|last| last.at_ms);
    Ok(Json(RejectedPage { source, rejected, next }))
}
