//! The address guard: which addresses a destination must not have because only this machine or its network can reach them.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names the kind of a refused address.
pub(super) type Guard = fn(IpAddr) -> Option<&'static str>;

/// The kind of a special-purpose address (from the IANA registries); none if the address is
/// public.
///
/// IPv6 is refused outside 2000::/3, except for forms that embed an IPv4
/// address: these are judged by the embedded address.
pub(super) fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "an unspecified address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "a carrier's shared address",
        [127, ..] => "a loopback address",
        [169, 254, ..] => "a link-local address (cloud metadata)",
        // Azure's, though the address looks public.
        [168, 63, 129, 16] => "a cloud's metadata address",
        [192, 0, 0, _] => "a protocol assignment",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "a documentation address",
        [192, 88, 99, _] => "a 6to4 relay",
        [198, 18 | 19, ..] => "a benchmarking address",
        [224..=239, ..] => "a multicast address",
        [255, 255, 255, 255] => "the broadcast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    })
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_loopback() {
        return Some("a loopback address");
    }
    if address.is_unspecified() {
        return Some("an unspecified address");
    }
    let parts = address.segments();
    let [isatap, first, second] = carried(parts);
    if let Some(kind) = [isatap, first, second].into_iter().flatten().find_map(refusal_v4) {
        return Some(kind);
    }
    // One's own NAT64 leads into a network, whatever it carries, and translated addresses nowhere.
    let local = matches!(parts, [0x64, 0xff9b, 1, ..] | [0, 0, 0, 0, 0xffff, 0, ..]);
    let everybodys = first.is_some() && !local;
    if everybodys { None } else { special_v6(parts) }
}

/// The IPv4 addresses in it: one behind an interface of ISATAP (RFC 5214),
/// whatever the prefix; then those of a form that is nothing else.
pub(super) fn carried(parts: [u16; 8]) -> [Option<Ipv4Addr>; 3] {
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    let last = v4(parts[6], parts[7]);
    let isatap = if matches!(parts[4..6], [0 | 0x200, 0x5efe]) { last } else { None };
    let [first, second] = match parts {
        // IPv4-compatible, IPv4-mapped, IPv4-translated (RFC 2765), NAT64's well-known prefix (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => [last, None],
        // NAT64 of one's own (RFC 8215), with a prefix of 96 bits, of 48, or whatever may be.
        [0x64, 0xff9b, 1, 0, 0, 0, ..] => [last, None],
        [0x64, 0xff9b, 1, high, middle, low, 0, 0] => [v4(high, middle << 8 | low >> 8), None],
        [0x64, 0xff9b, 1, high, middle, low, ..] => [last, v4(high, middle << 8 | low >> 8)],
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [v4(high, low), None],
        // Teredo (RFC 4380): the server's address, and the client's with all bits flipped.
        [0x2001, 0, high, low, ..] => [v4(high, low), v4(!parts[6], !parts[7])],
        _ => [None, None],
    };
    [isatap, first, second]
}

fn special_v6(parts: [u16; 8]) -> Option<&'static str> {
    Some(match parts {
        [0x64, 0xff9b, 1, ..] => "a local NAT64 address",
        [0xfc00..=0xfdff, ..] => "a unique local address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfec0..=0xfeff, ..] => "a site-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => "a documentation address",
        [0x2001, 2, 0, ..] => "a benchmarking address",
        // The rest of 2001::/23: protocol assignments, ORCHID among them.
        [0x2001, 1..=0x1ff, ..] => "a protocol assignment",
        [0x2000..=0x3fff, ..] => return None,
        _ => "outside of the public address space",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judge(text: &str) -> Option<&'static str> {
        refusal(text.parse().expect(text))
    }

    #[test]
    fn special_addresses_are_refused() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "100::1",
            "64:ff9b:1::808:808",
            "5f00::1",
            "4000::1",
            "8000::1",
            "1::1",
            "::ffff:0:808:808",
        ] {
            assert!(judge(text).is_some(), "{text} must be refused");
        }
    }

    #[test]
    fn transition_forms_are_judged_by_the_address_they_carry() {
        for inner in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "192.168.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            for text in carriers(inner.parse().expect(inner)) {
                assert!(refusal(text.into()).is_some(), "{text} carries {inner}");
            }
        }
        for text in carriers("8.8.8.8".parse().expect("an address")) {
            assert_eq!(refusal(text.into()), None, "{text} carries a public address");
        }
    }

    /// The address in each form that carries an IPv4 address.
    fn carriers(inner: Ipv4Addr) -> Vec<Ipv6Addr> {
        let [a, b, c, d] = inner.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        vec![
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !0x0808, !0x0808),
            Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low),
            Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0x5efe, high, low),
            Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0x200, 0x5efe, high, low),
        ]
    }

    #[test]
    fn public_addresses_pass() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2001:200::1",
            "3ffe::1",
        ] {
            assert_eq!(judge(text), None, "{text} must pass");
        }
    }

    proptest! {
        #[test]
        fn no_ipv6_outside_of_2000_3_passes_by_itself(bits: u128) {
            let address = Ipv6Addr::from(bits);
            let carries = matches!(
                address.segments(),
                [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..]
            );
            if refusal(address.into()).is_none() && !carries {
                prop_assert_eq!(bits >> 125, 1);
            }
        }

        #[test]
        fn a_mapped_address_is_judged_as_itself(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            prop_assert_eq!(refusal(inner.to_ipv6_mapped().into()).is_some(), refusal(inner.into()).is_some());
        }
    }
}
