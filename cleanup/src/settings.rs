//! What main.cf says to this daemon.

use std::time::Duration;

use address::Delimiters;
use config::{Raw, Reader, ValueError, param};
use message::header::Kind;
use message::mime::Limits;
use queue::Spool;

use crate::strict::{EndOfHeader, Strictness};

config::settings! {
    /// Settings, read once.
    pub struct Settings {
        /// The queue directory.
        spool: Spool => |from: &Reader<'_>| from.config.spool(),
        long_ids: bool = param::ENABLE_LONG_QUEUE_IDS,
        hostname: String = param::MYHOSTNAME,
        origin: String = param::MYORIGIN,
        /// Where an address extension begins.
        delimiters: Delimiters => |from: &Reader<'_>| from.config.delimiters(),
        propagate: Vec<String> = param::PROPAGATE_UNMATCHED_EXTENSIONS,
        canonical_classes: Vec<String> = param::CANONICAL_CLASSES,
        sender_canonical_classes: Vec<String> = param::SENDER_CANONICAL_CLASSES,
        recipient_canonical_classes: Vec<String> = param::RECIPIENT_CANONICAL_CLASSES,
        /// In the order in which they are tried.
        masquerade_domains: Vec<String> = param::MASQUERADE_DOMAINS => lower,
        masquerade_classes: Vec<String> = param::MASQUERADE_CLASSES,
        masquerade_exceptions: Vec<String> = param::MASQUERADE_EXCEPTIONS => lower,
        expansion_limit: usize = param::VIRTUAL_ALIAS_EXPANSION_LIMIT,
        recursion_limit: usize = param::VIRTUAL_ALIAS_RECURSION_LIMIT,
        address_length_limit: usize = param::VIRTUAL_ALIAS_ADDRESS_LENGTH_LIMIT,
        always_bcc: String = param::ALWAYS_BCC,
        original_recipient: bool = param::ENABLE_ORIGINAL_RECIPIENT,
        /// 0 is no limit.
        duplicate_limit: usize = param::DUPLICATE_FILTER_LIMIT,
        attribute_limit: usize = param::QUEUE_FILE_ATTRIBUTE_COUNT_LIMIT,
        /// Zero is never.
        delay_warning: Duration = param::DELAY_WARNING_TIME,
        hopcount_limit: usize = param::HOPCOUNT_LIMIT,
        /// 0 is no limit.
        message_size_limit: u64 = param::MESSAGE_SIZE_LIMIT,
        header_size_limit: usize = param::HEADER_SIZE_LIMIT,
        line_length_limit: usize = param::LINE_LENGTH_LIMIT,
        body_checks_limit: u64 = param::BODY_CHECKS_SIZE_LIMIT,
        drop_headers: Vec<String> = param::MESSAGE_DROP_HEADERS => lower,
        mime_limits: Limits => |from: &Reader<'_>| from.config.mime_limits(),
        /// What MIME structure is refused.
        strict: Strictness => Strictness::read,
        end_of_header: EndOfHeader = param::NON_EMPTY_END_OF_HEADER_ACTION,
        token_limit: usize = param::HEADER_ADDRESS_TOKEN_LIMIT,
        /// Text that calls itself 8-bit becomes quoted-printable when it comes in.
        force_conversion: bool => forced_conversion,
        always_add_headers: bool = param::ALWAYS_ADD_MISSING_HEADERS,
        undisclosed_recipients: String = param::UNDISCLOSED_RECIPIENTS_HEADER,
        requiretls_header: bool = param::REQUIRETLS_ESMTP_HEADER,
        /// What full names beyond ASCII are written in.
        name_charset: String = param::FULL_NAME_ENCODING_CHARSET,
        obsolete_from: bool = param::HEADER_FROM_FORMAT => |format: String| format.eq_ignore_ascii_case("obsolete"),
        remote_domain: String = param::REMOTE_HEADER_REWRITE_DOMAIN,
        reject_characters: Vec<u8> = param::MESSAGE_REJECT_CHARACTERS => unescaped,
        strip_characters: Vec<u8> = param::MESSAGE_STRIP_CHARACTERS => unescaped,
        detect_encoding: bool = param::DETECT_8BIT_ENCODING_HEADER,
        plain_input: bool = param::DISABLE_MIME_INPUT_PROCESSING,
        utf8: bool = param::SMTPUTF8_ENABLE,
        replace_stray: bool = param::CLEANUP_REPLACE_STRAY_CR_LF,
        /// Zero is never.
        flow_delay: Duration = param::IN_FLOW_DELAY,
        /// Tokens of the flow control that a worker takes at once: of the few that there are, few.
        flow_tokens: usize = param::DEFAULT_PROCESS_LIMIT => |limit| {
            usize::try_from(limit / 16).unwrap_or(1).clamp(1, 8)
        },
        /// What all programs that deliver read.
        log: delivery::Settings => delivery::Settings::read,
        /// Log lines of Postfix 3.11. compatibility_level
        modern: bool => |from: &Reader<'_>| Ok::<_, ValueError>(from.config.modern_log()),
    }
}

impl Settings {
    /// message_drop_headers: whether fields of this name are removed.
    pub fn drops(&self, name: &[u8]) -> bool {
        self.drop_headers.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether the kind of a header is one that message_drop_headers removes.
    pub fn drops_kind(&self, kind: Kind) -> bool {
        Kind::KNOWN.iter().any(|(known, name)| *known == kind && self.drops(name.as_bytes()))
    }

    /// propagate_unmatched_extensions: whether a table of this class passes extensions on.
    pub fn propagates(&self, class: &str) -> bool {
        self.propagate.iter().any(|known| known.eq_ignore_ascii_case(class))
    }
}

fn forced_conversion(from: &Reader<'_>) -> Result<bool, ValueError> {
    let forced = from.config.get(param::FORCE_MIME_INPUT_CONVERSION)?;
    if forced && from.config.get(param::DISABLE_MIME_INPUT_PROCESSING)? {
        let both = "do not specify both disable_mime_input_processing=yes and force_mime_input_conversion=yes";
        return Err(ValueError::Meaning(both.to_owned()));
    }
    Ok(forced)
}

fn unescaped(text: Raw) -> Vec<u8> {
    text::c_unescape(&text.0)
}

fn lower(list: Vec<String>) -> Vec<String> {
    list.into_iter().map(|item| item.to_ascii_lowercase()).collect()
}
