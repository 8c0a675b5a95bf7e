//! Hosts that are numbers (`inet_aton`): what a resolver behind a proxy takes for an address.
use std::net::{IpAddr, Ipv4Addr};

/// What the host of a URL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal {
    /// It has to be looked up.
    Name,
    Address(IpAddr),
    /// It ends in a number and is not an address: a resolver may still take it for one.
    Odd,
}

/// Reads dotted, decimal, octal and hexadecimal forms, of one to four parts.
pub(super) fn literal(host: &str) -> Literal {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Literal::Address(address);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    // As browsers tell (URL Standard, "ends in a number checker").
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if !digits && number(last).is_none() {
        return Literal::Name;
    }
    let parts: Option<Vec<u64>> = host.split('.').map(number).collect();
    match parts.as_deref().and_then(join) {
        Some(address) => Literal::Address(address.into()),
        None => Literal::Odd,
    }
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [] => return None,
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.is_empty() {
        return Some(0);
    }
    // A sign is none of the digits.
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    u64::from_str_radix(digits, radix).ok().filter(|_| plain)
}

/// The last part fills what the others leave.
fn join(parts: &[u64]) -> Option<Ipv4Addr> {
    let (last, others) = parts.split_last()?;
    let left = 32 - 8 * u32::try_from(others.len()).ok().filter(|count| *count < 4)?;
    if others.iter().any(|part| *part > 255) || *last >> left != 0 {
        return None;
    }
    let high = others.iter().fold(0, |bits, part| bits << 8 | part);
    u32::try_from(high << left | last).ok().map(Ipv4Addr::from_bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0XA9.0xfe.0xA9.0xfe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
        ] {
            assert_eq!(
                literal(host),
                Literal::Address(Ipv4Addr::new(169, 254, 169, 254).into()),
                "{host}"
            );
        }
        assert_eq!(literal("[::1]"), Literal::Address("::1".parse().expect("an address")));
        assert_eq!(literal("0x"), Literal::Address(Ipv4Addr::UNSPECIFIED.into()));
        for host in ["1.2.3.4.5", "256.1.1.1", "4294967296", "a.7", "1..2", "09", "1.2.3.0x100"] {
            assert_eq!(literal(host), Literal::Odd, "{host}");
        }
        for host in ["example.com", "a7", "7a", "7.a", "0xg", "", ".", "-1", "xn--7"] {
            assert_eq!(literal(host), Literal::Name, "{host}");
        }
    }

    proptest! {
        #[test]
        fn any_host_is_read_and_every_number_found(text: String, bits: u32) {
            literal(&text);
            let address = Literal::Address(Ipv4Addr::from_bits(bits).into());
            prop_assert_eq!(literal(&bits.to_string()), address);
            prop_assert_eq!(literal(&format!("{bits:#x}")), address);
        }
    }
}
