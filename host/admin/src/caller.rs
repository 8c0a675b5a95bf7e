//! Who a request is from, as found out before anything else is done with it.
use std::net::IpAddr;

use serde::Serialize;
use utoipa::ToSchema;

use hookwright_model::Scope;

/// Who asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Caller {
    /// The token's name; `local` where none is asked for.
    pub(super) name: String,
    pub(super) scope: Scope,
    #[serde(skip)]
    pub(super) address: Option<IpAddr>,
}
