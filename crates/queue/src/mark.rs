//! Marks: changes of single bytes in a complete queue file.
//!
//! A mark never changes the length of anything, so that a reader at any moment sees either the old or the new state.
//! Marks are not forced to disk: a crash of the system after a delivery may lose one, and that recipient is delivered
//! twice, never not at all.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::record::{NUMBER_WIDTH, Type};

/// Marks a recipient as done.
///
/// Transition: recipient waiting (`R`) -> recipient done (`D`). A crash just before: the recipient is delivered again.
/// A crash of this process just after: the mark stands.
///
/// Fails without a change when no recipient record is at `offset`. Marking twice is fine.
pub fn done(file: &File, offset: u64) -> io::Result<()> {
    replace_type(file, offset, Type::RECIPIENT, Type::DONE)
}

/// Kills the request for a trace report.
///
/// Transition: `A trace_flags=` -> `K`. A crash just before: the report is sent twice. Just after: nothing is lost, the
/// report is already queued.
pub fn trace_answered(file: &File, offset: u64) -> io::Result<()> {
    replace_type(file, offset, Type::ATTRIBUTE, Type::KILLED)
}

/// Notes that the delay warning was queued: the time becomes -1.
///
/// Transition: warning due -> warning sent. A crash just before: the warning is sent twice.
pub fn warned(file: &File, offset: u64) -> io::Result<()> {
    check_type(file, offset, Type::WARNING)?;
    let payload = format!("{:width$}", -1, width = NUMBER_WIDTH);
    file.write_all_at(payload.as_bytes(), offset + 2)
}

fn replace_type(file: &File, offset: u64, from: Type, to: Type) -> io::Result<()> {
    let found = type_among(file, offset, &[from, to])?;
    if found == to { Ok(()) } else { file.write_all_at(&[to.0], offset) }
}

fn check_type(file: &File, offset: u64, kind: Type) -> io::Result<()> {
    type_among(file, offset, &[kind]).map(drop)
}

fn type_among(file: &File, offset: u64, kinds: &[Type]) -> io::Result<Type> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    let found = Type(byte[0]);
    if kinds.contains(&found) {
        return Ok(found);
    }
    let message = format!("record at offset {offset} has type {found:?} instead of {:?}", kinds[0]);
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}
