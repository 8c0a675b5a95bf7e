//! The formats in which deliveries are signed. Those of providers are read from the same table as their verification.
use http::HeaderName;

use super::template::{Piece, Template};
use super::{
    Algorithm, Credential, Encoding, KeyForm, Part, Place, Preset, Proof, SigningKey, Unit, presets,
};

/// How deliveries are signed.
#[derive(Debug, Clone)]
pub struct Sign {
    /// What is signed, and where the signature is written.
    pub format: Format,
    /// In the order of the settings. All that count at the attempt's time sign,
    /// where the format has room for several; else the first of them.
    pub keys: Vec<Credential<SigningKey>>,
}

/// Formats whose receivers' own code takes the last signature of a header and no
/// other (Paddle's package for JavaScript, the sample of Calendly's docs): they get one.
const ONE_ONLY: [&str; 2] = ["paddle", "calendly"];

impl Sign {
    /// Standard Webhooks: `v1` by shared secrets, `v1a` by private keys.
    pub fn standard<C: Into<Credential<SigningKey>>>(keys: impl IntoIterator<Item = C>) -> Self {
        let format =
            Format::of(&presets::STANDARD).expect("the format signs no more than deliveries have");
        Self { format, keys: keys.into_iter().map(Into::into).collect() }
    }
}

/// What is signed, how, and where the signature is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The header with the signatures.
    pub header: HeaderName,
    /// How signatures by shared secrets are made.
    pub algorithm: Algorithm,
    /// How they are written.
    pub encoding: Encoding,
    /// What is signed.
    pub signed: Template,
    /// The header's value for one signature.
    pub value: Template,
    pub(super) value_public: Template,
    /// Stands before the signatures, as one more entry.
    pub(super) lead: Option<Template>,
    /// Between entries of the header; none where there is room for one.
    pub(super) separator: Option<u8>,
    /// Whether all keys sign, or the first alone.
    pub(super) several: bool,
    pub(super) unit: Unit,
    /// Where the receiver looks for the time and the id, beside `webhook-timestamp` and `webhook-id`.
    pub(super) time_header: Option<HeaderName>,
    pub(super) id_header: Option<HeaderName>,
}

impl Format {
    /// An HMAC in a header of the user's choice.
    pub fn hmac(
        header: HeaderName,
        algorithm: Algorithm,
        encoding: Encoding,
        signed: Template,
        value: Template,
    ) -> Self {
        Self {
            header,
            algorithm,
            encoding,
            signed,
            value_public: value.clone(),
            value,
            lead: None,
            separator: None,
            several: false,
            unit: Unit::Seconds,
            time_header: None,
            id_header: None,
        }
    }

    /// As the provider signs. None where it signs what a delivery has not, such
    /// as the URL, or with a private key that only the provider has.
    pub fn of(preset: &'static Preset) -> Option<Self> {
        let Proof::Signed(signed) = &preset.proof else { return None };
        let shared = matches!(preset.key, KeyForm::Text | KeyForm::Standard | KeyForm::Hex);
        let hmac =
            matches!(signed.algorithm, Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Sha512);
        if !shared || !hmac {
            return None;
        }
        let place = &signed.signature;
        // The names that came before the standard are all that its older packages read.
        let old = preset.name == presets::SVIX.name;
        let named = |names: &[&'static str]| {
            if old { names.last().copied() } else { names.first().copied() }
        };
        let header = HeaderName::from_static(named(place.headers)?);
        let (mut lead, mut time_header) = (None, None);
        match preset.time.map(|time| time.place) {
            Some(Place::Entry(prefix)) => lead = Some(Template::after(prefix, Piece::Timestamp)),
            Some(Place::Header(names)) => {
                time_header = other_than("webhook-timestamp", named(names))
            }
            Some(_) => return None,
            None => {}
        }
        let id_header = match preset.id.filter(|_| preset.signs(Part::Id)) {
            Some(Place::Header(names)) => other_than("webhook-id", named(names)),
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            header,
            algorithm: signed.algorithm,
            encoding: signed.encoding,
            signed: Template::of_parts(signed.message)?,
            value: Template::after(place.prefix, Piece::Signature),
            value_public: Template::after(place.public_prefix, Piece::Signature),
            lead,
            separator: place.separator,
            several: place.separator.is_some() && !ONE_ONLY.contains(&preset.name),
            unit: preset.time.map_or(Unit::Seconds, |time| time.unit),
            time_header,
            id_header,
        })
    }

    /// Whether shared secrets and private keys make signatures of two kinds, as
    /// Standard Webhooks has `v1` and `v1a`.
    pub fn has_public_kind(&self) -> bool {
        self.value_public != self.value
    }

    /// The headers that it sets: nobody else may.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        [Some(&self.header), self.time_header.as_ref(), self.id_header.as_ref()]
            .into_iter()
            .flatten()
    }
}

/// The name that the receiver looks for, where it is not the one that every delivery has.
fn other_than(usual: &str, name: Option<&'static str>) -> Option<HeaderName> {
    name.filter(|name| *name != usual).map(HeaderName::from_static)
}

/// The providers in whose format deliveries can be signed, in the order of the table.
pub fn formats() -> impl Iterator<Item = &'static Preset> {
    // Others that sign by Standard Webhooks are that format, or that of the names before it.
    let standard = [presets::STANDARD.name, presets::SVIX.name];
    let own = move |preset: &&'static Preset| {
        preset.key != KeyForm::Standard || standard.contains(&preset.name)
    };
    presets::ALL.into_iter().filter(own).filter(|preset| Format::of(preset).is_some())
}
