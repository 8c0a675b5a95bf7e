//! Plugins: the active versions, and how they do.
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::control::{Control, PluginStatus};
use super::params::{Names, Query, by_name};
use super::recent::{PluginRecent, Recent};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginPage)]
pub(super) struct Page {
    plugins: Vec<Plugin>,
    /// `after` of the next page, where there is one.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plugin {
    #[serde(flatten)]
    status: PluginStatus,
    recent: PluginRecent,
}

/// List plugins
///
/// By name: the active version, what it may use, how it does, and what is
/// tried beside it.
#[utoipa::path(get, path = "/plugins", tag = "plugins", operation_id = "list_plugins",
    params(Names), responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(control): State<Arc<dyn Control>>,
    State(recent): State<Recent>,
    Query(page): Query<Names>,
) -> Json<Page> {
    let (all, next) = by_name(control.plugins(), &page, |status| &status.name);
    let plugin = |status: PluginStatus| {
        let recent = recent.plugin(&status.name);
        Plugin { status, recent }
    };
    Json(Page { plugins: all.into_iter().map(plugin).collect(), next })
}
