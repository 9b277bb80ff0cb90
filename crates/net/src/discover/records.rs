//! Reads the answers to SIOCGIFCONF and SIOCGLIFCONF, whatever system they come from.
//!
//! Every length in an answer is checked against the bytes that are there. The first record that is not whole ends the
//! reading; records of other families (link addresses) are stepped over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sys::interfaces::Answer;

use super::layout::Layout;
use crate::Family;

const INET: u16 = 2;
/// A `struct sockaddr`, which a shorter address is padded to.
const SOCKADDR: usize = 16;

/// One record with an address of IPv4 or IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// The zone of a link-local address, if it came along.
    pub scope: Option<u32>,
    /// The bytes of the record, to ask for its netmask with.
    pub bytes: &'a [u8],
}

/// The records of an answer, and whether it was whole.
#[must_use]
pub fn parse<'a>(layout: &Layout, answer: &'a Answer) -> (Vec<Record<'a>>, bool) {
    let Some(mut rest) = meant(layout, answer) else { return (Vec::new(), false) };
    let (mut found, whole) = (Vec::new(), rest.len() as u64 == length(layout, answer));
    while !rest.is_empty() {
        let Some((bytes, after)) = size(layout, rest).and_then(|size| rest.split_at_checked(size)) else {
            return (found, false);
        };
        match record(layout, bytes) {
            Content::Address(record) => found.push(record),
            Content::Other => {}
            Content::Damaged => return (found, false),
        }
        rest = after;
    }
    (found, whole)
}

/// The bytes that the kernel says it filled.
#[must_use]
pub fn length(layout: &Layout, answer: &Answer) -> u64 {
    let bytes = answer.header.get(layout.length_at..).and_then(<[u8]>::first_chunk::<4>);
    bytes.map_or(0, |bytes| u64::from(layout.order.u32(*bytes)))
}

/// The netmask in the answer to a netmask request: in the place of the address, and of its family, whatever family and
/// length the kernel wrote there (older systems leave the family 0, and cut zeros off the end).
#[must_use]
pub fn mask(layout: &Layout, family: Family, answer: &[u8]) -> Option<IpAddr> {
    let address = answer.get(layout.address_at..)?;
    let stated = match address.first() {
        Some(length) if layout.length_byte && *length > 0 => usize::from(*length),
        _ => usize::MAX,
    };
    let byte = |at: usize| if at < stated { address.get(at).copied() } else { Some(0) };
    match family {
        Family::V4 => Some(Ipv4Addr::new(byte(4)?, byte(5)?, byte(6)?, byte(7)?).into()),
        Family::V6 => {
            let mut mask = [0; 16];
            for (at, into) in mask.iter_mut().enumerate() {
                *into = byte(8 + at)?;
            }
            Some(mask.into())
        }
    }
}

fn meant<'a>(layout: &Layout, answer: &'a Answer) -> Option<&'a [u8]> {
    if answer.header.len() < layout.header {
        return None;
    }
    let length = usize::try_from(length(layout, answer)).ok()?;
    // told: the caller: the answer was not whole.
    Some(&answer.records[..length.min(answer.records.len())])
}

/// The size of the record that these bytes begin with.
fn size(layout: &Layout, bytes: &[u8]) -> Option<usize> {
    match layout.record {
        Some(size) => Some(size),
        None if layout.length_byte => {
            Some(layout.address_at + usize::from(*bytes.get(layout.address_at)?).max(SOCKADDR))
        }
        None => Some(layout.address_at + SOCKADDR),
    }
}

enum Content<'a> {
    Address(Record<'a>),
    Other,
    Damaged,
}

fn record<'a>(layout: &Layout, bytes: &'a [u8]) -> Content<'a> {
    let (Some(name), Some(address)) = (bytes.get(..layout.name), bytes.get(layout.address_at..)) else {
        return Content::Damaged;
    };
    let Some([first, second]) = address.first_chunk::<2>() else { return Content::Damaged };
    let family = if layout.length_byte { u16::from(*second) } else { layout.order.u16([*first, *second]) };
    let found = if family == INET {
        address.get(4..).and_then(<[u8]>::first_chunk::<4>).map(|octets| (IpAddr::from(*octets), None))
    } else if family == layout.inet6 {
        v6(layout, address)
    } else {
        return Content::Other;
    };
    let Some((address, scope)) = found else { return Content::Damaged };
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Content::Address(Record { name: String::from_utf8_lossy(name).into_owned(), address, scope, bytes })
}

/// Family, port, flow (8 bytes), the address, the zone.
fn v6(layout: &Layout, address: &[u8]) -> Option<(IpAddr, Option<u32>)> {
    let mut octets = *address.get(8..)?.first_chunk::<16>()?;
    let zone = address.get(24..).and_then(<[u8]>::first_chunk::<4>);
    let mut scope = zone.map(|bytes| layout.order.u32(*bytes)).filter(|zone| *zone != 0);
    let link_local = Ipv6Addr::from(octets).is_unicast_link_local();
    if layout.length_byte && link_local && octets[2..4] != [0, 0] {
        // Kernels of the KAME family keep the zone in the second group of the address itself.
        scope = scope.or(Some(u32::from(u16::from_be_bytes([octets[2], octets[3]]))));
        octets[2..4].fill(0);
    }
    Some((Ipv6Addr::from(octets).into(), scope.filter(|_| link_local)))
}
