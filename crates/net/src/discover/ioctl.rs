//! SIOCGIFCONF and SIOCGLIFCONF: the records of all interfaces in one answer, then a netmask a record.
//!
//! Interfaces that are down stay in: these answers do not say. With SIOCGIFCONF no IPv6 netmask can be asked for.

use std::net::IpAddr;

use nix::errno::Errno;
use sys::interfaces::{Answer, RECORD};

use super::kernel::{Kernel, Questions};
use super::layout::Layout;
use super::{Capabilities, Discover, DiscoverError, Listing, RawInterface, V6Prefix, Warning, records};
use crate::Family;

/// The first buffer: two hundred addresses.
const FIRST: usize = 8 << 10;
/// The last: hundreds of thousands.
const LAST: usize = 16 << 20;

/// SIOCGIFCONF alone.
pub struct Siocgif {
    kernel: Box<dyn Kernel>,
    v6: V6Prefix,
}

impl Siocgif {
    /// Asks this kernel; `v6` is what its SIOCGIFCONF gives on an IPv6 socket.
    #[must_use]
    pub fn new(kernel: Box<dyn Kernel>, v6: V6Prefix) -> Self {
        Self { kernel, v6 }
    }

    pub(super) fn kernel(&self) -> &dyn Kernel {
        self.kernel.as_ref()
    }
}

impl Discover for Siocgif {
    fn capabilities(&self) -> Capabilities {
        Capabilities { reports_down: false, v6_prefix: self.v6, keeps_scope: true }
    }

    fn list(&self, family: Family) -> Result<Listing, DiscoverError> {
        if family == Family::V6 && self.v6 == V6Prefix::None {
            return Ok(Listing::default());
        }
        ask(self.kernel(), &IFCONF, family, family == Family::V4)
    }
}

/// SIOCGLIFCONF, which was made for both families.
pub struct Siocglif {
    kernel: Box<dyn Kernel>,
}

impl Siocglif {
    /// Asks this kernel.
    #[must_use]
    pub fn new(kernel: Box<dyn Kernel>) -> Self {
        Self { kernel }
    }
}

impl Discover for Siocglif {
    fn capabilities(&self) -> Capabilities {
        Capabilities { reports_down: false, v6_prefix: V6Prefix::Real, keeps_scope: true }
    }

    fn list(&self, family: Family) -> Result<Listing, DiscoverError> {
        ask(self.kernel.as_ref(), &LIFCONF, family, true)
    }
}

/// How failures of a request are named.
struct Names {
    place: &'static str,
    request: &'static str,
    configuration: &'static str,
    netmask: &'static str,
}

const IFCONF: Names = Names {
    place: "siocgif",
    request: "SIOCGIFCONF",
    configuration: "ioctl SIOCGIFCONF",
    netmask: "ioctl SIOCGIFNETMASK",
};
const LIFCONF: Names = Names {
    place: "siocglif",
    request: "SIOCGLIFCONF",
    configuration: "ioctl SIOCGLIFCONF",
    netmask: "ioctl SIOCGLIFNETMASK",
};

fn ask(kernel: &dyn Kernel, names: &Names, family: Family, masks: bool) -> Result<Listing, DiscoverError> {
    let layout = kernel.layout();
    let socket = match (kernel.open(family), family) {
        (Ok(socket), _) => socket,
        (Err(_), Family::V6) => return Ok(Listing::default()),
        (Err(error), Family::V4) => return Err(DiscoverError { place: "socket", call: "socket", error }),
    };
    let failed = |call| move |error| DiscoverError { place: names.place, call, error };
    let answer = whole(socket.as_ref(), &layout).map_err(failed(names.configuration))?;
    let (records, intact) = records::parse(&layout, &answer);
    let mut listing = Listing::default();
    for record in records.into_iter().filter(|record| Family::of(record.address) == family) {
        let mask = match masks && !record.address.is_unspecified() {
            true => mask(socket.as_ref(), &layout, family, record.bytes).map_err(failed(names.netmask))?,
            false => None,
        };
        let records::Record { name, address, scope, .. } = record;
        listing.found.push(RawInterface { name, up: true, address, scope, mask });
    }
    if !intact {
        listing.warnings.push(Warning::UnexpectedRecord(names.request, family));
    }
    Ok(listing)
}

fn mask(socket: &dyn Questions, layout: &Layout, family: Family, record: &[u8]) -> Result<Option<IpAddr>, Errno> {
    Ok(records::mask(layout, family, &socket.netmask(record)?))
}

/// Asks with ever larger buffers until the answer leaves room for one more record: a full buffer may be a cut answer,
/// and most systems do not say so.
fn whole(socket: &dyn Questions, layout: &Layout) -> Result<Answer, Errno> {
    let mut capacity = FIRST;
    loop {
        match socket.configuration(capacity) {
            Ok(answer) if capacity < LAST && records::length(layout, &answer) + RECORD as u64 > capacity as u64 => {}
            Err(Errno::EINVAL) if capacity < LAST => {}
            result => return result,
        }
        capacity *= 2;
    }
}
