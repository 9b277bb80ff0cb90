//! Packets between a worker and a helper process of its own: a few fields that end in NUL. Small enough to be read at a
//! glance, because some of the helpers are root.

/// The packet of these fields; none of them holds a NUL.
pub fn join(fields: &[&[u8]]) -> Vec<u8> {
    fields.iter().flat_map(|field| field.iter().copied().chain([0])).collect()
}

/// The fields of a packet that has exactly so many.
pub fn split<const N: usize>(packet: &[u8]) -> Option<[&[u8]; N]> {
    let all: Vec<&[u8]> = packet.strip_suffix(&[0])?.split(|&byte| byte == 0).collect();
    all.try_into().ok()
}

/// A field that is a number.
pub fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_come_back(one in prop::collection::vec(1u8.., 0..20), other in prop::collection::vec(1u8.., 0..20)) {
            let packet = join(&[&one, &other]);
            prop_assert_eq!(split(&packet), Some([&one[..], &other[..]]));
        }

        #[test]
        fn any_packet_has_the_fields_or_has_not(packet in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = split::<3>(&packet);
        }
    }

    #[test]
    fn a_packet_with_another_number_of_fields_is_none() {
        assert_eq!(split::<2>(b"a\0b\0c\0"), None);
        assert_eq!(split::<2>(b"a\0b"), None);
    }
}
