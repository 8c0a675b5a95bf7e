//! `sign` of a destination: how the receiver knows that a delivery is ours.
use super::super::kind::{Choice, List};
use super::super::reader::Section;
use super::super::secret;
use super::super::verify::need_secrets;
use crate::signing::Sign;

pub(super) fn read(s: &Section<'_, '_>) -> Option<Sign> {
    #[derive(Clone, Copy, PartialEq)]
    enum Scheme {
        None,
        Standard,
    }
    const SCHEMES: Choice<Scheme> =
        Choice(&[("standard", Scheme::Standard), ("none", Scheme::None)]);
    let doc = "`standard` is Standard Webhooks, `v1`.";
    let scheme = s.key("scheme", SCHEMES, doc).required();
    let doc = "One signature for each, so that the receiver can change secrets: `whsec_` and base64 of 24 to 64 bytes.";
    let secrets = s.key("secrets", List(secret::STANDARD), doc).optional("required unless `none`");
    match scheme? {
        Scheme::None => {
            s.only(&["scheme"], "scheme `none`");
            Some(Sign::None)
        }
        Scheme::Standard => {
            need_secrets(s);
            secrets.map(|secrets| Sign::Standard { secrets })
        }
    }
}
