//! Which addresses a request that a stranger caused may go to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressRule {
    /// Addresses of the public internet only.
    #[default]
    Public,
    /// Also this machine: for tests and local networks.
    PublicAndLoopback,
}

impl AddressRule {
    /// Whether `address` may be connected to. An address that embeds an IPv4 address is judged by that one too.
    pub fn allows(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) if self == Self::PublicAndLoopback && v6 == Ipv6Addr::LOCALHOST => true,
            IpAddr::V6(v6) => is_public_v6(v6) && embedded_v4(v6).is_none_or(|v4| self.allows_v4(v4)),
        }
    }

    fn allows_v4(self, v4: Ipv4Addr) -> bool {
        (self == Self::PublicAndLoopback && v4.is_loopback()) || is_public_v4(v4)
    }
}

/// Whether the IANA IPv4 Special-Purpose Address Registry has `address` as reachable from everywhere.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // "This network", private use, loopback, link local (cloud metadata), private use, private use.
        (0 | 10 | 127, ..) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Shared address space of carriers, IETF protocols, documentation, 6to4 relays, benchmarks, documentation.
        (100, 64..=127, _) | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) => true,
        (198, 51, 100) | (203, 0, 113) => true,
        // Multicast, reserved, broadcast.
        (224..=255, ..) => true,
        _ => false,
    };
    !special
}

/// Whether `address` lies in the global unicast block, outside the parts of it that IANA's registry sets aside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // IETF protocols with Teredo, benchmarks and ORCHID; documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // NAT64 (RFC 6052): what it embeds decides.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => true,
        // 2000::/3. Outside are loopback, unspecified, IPv4-mapped, unique local, link local, site local and multicast addresses.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The IPv4 address that a translator would take from `address`: NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_reached() {
        let rule = AddressRule::default();
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert!(rule.allows(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:1.1.1.1",
            "::127.0.0.1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2001:10::1",
            "3fff::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!rule.allows(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn loopback_is_allowed_only_where_it_is_said() {
        let rule = AddressRule::PublicAndLoopback;
        for (address, allowed) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("1.1.1.1", true),
            ("10.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(rule.allows(address.parse().unwrap()), allowed, "{address}");
        }
    }
}
