//! What main.cf says to this daemon.

use std::time::Duration;

use address::Delimiters;
use config::{Config, Raw, ValueError, param};
use message::header::Kind;
use queue::Spool;

/// Settings, read once.
pub struct Settings {
    /// The queue directory.
    pub spool: Spool,
    /// enable_long_queue_ids.
    pub long_ids: bool,
    /// myhostname.
    pub hostname: String,
    /// recipient_delimiter and owner_request_special.
    pub delimiters: Delimiters,
    /// propagate_unmatched_extensions.
    pub propagate: Vec<String>,
    /// canonical_classes, sender_canonical_classes, recipient_canonical_classes.
    pub canonical_classes: Vec<String>,
    /// sender_canonical_classes.
    pub sender_canonical_classes: Vec<String>,
    /// recipient_canonical_classes.
    pub recipient_canonical_classes: Vec<String>,
    /// masquerade_domains, in the order in which they are tried.
    pub masquerade_domains: Vec<String>,
    /// masquerade_classes.
    pub masquerade_classes: Vec<String>,
    /// masquerade_exceptions, lower case.
    pub masquerade_exceptions: Vec<String>,
    /// virtual_alias_expansion_limit.
    pub expansion_limit: usize,
    /// virtual_alias_recursion_limit.
    pub recursion_limit: usize,
    /// virtual_alias_address_length_limit.
    pub address_length_limit: usize,
    /// always_bcc.
    pub always_bcc: String,
    /// enable_original_recipient.
    pub original_recipient: bool,
    /// duplicate_filter_limit; 0 is no limit.
    pub duplicate_limit: usize,
    /// queue_file_attribute_count_limit.
    pub attribute_limit: usize,
    /// delay_warning_time; zero is never.
    pub delay_warning: Duration,
    /// hopcount_limit.
    pub hopcount_limit: usize,
    /// message_size_limit; 0 is no limit.
    pub message_size_limit: u64,
    /// header_size_limit.
    pub header_size_limit: usize,
    /// line_length_limit.
    pub line_length_limit: usize,
    /// body_checks_size_limit.
    pub body_checks_limit: u64,
    /// message_drop_headers, lower case.
    pub drop_headers: Vec<String>,
    /// Multiparts within each other: mime_nesting_limit, and the two that Postfix takes beyond it.
    pub mime_nesting_limit: usize,
    /// always_add_missing_headers.
    pub always_add_headers: bool,
    /// undisclosed_recipients_header.
    pub undisclosed_recipients: String,
    /// header_from_format = obsolete.
    pub obsolete_from: bool,
    /// remote_header_rewrite_domain.
    pub remote_domain: String,
    /// message_reject_characters.
    pub reject_characters: Vec<u8>,
    /// message_strip_characters.
    pub strip_characters: Vec<u8>,
    /// detect_8bit_encoding_header.
    pub detect_encoding: bool,
    /// disable_mime_input_processing.
    pub plain_input: bool,
    /// cleanup_replace_stray_cr_lf.
    pub replace_stray: bool,
    /// in_flow_delay; zero is never.
    pub flow_delay: Duration,
    /// info_log_address_format, delay_logging_resolution_limit, soft_bounce.
    pub log: delivery::Settings,
    /// Log lines of Postfix 3.11. compatibility_level
    pub modern: bool,
}

impl Settings {
    /// Reads the settings.
    pub fn read(config: &Config) -> Result<Self, ValueError> {
        let number = |param| config.get::<i64>(param).map(|value| usize::try_from(value).unwrap_or(0));
        let escaped = |param| config.get::<Raw>(param).map(|raw| text::c_unescape(&raw.0));
        let delimiter = config.get(param::RECIPIENT_DELIMITER)?;
        Ok(Settings {
            spool: config.spool()?,
            long_ids: config.get(param::ENABLE_LONG_QUEUE_IDS)?,
            hostname: config.get(param::MYHOSTNAME)?,
            delimiters: Delimiters::new(&delimiter, config.get(param::OWNER_REQUEST_SPECIAL)?),
            propagate: config.get(param::PROPAGATE_UNMATCHED_EXTENSIONS)?,
            canonical_classes: config.get(param::CANONICAL_CLASSES)?,
            sender_canonical_classes: config.get(param::SENDER_CANONICAL_CLASSES)?,
            recipient_canonical_classes: config.get(param::RECIPIENT_CANONICAL_CLASSES)?,
            masquerade_domains: lower(config.get(param::MASQUERADE_DOMAINS)?),
            masquerade_classes: config.get(param::MASQUERADE_CLASSES)?,
            masquerade_exceptions: lower(config.get(param::MASQUERADE_EXCEPTIONS)?),
            expansion_limit: number(param::VIRTUAL_ALIAS_EXPANSION_LIMIT)?,
            recursion_limit: number(param::VIRTUAL_ALIAS_RECURSION_LIMIT)?,
            address_length_limit: number(param::VIRTUAL_ALIAS_ADDRESS_LENGTH_LIMIT)?,
            always_bcc: config.get(param::ALWAYS_BCC)?,
            original_recipient: config.get(param::ENABLE_ORIGINAL_RECIPIENT)?,
            duplicate_limit: number(param::DUPLICATE_FILTER_LIMIT)?,
            attribute_limit: number(param::QUEUE_FILE_ATTRIBUTE_COUNT_LIMIT)?,
            delay_warning: config.get(param::DELAY_WARNING_TIME)?,
            hopcount_limit: number(param::HOPCOUNT_LIMIT)?,
            message_size_limit: number(param::MESSAGE_SIZE_LIMIT)? as u64,
            header_size_limit: number(param::HEADER_SIZE_LIMIT)?,
            line_length_limit: number(param::LINE_LENGTH_LIMIT)?.max(1),
            body_checks_limit: number(param::BODY_CHECKS_SIZE_LIMIT)? as u64,
            drop_headers: lower(config.get(param::MESSAGE_DROP_HEADERS)?),
            mime_nesting_limit: number(param::MIME_NESTING_LIMIT)?.saturating_add(2),
            always_add_headers: config.get(param::ALWAYS_ADD_MISSING_HEADERS)?,
            undisclosed_recipients: config.get(param::UNDISCLOSED_RECIPIENTS_HEADER)?,
            obsolete_from: config.get(param::HEADER_FROM_FORMAT)?.eq_ignore_ascii_case("obsolete"),
            remote_domain: config.get(param::REMOTE_HEADER_REWRITE_DOMAIN)?,
            reject_characters: escaped(param::MESSAGE_REJECT_CHARACTERS)?,
            strip_characters: escaped(param::MESSAGE_STRIP_CHARACTERS)?,
            detect_encoding: config.get(param::DETECT_8BIT_ENCODING_HEADER)?,
            plain_input: config.get(param::DISABLE_MIME_INPUT_PROCESSING)?,
            replace_stray: config.get(param::CLEANUP_REPLACE_STRAY_CR_LF)?,
            flow_delay: config.get(param::IN_FLOW_DELAY)?,
            log: delivery::Settings::read(config)?,
            modern: config.modern_log(),
        })
    }

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

fn lower(list: Vec<String>) -> Vec<String> {
    list.into_iter().map(|item| item.to_ascii_lowercase()).collect()
}
