//! A kernel that was written down: the answers of another system, and what the mail system makes of them.
//!
//! A fixture is text, a fact a line: who answers (`platform`, `method`, `machine`), the answers as hexadecimal bytes
//! (`ipv4 header`, `ipv4 records`, `ipv4 netmask`) or as errors, and what is expected. `#` begins a comment; the bytes
//! of one answer may be spread over lines. For tests and `cargo xtask porting` alone: no program opens such a file.

use std::cell::Cell;
use std::fmt::Write;

use nix::errno::Errno;
use sys::interfaces::Answer;

use super::kernel::{Kernel, Questions};
use super::layout::{Layout, Order, Pointer};
use super::{Discover, Method};
use crate::interfaces::list_family;
use crate::platform::{PLATFORMS, Platform};
use crate::{Family, Shown};

/// The answers of a system, and what is to come of them.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The system.
    pub platform: &'static Platform,
    /// The method that asks.
    pub method: Method,
    /// The order of its numbers.
    pub order: Order,
    /// The width of its pointers.
    pub pointer: Pointer,
    /// What it answers on an IPv4 and on an IPv6 socket.
    pub answers: [Answers; 2],
    /// The text of /proc/net/if_inet6, or why it cannot be opened.
    pub if_inet6: Result<Vec<u8>, Errno>,
    /// The outcome, a line an address, warning or error.
    pub expected: Vec<String>,
}

/// The answers to one family.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Why no socket could be made.
    pub socket: Option<Errno>,
    /// Why the request was refused.
    pub refused: Option<Errno>,
    /// The answer.
    pub answer: Answer,
    /// Netmask answers, in the order in which they are asked for.
    pub netmasks: Vec<Result<Vec<u8>, Errno>>,
}

impl Fixture {
    /// Reads a fixture.
    ///
    /// # Errors
    /// A sentence about the line that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            reader.line(line).ok_or_else(|| format!("line {}: {line}", at + 1))?;
        }
        Ok(Self {
            platform: reader.platform.ok_or("no platform")?,
            method: reader.method.ok_or("no method")?,
            order: reader.order.ok_or("no machine")?,
            pointer: reader.pointer.ok_or("no machine")?,
            answers: reader.answers,
            if_inet6: reader.missing.map_or(Ok(reader.if_inet6), Err),
            expected: reader.expected,
        })
    }

    /// The method on that system, over the written answers. `None` for a method that asks no kernel.
    #[must_use]
    pub fn discover(&self) -> Option<Box<dyn Discover>> {
        self.method.asking(Box::new(self.clone()), self.platform)
    }

    /// What comes of them: a line an address, warning or error, IPv4 first; an error ends it.
    #[must_use]
    pub fn outcome(&self) -> Vec<String> {
        let Some(method) = self.discover() else { return vec!["no kernel is asked".to_owned()] };
        let mut lines = Vec::new();
        for family in [Family::V4, Family::V6] {
            match list_family(method.as_ref(), family) {
                Ok((found, warnings)) => {
                    for entry in found {
                        let mut line = format!("{}/{}", Shown(entry.address), entry.prefix);
                        if let Some(zone) = entry.scope {
                            let _ = write!(line, " zone {zone}");
                        }
                        lines.push(line);
                    }
                    lines.extend(warnings.iter().map(|warning| format!("warning: {warning}")));
                }
                Err(error) => {
                    lines.push(format!("fatal: {error}"));
                    return lines;
                }
            }
        }
        lines
    }
}

impl Kernel for Fixture {
    fn layout(&self) -> Layout {
        let make = if self.method == Method::Siocglif { Layout::lifconf } else { Layout::ifconf };
        make(&self.platform.structures, self.order, self.pointer)
    }

    fn open(&self, family: Family) -> Result<Box<dyn Questions + '_>, Errno> {
        let answers = &self.answers[place(family)];
        answers.socket.map_or_else(|| Ok(Box::new(Replay { answers, asked: Cell::new(0) }) as _), Err)
    }

    fn if_inet6(&self) -> Result<Vec<u8>, Errno> {
        self.if_inet6.clone()
    }
}

struct Replay<'a> {
    answers: &'a Answers,
    asked: Cell<usize>,
}

impl Questions for Replay<'_> {
    fn configuration(&self, _: usize) -> Result<Answer, Errno> {
        self.answers.refused.map_or_else(|| Ok(self.answers.answer.clone()), Err)
    }

    fn netmask(&self, _: &[u8]) -> Result<Vec<u8>, Errno> {
        let at = self.asked.replace(self.asked.get() + 1);
        self.answers.netmasks.get(at).cloned().unwrap_or(Err(Errno::EADDRNOTAVAIL))
    }
}

fn place(family: Family) -> usize {
    usize::from(family == Family::V6)
}

#[derive(Default)]
struct Reader {
    platform: Option<&'static Platform>,
    method: Option<Method>,
    order: Option<Order>,
    pointer: Option<Pointer>,
    answers: [Answers; 2],
    if_inet6: Vec<u8>,
    missing: Option<Errno>,
    expected: Vec<String>,
    /// The family and kind of the bytes that lines without a name of their own go on with.
    open: Option<(usize, Part)>,
}

impl Default for Answers {
    fn default() -> Self {
        let answer = Answer { header: Vec::new(), records: Vec::new() };
        Self { socket: None, refused: None, answer, netmasks: Vec::new() }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Header,
    Records,
    Netmask,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<()> {
        if line.trim().is_empty() {
            return Some(());
        }
        if line.starts_with(' ') {
            return self.bytes(line);
        }
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        match word {
            "platform" => self.platform = Some(PLATFORMS.iter().find(|row| row.name == rest)?),
            "method" => self.method = Some(Method::named(rest)?),
            "machine" => self.machine(rest)?,
            "ipv4" => self.answer(0, rest)?,
            "ipv6" => self.answer(1, rest)?,
            "if_inet6" => match rest.strip_prefix("error ") {
                Some(number) => self.missing = Some(errno(number)?),
                None => {
                    self.if_inet6.extend_from_slice(rest.as_bytes());
                    self.if_inet6.push(b'\n');
                }
            },
            "expect" => self.expected.push(rest.to_owned()),
            _ => return None,
        }
        Some(())
    }

    fn machine(&mut self, rest: &str) -> Option<()> {
        let (order, pointer) = rest.split_once(' ')?;
        self.order = Some(match order {
            "big" => Order::Big,
            "little" => Order::Little,
            _ => return None,
        });
        self.pointer = Some(match pointer {
            "32" => Pointer::Narrow,
            "64" => Pointer::Wide,
            _ => return None,
        });
        Some(())
    }

    fn answer(&mut self, family: usize, rest: &str) -> Option<()> {
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let answers = &mut self.answers[family];
        if let Some(number) = rest.strip_prefix("error ") {
            let error = errno(number)?;
            match word {
                "socket" => answers.socket = Some(error),
                "header" => answers.refused = Some(error),
                "netmask" => answers.netmasks.push(Err(error)),
                _ => return None,
            }
            return Some(());
        }
        let part = match word {
            "header" => Part::Header,
            "records" => Part::Records,
            "netmask" => {
                answers.netmasks.push(Ok(Vec::new()));
                Part::Netmask
            }
            _ => return None,
        };
        self.open = Some((family, part));
        self.bytes(rest)
    }

    fn bytes(&mut self, text: &str) -> Option<()> {
        let (family, part) = self.open?;
        let answers = &mut self.answers[family];
        let into = match part {
            Part::Header => &mut answers.answer.header,
            Part::Records => &mut answers.answer.records,
            Part::Netmask => answers.netmasks.last_mut()?.as_mut().ok()?,
        };
        for word in text.split_whitespace() {
            // `00*320`: so many bytes of that value.
            let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
            let times: usize = times.parse().ok().filter(|times| *times <= 4096)?;
            let pairs = digits.as_bytes().chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
                u8::from_str_radix(pair, 16).ok()
            });
            let bytes: Option<Vec<u8>> = pairs.collect();
            into.extend(bytes?.repeat(times));
        }
        Some(())
    }
}

fn errno(number: &str) -> Option<Errno> {
    number.trim().parse().ok().map(Errno::from_raw)
}
