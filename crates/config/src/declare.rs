//! Settings that are declared once: a struct whose fields each name the parameter that they are read from.
//!
//! [`settings!`](crate::settings!) makes the struct and its `read`. What a field means, which values it may have and
//! what it is when nobody sets it stands in the table of parameters; its documentation leads there.

use std::borrow::Cow;
use std::time::Duration;

use crate::entry::Param;
use crate::error::ValueError;
use crate::settings::Config;
use crate::transport::Family;
use crate::value::{Raw, Value};

/// Declares settings, and how they are read.
///
/// A field is a line, in one of three forms: `name: Type = param::NAME`, read as a type that has the meaning of the
/// parameter's ([`FromValue`]); `name: Type = param::NAME => function`, which makes the field's value of the
/// parameter's; and `name: Type => function`, which has the whole [`Reader`], for what comes of several parameters.
/// `twin::NAME` in place of `param::NAME` is the parameter of the agent that reads. The error of `read` is
/// [`ValueError`] unless another type stands behind the name: `struct Name, error Type { ... }`.
#[macro_export]
macro_rules! settings {
    ($(#[$meta:meta])* $vis:vis struct $name:ident $(, error $error:ty)? {
        $($(#[$note:meta])* $field:ident: $type:ty $(= $param:path)? $(=> $function:expr)?,)*
    }) => {
        $(#[$meta])*
        $vis struct $name {
            $(
                $(#[doc = concat!("[`", stringify!($param), "`]")] #[doc = ""])?
                $(#[$note])*
                $vis $field: $type,
            )*
        }

        impl $name {
            /// Reads them all.
            ///
            /// # Errors
            /// The first value that makes no sense.
            $vis fn read<'a>(
                from: impl Into<$crate::Reader<'a>>,
            ) -> Result<Self, $crate::settings!(@error $($error)?)> {
                let from: $crate::Reader<'a> = from.into();
                Ok(Self {
                    $($field: $crate::settings!(@read from, $($param)?, $($function)?),)*
                })
            }
        }
    };
    (@error) => { $crate::ValueError };
    (@error $error:ty) => { $error };
    (@read $from:ident, $param:path, ) => { $from.read($param)? };
    (@read $from:ident, $param:path, $function:expr) => { ($function)($from.get($param)?) };
    (@read $from:ident, , $function:expr) => { ($function)(&$from)? };
}

/// The agents that are one program: their parameters differ in the first part of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `smtp_NAME`
    Smtp,
    /// `lmtp_NAME`
    Lmtp,
}

/// A parameter that each of the agents has for itself.
#[derive(Debug)]
pub struct Twin<T> {
    smtp: Param<T>,
    lmtp: Param<T>,
}

impl<T> Twin<T> {
    /// Names a pair of the table; only generated code does.
    pub const fn new(smtp: &'static str, lmtp: &'static str) -> Self {
        Twin { smtp: Param::new(smtp), lmtp: Param::new(lmtp) }
    }
}

/// What settings are read from: a parameter, or the one of a pair that is the agent's.
pub trait Parameter {
    /// What its value is.
    type Value: Value;

    /// The parameter that an agent reads.
    fn of(&self, agent: Agent) -> Param<Self::Value>;
}

impl<T: Value> Parameter for Param<T> {
    type Value = T;

    fn of(&self, _: Agent) -> Param<T> {
        *self
    }
}

impl<T: Value> Parameter for Twin<T> {
    type Value = T;

    fn of(&self, agent: Agent) -> Param<T> {
        match agent {
            Agent::Smtp => self.smtp,
            Agent::Lmtp => self.lmtp,
        }
    }
}

/// A configuration, and who reads it.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// main.cf.
    pub config: &'a Config,
    agent: Agent,
    service: Option<&'a str>,
}

impl<'a> From<&'a Config> for Reader<'a> {
    fn from(config: &'a Config) -> Self {
        Reader::of(config, Agent::Smtp)
    }
}

impl<'a> From<&Reader<'a>> for Reader<'a> {
    fn from(reader: &Reader<'a>) -> Self {
        *reader
    }
}

impl<'a> Reader<'a> {
    /// For an agent, whose parameters are meant where there is a pair.
    pub fn of(config: &'a Config, agent: Agent) -> Self {
        Reader { config, agent, service: None }
    }

    /// For a service of master.cf, whose own parameters go before those of all ([`crate::transport`]).
    pub fn of_service(config: &'a Config, service: &'a str) -> Self {
        Reader { service: Some(service), ..Reader::from(config) }
    }

    /// Whose parameters are meant where there is a pair.
    pub fn agent(&self) -> Agent {
        self.agent
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn get<P: Parameter>(&self, param: P) -> Result<P::Value, ValueError> {
        let param = param.of(self.agent);
        self.service.map_or_else(|| self.config.get(param), |service| self.config.of_service(service, param))
    }

    /// The value of a parameter as a type of the program's own.
    ///
    /// # Errors
    /// It makes no sense, or that type has no such value.
    pub fn read<P: Parameter, T: FromValue<P::Value>>(&self, param: P) -> Result<T, ValueError> {
        let name = self.name(&param);
        T::from_value(self.get(param)?).map_err(|what| ValueError::Meaning(format!("{name}: {what}")))
    }

    /// The name of the parameter that is read; that of a service may not be set.
    pub fn name<P: Parameter>(&self, param: &P) -> Cow<'static, str> {
        let name = param.of(self.agent).name();
        let own = self.service.and_then(|service| Some(format!("{service}{}", Family::with_fallback(name)?.suffix)));
        own.map_or(name.into(), Cow::Owned)
    }
}

impl Config {
    /// The value of a parameter as a type of the program's own, as [`Reader::read`].
    ///
    /// # Errors
    /// It makes no sense, or that type has no such value.
    pub fn read<P: Parameter, T: FromValue<P::Value>>(&self, param: P) -> Result<T, ValueError> {
        Reader::from(self).read(param)
    }
}

/// A type in which a program keeps the value of a parameter.
pub trait FromValue<T>: Sized {
    /// From what [`Config::get`] gives.
    ///
    /// # Errors
    /// The type has no such value: the text behind the name of the parameter.
    fn from_value(value: T) -> Result<Self, String>;
}

impl<T: Value> FromValue<T> for T {
    fn from_value(value: T) -> Result<Self, String> {
        Ok(value)
    }
}

macro_rules! limits {
    ($($number:ty)*) => {
        $(
            /// A limit: where the table of parameters lets a number be negative, that is as good as 0.
            impl FromValue<i64> for $number {
                fn from_value(value: i64) -> Result<Self, String> {
                    Ok(<$number>::try_from(value.max(0)).unwrap_or(<$number>::MAX))
                }
            }

            /// A limit that 0 takes away, or less.
            impl FromValue<i64> for Option<$number> {
                fn from_value(value: i64) -> Result<Self, String> {
                    <$number>::from_value(value).map(|limit| (limit > 0).then_some(limit))
                }
            }
        )*
    };
}

limits!(u8 u32 u64 usize);

/// A reply code.
impl FromValue<i64> for u16 {
    fn from_value(value: i64) -> Result<Self, String> {
        value.try_into().map_err(|_| format!("value {value} is out of range"))
    }
}

/// A time that 0 takes away.
impl FromValue<Duration> for Option<Duration> {
    fn from_value(value: Duration) -> Result<Self, String> {
        Ok((!value.is_zero()).then_some(value))
    }
}

/// Text that is expanded by the program.
impl FromValue<Raw> for String {
    fn from_value(value: Raw) -> Result<Self, String> {
        Ok(value.0)
    }
}

/// Text as bytes.
impl FromValue<String> for Vec<u8> {
    fn from_value(value: String) -> Result<Self, String> {
        Ok(value.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param::{self, twin};

    settings! {
        /// As programs have them.
        #[derive(Debug, PartialEq)]
        struct Mixed {
            hostname: Vec<u8> = param::MYHOSTNAME,
            attempts: u32 = param::DELIVER_LOCK_ATTEMPTS,
            /// With a note.
            limit: Option<u64> = param::MESSAGE_SIZE_LIMIT,
            classes: usize = param::NOTIFY_CLASSES => |classes: Vec<String>| classes.len(),
            connect: Duration = twin::CONNECT_TIMEOUT,
            hello: Duration = twin::HELO_TIMEOUT,
            both: bool => |from: &Reader<'_>| Ok::<_, ValueError>(from.get(param::SOFT_BOUNCE)? || from.agent() == Agent::Lmtp),
        }
    }

    fn read(text: &str, agent: Agent) -> Result<Mixed, ValueError> {
        let config = Config::parse(text.as_bytes(), std::path::Path::new("/c"), &[]).unwrap();
        Mixed::read(Reader::of(&config, agent))
    }

    #[test]
    fn every_form_of_field_has_the_value_of_its_parameter() {
        let text = "myhostname = a.test\nmessage_size_limit = 0\nnotify_classes = bounce, delay\n\
                    smtp_connect_timeout = 3s\nlmtp_connect_timeout = 4s\nlmtp_lhlo_timeout = 5s\n";
        let seconds = Duration::from_secs;
        let lmtp = Mixed {
            hostname: b"a.test".to_vec(),
            attempts: 20,
            limit: None,
            classes: 2,
            connect: seconds(4),
            hello: seconds(5),
            both: true,
        };
        assert_eq!(read(text, Agent::Lmtp).unwrap(), lmtp);
        let smtp = Mixed { connect: seconds(3), hello: seconds(300), both: false, ..lmtp };
        assert_eq!(read(text, Agent::Smtp).unwrap(), smtp);
    }

    #[test]
    fn a_limit_below_zero_is_as_good_as_zero_and_one_beyond_the_type_is_its_largest() {
        assert_eq!((u32::from_value(-1), u32::from_value(i64::MAX)), (Ok(0), Ok(u32::MAX)));
        assert_eq!((<Option<u64>>::from_value(-1), <Option<u64>>::from_value(7)), (Ok(None), Ok(Some(7))));
    }

    #[test]
    fn a_value_that_makes_no_sense_is_an_error_with_the_name() {
        let error = read("deliver_lock_attempts = x\n", Agent::Smtp).unwrap_err().to_string();
        assert!(error.contains("deliver_lock_attempts"), "{error}");
        assert!(u16::from_value(-1).is_err() && u16::from_value(65_536).is_err());
    }
}
