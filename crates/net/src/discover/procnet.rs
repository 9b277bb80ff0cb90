//! Linux without getifaddrs(3): SIOCGIFCONF for IPv4, /proc/net/if_inet6 for IPv6.
//!
//! Without /proc, or with a line in it that cannot be read, there is less IPv6 and a warning, never an error.

use super::kernel::Kernel;
use super::{Capabilities, Discover, DiscoverError, Listing, Siocgif, V6Prefix, Warning, if_inet6};
use crate::Family;

/// SIOCGIFCONF and /proc/net/if_inet6.
pub struct Procnet {
    v4: Siocgif,
}

impl Procnet {
    /// Asks this kernel.
    #[must_use]
    pub fn new(kernel: Box<dyn Kernel>) -> Self {
        Self { v4: Siocgif::new(kernel, V6Prefix::None) }
    }
}

impl Discover for Procnet {
    fn capabilities(&self) -> Capabilities {
        Capabilities { v6_prefix: V6Prefix::Real, ..self.v4.capabilities() }
    }

    fn list(&self, family: Family) -> Result<Listing, DiscoverError> {
        if family == Family::V4 {
            return self.v4.list(family);
        }
        let text = match self.v4.kernel().if_inet6() {
            Ok(text) => text,
            Err(error) => return Ok(Listing { found: Vec::new(), warnings: vec![Warning::CannotOpen(error)] }),
        };
        let (found, whole) = if_inet6::parse(&text);
        Ok(Listing { found, warnings: if whole { Vec::new() } else { vec![Warning::UnexpectedLine] } })
    }
}
