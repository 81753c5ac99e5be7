//! The guard's judgement of every range in the registries, with the neighbours on both sides.

use std::net::IpAddr;

use egress::{Config, Denied, Guard};

fn guard() -> Guard {
    Guard::new(&Config::default())
}

fn is_denied(guard: &Guard, address: &str) -> bool {
    guard.check_address(address.parse::<IpAddr>().unwrap()).is_err()
}

/// First and last address of each range that is not public, and public neighbours where there are any.
const RANGES: [(&[&str], &[&str]); 31] = [
    (&["0.0.0.0", "0.255.255.255"], &["1.0.0.0"]),
    (&["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0"]),
    (&["100.64.0.0", "100.127.255.255"], &["100.63.255.255", "100.128.0.0"]),
    (&["127.0.0.0", "127.0.0.1", "127.255.255.255"], &["126.255.255.255", "128.0.0.0"]),
    (&["169.254.0.0", "169.254.169.254", "169.254.255.255"], &["169.253.255.255", "169.255.0.0"]),
    (&["172.16.0.0", "172.31.255.255"], &["172.15.255.255", "172.32.0.0"]),
    (
        &["192.0.0.0", "192.0.0.8", "192.0.0.11", "192.0.0.255"],
        &["191.255.255.255", "192.0.0.9", "192.0.0.10", "192.0.1.0"],
    ),
    (&["192.0.2.0", "192.0.2.255"], &["192.0.1.255", "192.0.3.0"]),
    (&["192.88.99.0", "192.88.99.255"], &["192.88.98.255", "192.88.100.0"]),
    (&["192.168.0.0", "192.168.255.255"], &["192.167.255.255", "192.169.0.0"]),
    (&["198.18.0.0", "198.19.255.255"], &["198.17.255.255", "198.20.0.0"]),
    (&["198.51.100.0", "198.51.100.255"], &["198.51.99.255", "198.51.101.0"]),
    (&["203.0.113.0", "203.0.113.255"], &["203.0.112.255", "203.0.114.0"]),
    (&["224.0.0.0", "239.255.255.255"], &["223.255.255.255"]),
    (&["240.0.0.0", "255.255.255.254", "255.255.255.255"], &[]),
    (&["::", "::1", "::2", "::127.0.0.1"], &[]),
    (&["::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"], &["::ffff:9.255.255.255"]),
    (&["64:ff9b::10.0.0.1", "64:ff9b::7f00:1"], &["64:ff9b::8.8.8.8"]),
    (&["64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "64:ff9b:2::"], &[]),
    (&["100::", "100::ffff:ffff:ffff:ffff", "100:0:0:1::"], &[]),
    (&["2001::", "2001:0:ffff::1", "2001:1ff:ffff::"], &["2000:ffff::", "2001:200::"]),
    (&["2001:1::", "2001:1::4"], &["2001:1::1", "2001:1::2", "2001:1::3"]),
    (&["2001:2::", "2001:2:0:ffff::", "2001:4::"], &["2001:3::", "2001:3:ffff::", "2001:4:112::"]),
    (&["2001:4:111:ffff::", "2001:4:113::"], &["2001:4:112:ffff::"]),
    (
        &["2001:10::", "2001:1f:ffff::", "2001:40::"],
        &["2001:20::", "2001:2f:ffff::", "2001:30::", "2001:3f:ffff::"],
    ),
    (&["2001:db8::", "2001:db8:ffff::1"], &["2001:db7:ffff::", "2001:db9::"]),
    (&["2002:a00:1::", "2002:7f00:1::1", "2002:c0a8:101::"], &["2002:808:808::", "2001:ffff::", "2003::"]),
    (&["3fff::", "3fff:fff:ffff::"], &["3ffe:ffff::", "3fff:1000::"]),
    (&["5f00::", "5f00:ffff::", "4000::"], &[]),
    (&["fc00::", "fd00::1", "fdff:ffff::", "fe00::"], &[]),
    (&["fe80::1", "febf:ffff::", "fec0::1", "ff00::", "ff02::1", "ffff::"], &[]),
];

#[test]
fn ranges_that_are_not_public_are_denied_and_their_neighbours_are_not() {
    let guard = guard();
    for (denied, public) in RANGES {
        for address in denied {
            assert!(is_denied(&guard, address), "{address} must be denied");
        }
        for address in public {
            assert!(!is_denied(&guard, address), "{address} is public");
        }
    }
}

#[test]
fn public_addresses_pass() {
    for address in
        ["1.1.1.1", "8.8.8.8", "192.31.196.1", "2606:4700::1111", "2620:4f:8000::1", "2a00:1450::1"]
    {
        assert!(!is_denied(&guard(), address), "{address} is public");
    }
}

#[test]
fn a_range_that_the_operator_allows_passes_in_every_form_and_no_other_does() {
    let config = Config { allowed: vec!["10.1.0.0/16".parse().unwrap()], ..Config::default() };
    let guard = Guard::new(&config);
    for address in ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"] {
        assert!(!is_denied(&guard, address), "{address} is allowed");
    }
    for address in ["10.0.255.255", "10.2.0.0", "127.0.0.1", "::1"] {
        assert!(is_denied(&guard, address), "{address} is not allowed");
    }
}

#[test]
fn a_denial_names_the_address_and_its_range() {
    let denied = guard().check_address("::ffff:10.0.0.7".parse().unwrap()).unwrap_err();
    assert!(denied.to_string().contains("::ffff:10.0.0.7 is not public (private use)"), "{denied}");
}

#[test]
fn ports_of_other_services_are_denied() {
    assert_eq!(guard().check_port(25), Err(Denied::Port(25)));
    assert_eq!(guard().check_port(443), Ok(()));
    let config = Config { denied_ports: vec![8443], ..Config::default() };
    assert_eq!(Guard::new(&config).check_port(8443), Err(Denied::Port(8443)));
}
