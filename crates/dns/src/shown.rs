//! A record as text, for those who decide by it what becomes of the record (smtp_dns_reply_filter).

use std::fmt;

use crate::RecordType;
use crate::message::{Data, Record};
use crate::name::Name;

impl Data {
    /// Whether it is what a question of this type asks for.
    pub(crate) fn is_of(&self, record_type: RecordType) -> bool {
        match record_type {
            RecordType::A => matches!(self, Self::Address(std::net::IpAddr::V4(_))),
            RecordType::Aaaa => matches!(self, Self::Address(std::net::IpAddr::V6(_))),
            RecordType::Cname => matches!(self, Self::Alias(_)),
            RecordType::Mx => matches!(self, Self::Exchanger(..)),
            RecordType::Ns => matches!(self, Self::NameServer(_)),
            RecordType::Ptr => matches!(self, Self::Pointer(_)),
            RecordType::Srv => matches!(self, Self::Service(..)),
            RecordType::Tlsa => matches!(self, Self::Association(_)),
            RecordType::Txt => matches!(self, Self::Text(_)),
        }
    }
}

/// A name that ends where names end.
struct Whole<'a>(&'a Name);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.", self.0)
    }
}

/// `NAME. TTL IN TYPE VALUE`
impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} IN ", Whole(&self.owner), self.ttl)?;
        match &self.data {
            Data::Address(address @ std::net::IpAddr::V4(_)) => write!(out, "A {address}"),
            Data::Address(address) => write!(out, "AAAA {address}"),
            Data::Exchanger(preference, host) => write!(out, "MX {preference} {}", Whole(host)),
            Data::Service(offer, host) => {
                write!(out, "SRV {} {} {} {}", offer.priority, offer.weight, offer.port, Whole(host))
            }
            Data::NameServer(host) => write!(out, "NS {}", Whole(host)),
            Data::Pointer(host) => write!(out, "PTR {}", Whole(host)),
            Data::Alias(host) => write!(out, "CNAME {}", Whole(host)),
            Data::Text(text) => write!(out, "TXT {}", text::printable(text)),
            Data::Association(known) => {
                write!(out, "TLSA {} {} {} ", known.usage, known.selector, known.matching_type)?;
                known.data.iter().try_for_each(|byte| write!(out, "{byte:02X}"))
            }
            Data::Other => out.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Association, Offer};

    #[test]
    fn a_record_is_its_owner_its_time_its_type_and_its_value() {
        let name = |text| Name::parse(text).unwrap();
        let shown = |data| Record { owner: name("d.test"), ttl: 60, data }.to_string();
        assert_eq!(shown(Data::Address("192.0.2.1".parse().unwrap())), "d.test. 60 IN A 192.0.2.1");
        assert_eq!(shown(Data::Address("2001:db8::1".parse().unwrap())), "d.test. 60 IN AAAA 2001:db8::1");
        assert_eq!(shown(Data::Exchanger(10, name("mx.d.test"))), "d.test. 60 IN MX 10 mx.d.test.");
        assert_eq!(shown(Data::Exchanger(0, Name::root())), "d.test. 60 IN MX 0 .");
        let offer = Offer { priority: 1, weight: 2, port: 25 };
        assert_eq!(shown(Data::Service(offer, name("h.test"))), "d.test. 60 IN SRV 1 2 25 h.test.");
        assert_eq!(shown(Data::Text(b"v=spf1\n-all".to_vec())), "d.test. 60 IN TXT v=spf1?-all");
        assert_eq!(shown(Data::Association(Association::read(&[3, 1, 1, 0xab]))), "d.test. 60 IN TLSA 3 1 1 AB");
    }
}
