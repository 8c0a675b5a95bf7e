//! What a token of the admin side may do: as the settings say it, and the API asks for it at each group of its routes.
use serde::Serialize;
use utoipa::ToSchema;

/// What a token may do. Each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// See everything but the audit log.
    Read,
    /// Replay events, and try what a replay would do.
    Replay,
    /// Change how the host works, and see who did.
    Admin,
}

impl Scope {
    /// All of them, each behind those that it includes.
    pub const ALL: [Self; 3] = [Self::Read, Self::Replay, Self::Admin];

    /// As the settings and the API name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Replay => "replay",
            Self::Admin => "admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn each_scope_includes_the_ones_before_it() {
        assert!(Scope::ALL.is_sorted());
    }
}
