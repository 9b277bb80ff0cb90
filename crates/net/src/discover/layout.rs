//! How a platform lays its answers out: values, so that the answers of every platform can be read on every platform.
//!
//! Two decisions of the 1980s differ between systems: whether a `struct sockaddr` begins with its own length (4.4BSD
//! and what came from it) or with a family of two bytes, and whether records are of one size or as long as their
//! address.

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Most significant byte first: SPARC, POWER, s390.
    Big,
    /// Least significant byte first: x86, Alpha, most ARM.
    Little,
}

impl Order {
    /// The order of this machine.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        }
    }
}

/// The width of a pointer in a program of that platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// 32 bits.
    Narrow,
    /// 64 bits.
    Wide,
}

impl Pointer {
    /// The width in this program.
    pub const NATIVE: Self = if cfg!(target_pointer_width = "64") { Self::Wide } else { Self::Narrow };
}

/// What a platform's headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structures {
    /// A `struct sockaddr` begins with its length, and the family is the second byte.
    pub length_byte: bool,
    /// AF_INET6; AF_INET is 2 everywhere.
    pub inet6: u16,
    /// The records of SIOCGIFCONF.
    pub ifreq: Ifreq,
}

/// The records of SIOCGIFCONF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ifreq {
    /// All of this size in a 32-bit and in a 64-bit program.
    Fixed(usize, usize),
    /// A name of 16 bytes, then the address, of 16 bytes or as long as its length byte says if that is more.
    Variable,
}

/// The layout of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The order of its numbers.
    pub order: Order,
    /// The size of the header (`struct ifconf`, `struct lifconf`), pointer included.
    pub header: usize,
    /// Where in the header the length of the records stands: four bytes.
    pub length_at: usize,
    /// Where in a record the address begins; the name is before it.
    pub address_at: usize,
    /// Most bytes of the name.
    pub name: usize,
    /// The size of a record; `None`: name and address, as long as they are.
    pub record: Option<usize>,
    /// See [`Structures::length_byte`].
    pub length_byte: bool,
    /// See [`Structures::inet6`].
    pub inet6: u16,
}

impl Layout {
    /// The answer to SIOCGIFCONF.
    #[must_use]
    pub const fn ifconf(structures: &Structures, order: Order, pointer: Pointer) -> Self {
        let (header, record) = match (pointer, structures.ifreq) {
            (Pointer::Narrow, Ifreq::Fixed(size, _)) => (8, Some(size)),
            (Pointer::Wide, Ifreq::Fixed(_, size)) => (16, Some(size)),
            (Pointer::Narrow, Ifreq::Variable) => (8, None),
            (Pointer::Wide, Ifreq::Variable) => (16, None),
        };
        let Structures { length_byte, inet6, .. } = *structures;
        Self { order, header, length_at: 0, address_at: 16, name: 16, record, length_byte, inet6 }
    }

    /// The answer to SIOCGLIFCONF: `struct lifreq` has a name of 32 bytes, eight bytes of type and length, and room for
    /// any address, 376 bytes in all for 32-bit and 64-bit programs alike.
    #[must_use]
    pub const fn lifconf(structures: &Structures, order: Order, pointer: Pointer) -> Self {
        let header = match pointer {
            Pointer::Narrow => 16,
            Pointer::Wide => 24,
        };
        let Structures { length_byte, inet6, .. } = *structures;
        Self { order, header, length_at: 8, address_at: 40, name: 32, record: Some(376), length_byte, inet6 }
    }
}
