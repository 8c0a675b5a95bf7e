//! The address policy of one destination: which addresses it may have.
use std::net::IpAddr;

use ipnet::IpNet;

use super::blocked;
use super::guard::Guard;
use hookwright_settings::NetworkPolicy;

/// The kind of an address that the destination must not have; none if it is allowed.
///
/// `table` is for those that the policy does not allow.
pub(super) fn refusal(
    policy: &NetworkPolicy,
    address: IpAddr,
    table: Guard,
) -> Option<&'static str> {
    match policy {
        NetworkPolicy::Public => table(address),
        NetworkPolicy::Networks(networks) => {
            let plain = address.to_canonical();
            let by_itself = |network: &&IpNet| network.prefix_len() == network.max_prefix_len();
            let mut named = networks.iter().filter(|network| network.contains(&plain));
            match blocked::address(plain) {
                None if named.next().is_some() => None,
                Some(_) if named.any(|network| by_itself(&network)) => None,
                shut => shut.or_else(|| table(address)),
            }
        }
        NetworkPolicy::Any => blocked::address(address),
    }
}

/// The advice in the message of a refusal.
pub(super) fn cure(policy: &NetworkPolicy) -> &'static str {
    match policy {
        NetworkPolicy::Public => "set `allow_private` for this destination if that is meant",
        NetworkPolicy::Networks(_) | NetworkPolicy::Any => {
            "name its network, or where it is a cloud's or link-local the address by itself, in the list `allow_private` of this destination if that is meant"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard;

    fn judge(policy: &NetworkPolicy, text: &str) -> Option<&'static str> {
        refusal(policy, text.parse().expect(text), guard::refusal)
    }

    #[test]
    fn a_named_network_passes_and_no_other() {
        let policy = NetworkPolicy::Networks(vec!["10.20.0.0/16".parse().expect("a network")]);
        for text in ["10.20.3.4", "::ffff:10.20.3.4", "8.8.8.8"] {
            assert_eq!(judge(&policy, text), None, "{text}");
        }
        for text in ["10.21.0.1", "127.0.0.1", "169.254.169.254", "64:ff9b::10.20.3.4"] {
            assert!(judge(&policy, text).is_some(), "{text}");
        }
        let metadata =
            NetworkPolicy::Networks(vec!["169.254.169.254/32".parse().expect("a network")]);
        assert_eq!(judge(&metadata, "169.254.169.254"), None);
        assert_eq!(judge(&metadata, "::ffff:169.254.169.254"), None);
        assert!(judge(&metadata, "169.254.169.253").is_some());
    }

    /// The fault: a listed network that contains a cloud's address opened that address.
    #[test]
    fn regression_a_network_does_not_open_the_metadata_in_it() {
        let all =
            ["0.0.0.0/0", "::/0", "169.254.0.0/16", "100.64.0.0/10", "fd00::/8", "64:ff9b::/96"];
        let policy =
            NetworkPolicy::Networks(all.map(|text| text.parse().expect("a network")).to_vec());
        for text in ["10.0.0.1", "127.0.0.1", "100.64.0.1", "fd12::1", "64:ff9b::10.0.0.1"] {
            assert_eq!(judge(&policy, text), None, "{text}");
        }
        for text in [
            "169.254.169.254",
            "::ffff:169.254.170.23",
            "64:ff9b::169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "224.0.0.1",
        ] {
            assert!(judge(&policy, text).is_some(), "{text}");
        }
        let one = NetworkPolicy::Networks(vec!["fd00:ec2::254/128".parse().expect("a network")]);
        assert_eq!(judge(&one, "fd00:ec2::254"), None);
    }

    #[test]
    fn metadata_is_refused_even_where_private_addresses_are_allowed() {
        for text in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"] {
            assert_eq!(judge(&NetworkPolicy::Any, text), None, "{text}");
        }
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fe80::a9fe:a9fe",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(judge(&NetworkPolicy::Any, text).is_some(), "{text}");
        }
    }
}
