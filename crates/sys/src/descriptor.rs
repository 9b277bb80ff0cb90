//! File descriptors: inherited ones, and ones that travel between processes.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socket, socketpair};

/// Most descriptors that one message may carry.
/// told: the caller, by an error.
pub const MAX_DESCRIPTORS: usize = 32;
/// Room for the head of control data and as many descriptors, on every platform.
const CONTROL_WORDS: usize = 2 + MAX_DESCRIPTORS / 2;

/// A peer that is gone is an error of the call and no signal. Where the kernel has no such flag, it does for Rust
/// programs, which ignore SIGPIPE.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: MsgFlags = MsgFlags::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: MsgFlags = MsgFlags::empty();

/// Received descriptors are close-on-exec from the start; where the kernel has no such flag they become so at once.
#[cfg(not(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris", target_os = "aix")))]
const CLOSE_ON_EXEC: MsgFlags = MsgFlags::MSG_CMSG_CLOEXEC;
#[cfg(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris", target_os = "aix"))]
const CLOSE_ON_EXEC: MsgFlags = MsgFlags::empty();

/// New sockets are close-on-exec from the start; where the kernel has no such flag they become so at once.
#[cfg(not(any(target_vendor = "apple", target_os = "aix")))]
const NEW: SockFlag = SockFlag::SOCK_CLOEXEC;
#[cfg(any(target_vendor = "apple", target_os = "aix"))]
const NEW: SockFlag = SockFlag::empty();

/// A socket, close-on-exec.
///
/// # Errors
/// Those of socket(2): EAFNOSUPPORT where the kernel lacks the family.
pub fn new_socket(family: AddressFamily, kind: SockType) -> io::Result<OwnedFd> {
    close_on_exec(socket(family, kind, NEW, None)?)
}

/// Two Unix sockets that are connected with each other and keep messages apart, non-blocking and close-on-exec.
///
/// # Errors
/// Those of socketpair(2).
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, NEW)?;
    set_nonblocking(one.as_fd(), true)?;
    set_nonblocking(other.as_fd(), true)?;
    Ok((close_on_exec(one)?, close_on_exec(other)?))
}

fn close_on_exec(fd: OwnedFd) -> io::Result<OwnedFd> {
    if NEW.is_empty() {
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok(fd)
}

/// Takes ownership of a descriptor that the parent process left open under a known number, and marks it close-on-exec.
///
/// # Errors
/// The number is not open, or is below 3 (standard streams are not taken over).
pub fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "standard streams are not inherited descriptors"));
    }
    // SAFETY: F_GETFD only asks; a closed number is answered with EBADF.
    let flags = fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_GETFD)?;
    // SAFETY: the call above proved that the number is open; by the contract between parent and child nobody else in
    // this process owns it, since it was open before main() ran.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::from_bits_truncate(flags) | FdFlag::FD_CLOEXEC))?;
    Ok(owned)
}

/// Sets or clears O_NONBLOCK.
///
/// # Errors
/// Those of fcntl(2).
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(fd, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// Sends bytes on a connected Unix socket, with descriptors attached to the first of them (SCM_RIGHTS).
///
/// # Errors
/// Those of sendmsg(2); `WouldBlock` on a full non-blocking socket.
pub fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    Ok(sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, NO_SIGNAL, None)?)
}

/// Receives bytes and the descriptors that came with them (close-on-exec).
///
/// # Errors
/// Those of recvmsg(2); `InvalidData` when more than [`MAX_DESCRIPTORS`] were sent at once, and `EMFILE` when this
/// process had no room for them. Those that came all the same are closed.
pub fn receive_with(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    // Not nix's recvmsg: where some were cut off, it does not give out the others, which stay open for good.
    let mut control = [0_u64; CONTROL_WORDS];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zero is a message header without address, buffers and control data.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the header's pointers are to memory of the lengths that it says, borrowed until the end of this function.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, CLOSE_ON_EXEC.bits()) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let received = received(&header);
    let cut = header.msg_flags & libc::MSG_CTRUNC != 0;
    if received.len() > MAX_DESCRIPTORS || (cut && received.len() == MAX_DESCRIPTORS) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors in one message"));
    }
    if cut {
        return Err(Errno::EMFILE.into());
    }
    if CLOSE_ON_EXEC.is_empty() {
        for descriptor in &received {
            fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
    }
    Ok((length, received))
}

/// The descriptors that the kernel has made for this message.
fn received(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut received = Vec::new();
    // SAFETY: the kernel has just filled the control data, and its length is in the header; the macros stay within it,
    // and the numbers behind a header of SCM_RIGHTS are open in this process, owned by nobody yet.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = next.as_ref() {
            if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SCM_RIGHTS {
                let length: usize = control.cmsg_len as _;
                let count = length.saturating_sub(libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
                let numbers = libc::CMSG_DATA(control).cast::<RawFd>();
                received.extend((0..count).map(|at| OwnedFd::from_raw_fd(numbers.add(at).read_unaligned())));
            }
            next = libc::CMSG_NXTHDR(header, control);
        }
    }
    received
}

/// Takes one client from a listening socket; the result is non-blocking and close-on-exec.
///
/// # Errors
/// Those of accept(2); `WouldBlock` when another process was faster.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    cfg_select! {
        any(
            target_os = "linux",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
            target_os = "illumos",
        ) => {
            let (listener, flags) = (listener.as_raw_fd(), libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
            // SAFETY: null pointers say that the address is not wanted; the listener is kept open by the borrow.
            let number = unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), flags) };
            // SAFETY: a non-negative result is a new descriptor that nobody else owns.
            if number < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(number) }) }
        }
        _ => {
            // SAFETY: as above.
            let number = unsafe { libc::accept(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut()) };
            if number < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: as above.
            let client = unsafe { OwnedFd::from_raw_fd(number) };
            fcntl(&client, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            set_nonblocking(client.as_fd(), true)?;
            Ok(client)
        }
    }
}

/// Looks at the first waiting byte of a socket without taking it; `None` at the end of the stream.
///
/// # Errors
/// Those of recv(2); `WouldBlock` when nothing has come yet.
pub fn peek(socket: BorrowedFd<'_>) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let count = nix::sys::socket::recv(socket.as_raw_fd(), &mut byte, MsgFlags::MSG_PEEK)?;
    Ok((count == 1).then_some(byte[0]))
}

/// Bytes that can be read from a pipe or socket without waiting.
///
/// # Errors
/// Those of ioctl(2) with FIONREAD.
pub fn readable_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int to the pointer, which is valid for the call; the borrow keeps the descriptor
    // open.
    if unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) } == 0 {
        Ok(usize::try_from(count).unwrap_or(0))
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_descriptor_arrives_with_its_bytes() {
        let (left, right) = UnixStream::pair().unwrap();
        let (mut far, near) = UnixStream::pair().unwrap();
        assert_eq!(send_with(left.as_fd(), b"hi", &[near.as_fd()]).unwrap(), 2);
        drop(near);
        let mut buffer = [0; 16];
        let (count, mut fds) = receive_with(right.as_fd(), &mut buffer).unwrap();
        assert_eq!((&buffer[..count], fds.len()), (&b"hi"[..], 1));
        let mut moved = UnixStream::from(fds.remove(0));
        moved.write_all(b"x").unwrap();
        let mut one = [0];
        far.read_exact(&mut one).unwrap();
        assert_eq!(&one, b"x");
    }

    #[test]
    fn descriptors_beyond_the_bound_are_an_error_and_none_of_them_stays_open() {
        for count in [MAX_DESCRIPTORS + 1, MAX_DESCRIPTORS + 2, 50] {
            let (left, right) = UnixStream::pair().unwrap();
            let (mut far, near) = UnixStream::pair().unwrap();
            send_with(left.as_fd(), b"hi", &vec![near.as_fd(); count]).unwrap();
            drop(near);
            let error = receive_with(right.as_fd(), &mut [0; 16]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{count}");
            // Its peer has ended only when every copy is closed.
            far.set_nonblocking(true).unwrap();
            assert_eq!(far.read(&mut [0]).unwrap(), 0, "{count}");
        }
    }

    #[test]
    fn standard_streams_cannot_be_taken_over() {
        assert!(inherit(1).is_err());
        assert!(inherit(987).is_err());
    }
}
