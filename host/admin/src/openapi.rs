//! The document of the API, made from the routes and the types that serve it.
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};

use hookwright_model::Scope;
use hookwright_server::ProblemDocument;

/// Of the scheme in the document.
const TOKEN: &str = "token";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Hookwright",
        description = "The admin API of a Hookwright host. Lists are read page by page: where an \
                       answer has `next`, ask again with it as `before` (newest first) or `after` \
                       (by name). Errors are problem documents with a stable `code`.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "events", description = "What came in, and what became of it."),
        (name = "replays", description = "Many events handled again."),
        (name = "sources", description = "Who may post."),
        (name = "destinations", description = "Where events go."),
        (name = "plugins", description = "What filters, changes and routes events."),
        (name = "host", description = "The host itself."),
    )
)]
struct Head;

/// Without paths.
pub(super) fn head() -> OpenApi {
    let mut head = Head::openapi();
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description =
        Some("A token of the settings; not asked for where they name none.".into());
    let components = head.components.get_or_insert_default();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    head
}

/// Writes to each operation what its routes have in common: the scope that it
/// takes, and how it refuses.
pub(super) fn guarded(api: &mut OpenApi, scope: Scope) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let refused = ResponseBuilder::new()
        .description("Why not, as a problem document")
        .content("application/problem+json", problem)
        .build();
    for operation in api.paths.paths.values_mut().flat_map(operations) {
        operation.security = Some(vec![SecurityRequirement::new(TOKEN, [scope.as_str()])]);
        let responses = &mut operation.responses.responses;
        responses.insert("default".to_owned(), refused.clone().into());
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete]
        .into_iter()
        .flatten()
}
