//! Records: log lines as types, which know their facts by name and describe themselves.
//!
//! A record is declared once, by [`records!`](crate::records): the type, its members in the JSON form, and an example.
//! The line in Postfix's form is its `Display`, written by hand beside the declaration. docs/log.md and the test of all
//! records are made from the declaration.

use std::fmt::{self, Display};

use crate::line::Severity;

/// A log line as a type. `Display` is the line as Postfix writes it, after `TAG[PID]: ` and the severity word.
pub trait Record: Display {
    /// How serious it is.
    fn severity(&self) -> Severity {
        Severity::Info
    }

    /// What kind of line it is: the member `event` of the JSON form.
    fn event(&self) -> &'static str;

    /// The facts of the line by name, for the JSON form. Those that are absent are left out.
    fn fields(&self) -> Vec<Field>;
}

/// A fact: its name and its value.
pub type Field = (&'static str, Value);

/// The value of a fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A count, an identifier, a size in bytes.
    Integer(u64),
    /// A number that need not be whole: seconds.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
    /// Several short texts.
    Texts(Vec<String>),
}

/// What can be the value of a member.
pub trait Fact {
    /// The value; `None` if the fact is absent.
    fn value(self) -> Option<Value>;
}

/// The type of a member in the JSON form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A number without a point.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An array of strings.
    Texts,
}

/// A member of the JSON form, as it is declared.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// When it is there: [`ALWAYS`], or a condition.
    pub when: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// The condition of a member that is never left out.
pub const ALWAYS: &str = "always";

/// A record, as it is declared.
pub struct Description {
    /// The member `event`.
    pub event: &'static str,
    /// What the line tells.
    pub meaning: &'static str,
    /// A program that writes it.
    pub program: &'static str,
    /// Its own members, beside those that every line has.
    pub members: &'static [Member],
    /// One such line, with as many members as can be there together.
    pub example: fn() -> Box<dyn Record>,
}

impl Value {
    /// Its type in the JSON form.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Integer(_) => Kind::Integer,
            Self::Number(_) => Kind::Number,
            Self::Boolean(_) => Kind::Boolean,
            Self::Texts(_) => Kind::Texts,
        }
    }

    /// The texts in it.
    pub(crate) fn texts(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::Texts(texts) => texts,
            Self::Integer(_) | Self::Number(_) | Self::Boolean(_) => &[],
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Texts => "array of strings",
        })
    }
}

impl Fact for &str {
    fn value(self) -> Option<Value> {
        Some(Value::Text(self.to_owned()))
    }
}

impl Fact for &String {
    fn value(self) -> Option<Value> {
        self.as_str().value()
    }
}

impl Fact for u64 {
    fn value(self) -> Option<Value> {
        Some(Value::Integer(self))
    }
}

impl Fact for u32 {
    fn value(self) -> Option<Value> {
        u64::from(self).value()
    }
}

impl Fact for f64 {
    /// What is no number has no form in JSON.
    fn value(self) -> Option<Value> {
        self.is_finite().then_some(Value::Number(self))
    }
}

impl Fact for bool {
    fn value(self) -> Option<Value> {
        Some(Value::Boolean(self))
    }
}

impl Fact for Vec<String> {
    fn value(self) -> Option<Value> {
        Some(Value::Texts(self))
    }
}

impl<T: Fact> Fact for Option<T> {
    fn value(self) -> Option<Value> {
        self.and_then(Fact::value)
    }
}

/// The fact of a field of a record, which stays where it is.
impl<'a> Fact for &'a Option<String> {
    fn value(self) -> Option<Value> {
        self.as_deref().and_then(<&'a str as Fact>::value)
    }
}

/// Declares the records of one area, and `RECORDS`, their descriptions.
///
/// `program` is one of those that write them. Each record is a type with public fields; `members` are those of its JSON
/// form, each with its type (a [`Kind`]), the condition under which it is there, a sentence, and the expression that
/// gives it from the record. `example` are the fields of one such line.
macro_rules! records {
    (program $program:literal; $(
        $(#[doc = $meaning:literal])+
        $name:ident $(<$life:lifetime>)?: $severity:ident $event:literal {
            $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty,)+
        }
        members($line:ident) {
            $($member:ident: $kind:ident, $when:expr, $says:literal = $value:expr;)+
        }
        example { $($example:ident: $given:expr,)+ }
    )+) => {
        $(
            $(#[doc = $meaning])+
            #[derive(Debug, Clone)]
            pub struct $name $(<$life>)? {
                $($(#[doc = $field_doc])+ pub $field: $type,)+
            }

            impl $(<$life>)? $crate::Record for $name $(<$life>)? {
                fn severity(&self) -> $crate::Severity {
                    $crate::Severity::$severity
                }

                fn event(&self) -> &'static str {
                    $event
                }

                fn fields(&self) -> Vec<$crate::Field> {
                    let $line = self;
                    let members = [$((stringify!($member), $crate::record::Fact::value($value)),)+];
                    members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
                }
            }
        )+

        /// The records of this area.
        pub(super) const RECORDS: &[$crate::Description] = &[$($crate::Description {
            event: $event,
            meaning: concat!($($meaning),+),
            program: $program,
            members: &[$($crate::Member {
                name: stringify!($member),
                kind: $crate::record::Kind::$kind,
                when: $when,
                meaning: $says,
            },)+],
            example: || Box::new($name { $($example: $given,)+ }),
        },)+];
    };
}
pub(crate) use records;
