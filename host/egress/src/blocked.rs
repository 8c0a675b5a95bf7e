//! Networks that stay blocked even inside an allowed network: services that give this machine its credentials, and
//! addresses that are not a single host.
//!
//! `allow_private` opens none of them, neither as `true` nor by a network that
//! contains them: only an address that is listed by itself is allowed.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::guard::carried;

const METADATA: &str = "a cloud's metadata address";
const LINK_LOCAL: &str = "a link-local address (cloud metadata)";

/// Address, prefix length, and kind of each network.
const V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an unspecified address"),
    // AWS, GCE, Azure, Oracle, OpenStack, DigitalOcean, Hetzner, Scaleway (.42.42), ECS (.170.2),
    // EKS (.170.23), Tencent (.0.23) and more.
    (Ipv4Addr::new(169, 254, 0, 0), 16, LINK_LOCAL),
    // Azure's, though the address looks public.
    (Ipv4Addr::new(168, 63, 129, 16), 32, METADATA),
    // Alibaba Cloud; overlay networks leave the rest of the /24 out, too.
    (Ipv4Addr::new(100, 100, 100, 0), 24, METADATA),
    // Volcano Engine.
    (Ipv4Addr::new(100, 96, 0, 96), 32, METADATA),
    // Oracle Cloud's first (.192), among protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24, METADATA),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

const V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LINK_LOCAL),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "a multicast address"),
    // AWS: metadata (::254), the pods' identities of EKS (::23), resolver and clock.
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32, METADATA),
    // GCE, ::254.
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0), 64, METADATA),
    // Oracle Cloud, ::a9fe:a9fe.
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0, 0), 64, METADATA),
    // Scaleway, ::42.
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0), 64, METADATA),
    // Linode, ::1.
    (Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 0), 64, METADATA),
];

/// The names of clouds' metadata services. If this host resolves a name, it checks the
/// addresses; this list is for names that a proxy resolves.
const NAMES: [&str; 10] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
    "metadata.oraclecloud.com",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "metadata.packet.net",
];

/// The kind of a blocked address; none if it is not blocked.
pub(super) fn address(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) if address.is_loopback() => None,
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let holds = |network: &Ipv4Addr, length: u32| (network.to_bits() ^ bits) >> (32 - length) == 0;
    V4.iter().find(|(network, length, _)| holds(network, *length)).map(|(.., kind)| *kind)
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(kind) = carried(address.segments()).into_iter().flatten().find_map(v4) {
        return Some(kind);
    }
    let bits = address.to_bits();
    // As several clouds write 169.254.169.254, and NAT64 by a prefix of one's own.
    if bits as u32 == Ipv4Addr::new(169, 254, 169, 254).to_bits() {
        return Some(METADATA);
    }
    let holds = |network: &Ipv6Addr, length: u32| (network.to_bits() ^ bits) >> (128 - length) == 0;
    V6.iter().find(|(network, length, _)| holds(network, *length)).map(|(.., kind)| *kind)
}

/// The kind of a blocked host name; none if it is not blocked.
pub(super) fn name(host: &str) -> Option<&'static str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    NAMES.iter().any(|name| name.eq_ignore_ascii_case(host)).then_some("a cloud's metadata service")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judge(text: &str) -> Option<&'static str> {
        address(text.parse().expect(text))
    }

    /// Each cloud's address, as its documentation has it.
    const CLOUDS: &[(&str, &str)] = &[
        ("AWS EC2", "169.254.169.254"),
        ("AWS EC2", "fd00:ec2::254"),
        ("AWS ECS", "169.254.170.2"),
        ("AWS EKS pod identity", "169.254.170.23"),
        ("AWS EKS pod identity", "fd00:ec2::23"),
        ("Google Compute Engine", "169.254.169.254"),
        ("Google Compute Engine", "fd20:ce::254"),
        ("GKE metadata server", "169.254.169.252"),
        ("Azure", "169.254.169.254"),
        ("Azure WireServer", "168.63.129.16"),
        ("Oracle Cloud", "192.0.0.192"),
        ("Oracle Cloud", "fd00:c1::a9fe:a9fe"),
        ("Alibaba Cloud", "100.100.100.200"),
        ("Tencent Cloud", "169.254.0.23"),
        ("Volcano Engine", "100.96.0.96"),
        ("Scaleway", "169.254.42.42"),
        ("Scaleway", "fd00:42::42"),
        ("Linode", "fd00:a9fe:a9fe::1"),
        ("OpenStack", "fe80::a9fe:a9fe"),
        ("DigitalOcean", "169.254.169.254"),
        ("Hetzner", "169.254.169.254"),
        ("link-local, any", "169.254.255.255"),
        ("link-local, any", "febf::1"),
    ];

    /// `allow_private = true` opened the metadata of EKS, GCE, OCI and Scaleway over IPv6.
    #[test]
    fn regression_no_cloud_tells_its_credentials_to_a_destination() {
        for (cloud, text) in CLOUDS {
            assert!(judge(text).is_some(), "{cloud}: {text}");
            let IpAddr::V4(inner) = text.parse().expect(text) else { continue };
            for text in forms(inner) {
                assert!(judge(&text).is_some(), "{cloud}: {text}");
            }
        }
    }

    /// An IPv4 address in each form of IPv6 that leads to it.
    fn forms(inner: Ipv4Addr) -> Vec<String> {
        let [a, b, c, d] = inner.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        vec![
            format!("::ffff:{inner}"),
            format!("::ffff:0:{inner}"),
            format!("::{inner}"),
            format!("64:ff9b::{inner}"),
            format!("64:ff9b:1::{inner}"),
            format!("64:ff9b:1:{high:x}:{c:x}:{d:x}00::"),
            format!("2002:{high:x}:{low:x}::1"),
            format!("2001:0:808:808::{:x}:{:x}", !high, !low),
            format!("2001:0:{high:x}:{low:x}::1"),
            format!("fd12::5efe:{inner}"),
        ]
    }

    #[test]
    fn what_networks_have_inside_is_open() {
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.101.102.103",
            "168.63.129.17",
            "198.18.0.1",
            "8.8.8.8",
            "::1",
            "fd12::1",
            "fd00::1",
            "fd00:42:1::1",
            "fd20:ce:0:1::254",
            "fd00:ec3::254",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1:a00:0:100::",
            "2606:4700::1111",
        ] {
            assert_eq!(judge(text), None, "{text}");
        }
    }

    #[test]
    fn names_of_metadata_are_known_however_they_are_written() {
        for host in ["metadata.google.internal", "METADATA.google.internal.", "instance-data"] {
            assert!(name(host).is_some(), "{host}");
        }
        for host in ["metadata.example.com", "example.com", "", "."] {
            assert_eq!(name(host), None, "{host}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_shut_is_so_in_every_form(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            if v4(inner).is_some() {
                for text in forms(inner) {
                    prop_assert!(judge(&text).is_some(), "{}", text);
                }
            }
            prop_assert_eq!(v4(inner).is_some(), address(inner.to_ipv6_mapped().into()).is_some());
        }
    }
}
