//! What the kernel says about its interfaces, as the bytes it says it in: SIOCGIFCONF, SIOCGLIFCONF and netmasks.
//!
//! Nothing here looks into the answers: what a record is, and whether it is whole, is decided by safe code, which is
//! compiled and tested on every platform. A platform is added by giving its request numbers below, and, where the
//! header of the answer is another one, its fields.

use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// A family of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIOCGIFCONF and SIOCGIFNETMASK: `struct ifconf`, `struct ifreq`.
    Ifconf,
    /// SIOCGLIFCONF and SIOCGLIFNETMASK: `struct lifconf`, `struct lifreq`.
    Lifconf,
}

/// The answer to a configuration request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `struct ifconf` or `struct lifconf` as the kernel left it; it says how many bytes of the records are meant.
    pub header: Vec<u8>,
    /// The buffer that the kernel filled, all of it.
    pub records: Vec<u8>,
}

/// Room for one record, more than any platform's `struct ifreq` (144 bytes at most) or `struct lifreq` (376).
pub const RECORD: usize = 512;

/// Whether this platform has these requests.
#[must_use]
pub const fn has(request: Request) -> bool {
    numbers(request).is_some()
}

/// Asks for the addresses of a family (a number of this platform), into a buffer of `capacity` bytes. SIOCGIFCONF has
/// no place for the family: it answers with what the kernel has for this kind of socket.
///
/// # Errors
/// Those of ioctl(2); `Unsupported` where the platform has no such request. EINVAL is what some systems say when the
/// buffer is too small; others fill it and say nothing.
pub fn configuration(socket: BorrowedFd<'_>, request: Request, family: u16, capacity: usize) -> io::Result<Answer> {
    let numbers = numbers(request).ok_or(Errno::EOPNOTSUPP)?;
    let length = i32::try_from(capacity).map_err(|_| Errno::EINVAL)?;
    let mut records = Aligned::zeroed(capacity);
    let mut header = Aligned::zeroed(size_of::<Lifconf>().max(size_of::<Ifconf>()));
    let (length_at, pointer_at, size) = match request {
        Request::Ifconf => (offset_of!(Ifconf, length), offset_of!(Ifconf, buffer), size_of::<Ifconf>()),
        Request::Lifconf => (offset_of!(Lifconf, length), offset_of!(Lifconf, buffer), size_of::<Lifconf>()),
    };
    if request == Request::Lifconf {
        header.bytes_mut()[offset_of!(Lifconf, family)..][..size_of::<u16>()].copy_from_slice(&family.to_ne_bytes());
    }
    let pointer = records.bytes_mut().as_mut_ptr().expose_provenance();
    header.bytes_mut()[length_at..][..size_of::<i32>()].copy_from_slice(&length.to_ne_bytes());
    header.bytes_mut()[pointer_at..][..size_of::<usize>()].copy_from_slice(&pointer.to_ne_bytes());
    // SAFETY: the argument is a structure of the kind that the request takes, aligned to 8, with the length of the
    // buffer that it points to; the kernel writes at most so many bytes there. Both outlive the call.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), numbers.configuration as _, header.bytes_mut().as_mut_ptr()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let header = header.bytes_mut()[..size].to_vec();
    // told: nobody; the caller asked for so much, and asks again for more.
    Ok(Answer { header, records: records.bytes_mut()[..capacity].to_vec() })
}

/// The netmask of one record of an answer: a record of the same form, with the mask in the place of the address.
///
/// # Errors
/// Those of ioctl(2); `InvalidInput` for a record longer than [`RECORD`].
pub fn netmask(socket: BorrowedFd<'_>, request: Request, record: &[u8]) -> io::Result<Vec<u8>> {
    let numbers = numbers(request).ok_or(Errno::EOPNOTSUPP)?;
    let mut asked = Aligned::zeroed(RECORD);
    asked.bytes_mut().get_mut(..record.len()).ok_or(Errno::EINVAL)?.copy_from_slice(record);
    // SAFETY: the buffer is aligned to 8 and larger than the structure that the request reads and writes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), numbers.netmask as _, asked.bytes_mut().as_mut_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(asked.bytes_mut()[..RECORD].to_vec()) }
}

/// The fields of `struct ifconf`, which are the same everywhere.
#[repr(C)]
struct Ifconf {
    length: i32,
    buffer: usize,
}

/// The fields of `struct lifconf` on Solaris and illumos.
#[repr(C)]
struct Lifconf {
    family: u16,
    flags: i32,
    length: i32,
    buffer: usize,
}

/// The numbers of the two requests of a kind.
#[derive(Clone, Copy)]
struct Numbers {
    configuration: u64,
    netmask: u64,
}

const fn numbers(request: Request) -> Option<Numbers> {
    match request {
        Request::Ifconf => IFCONF,
        Request::Lifconf => LIFCONF,
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "aix"))]
#[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
const IFCONF: Option<Numbers> =
    Some(Numbers { configuration: libc::SIOCGIFCONF as u64, netmask: libc::SIOCGIFNETMASK as u64 });
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "aix")))]
const IFCONF: Option<Numbers> = None;

/// `_IOWRN('i', 165, 16)` and `_IOWR('i', 125, struct lifreq)` of sys/sockio.h.
#[cfg(any(target_os = "solaris", target_os = "illumos"))]
const LIFCONF: Option<Numbers> = Some(Numbers { configuration: 0xc010_69a5, netmask: 0xc078_697d });
#[cfg(not(any(target_os = "solaris", target_os = "illumos")))]
const LIFCONF: Option<Numbers> = None;

/// Zeroed bytes, aligned for every structure above.
struct Aligned(Vec<u64>);

impl Aligned {
    fn zeroed(bytes: usize) -> Self {
        Self(vec![0; bytes.div_ceil(8)])
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: initialised integers may be seen as bytes; the slice covers exactly the vector, and borrows it.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 8) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn an_answer_fits_into_the_buffer_that_was_offered() {
        if !has(Request::Ifconf) {
            return;
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for capacity in [0, 1, 39, 40, 41, 4096] {
            let answer = configuration(socket.as_fd(), Request::Ifconf, 2, capacity).unwrap();
            let length = i32::from_ne_bytes(answer.header[..4].try_into().unwrap());
            assert!((0..=capacity as i32).contains(&length), "{length} of {capacity}");
            assert_eq!(answer.records.len(), capacity);
        }
    }

    #[test]
    fn what_this_platform_lacks_is_an_error_and_so_is_a_record_that_is_too_long() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        if !has(Request::Lifconf) {
            let error = configuration(socket.as_fd(), Request::Lifconf, 2, 4096).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        }
        if has(Request::Ifconf) {
            assert!(netmask(socket.as_fd(), Request::Ifconf, &[0; RECORD + 1]).is_err());
            assert!(netmask(socket.as_fd(), Request::Ifconf, b"no such interface").is_err());
        }
    }
}
