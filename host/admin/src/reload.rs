//! The settings, read again because somebody says so.
use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::control::{Control, ReloadRefused, Reloaded};
use super::problem::Problem;

/// Read the settings again
///
/// And all files that they name: secrets, certificates, schemas. As SIGHUP does, for where
/// no signal can be sent. Answers once the new settings are active; where there is a mistake
/// in them the old ones stay, and `errors` has all mistakes with their places and cures.
#[utoipa::path(post, path = "/reload", tag = "host", operation_id = "reload_settings",
    responses((status = 200, body = Reloaded)))]
pub(super) async fn reload(
    State(control): State<Arc<dyn Control>>,
) -> Result<Json<Reloaded>, Problem> {
    match control.reload().await {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(ReloadRefused::Mistakes(mistakes)) => Err(Problem::mistakes(&mistakes)),
        Err(ReloadRefused::Impossible) => {
            Err(Problem::conflict("this host reads no settings file again, or it is stopping"))
        }
    }
}
