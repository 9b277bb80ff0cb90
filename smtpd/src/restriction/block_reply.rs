//! What a client is told that a list names: default_rbl_reply, rbl_reply_maps.

use config::{Config, param};
use daemon::StartError;
use dsn::Status;
use lookup::{Maps, OpenFlags};
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::action::adapted;
use crate::restriction::{BlockList, Class, Evaluation, Verdict};
use crate::template::{self, Filling};

/// Templates, and what they are filled in with.
pub struct BlockReplies {
    /// rbl_reply_maps
    maps: Maps,
    /// default_rbl_reply
    default: String,
    filling: Filling,
    /// maps_rbl_reject_code
    code: i64,
}

impl BlockReplies {
    /// Reads the settings and opens the tables.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn open(config: &Config) -> Result<BlockReplies, StartError> {
        let list = config.lookup("rbl_reply_maps")?.unwrap_or_default();
        Ok(BlockReplies {
            maps: Maps::open(config, "rbl_reply_maps", &list, OpenFlags::default())?,
            default: config.get(param::DEFAULT_RBL_REPLY)?.0,
            filling: Filling::read(config)?,
            code: config.get(param::MAPS_RBL_REJECT_CODE)?,
        })
    }

    /// A table whose file is no longer what was opened.
    pub fn changed(&self) -> Option<String> {
        self.maps.changed().map(str::to_owned)
    }
}

/// What a template can name beside client, sender and recipient.
struct Names<'a> {
    class: Class,
    what: &'a [u8],
    domain: &'a str,
    reason: &'a str,
}

impl<L: LookUps> Evaluation<'_, L> {
    /// The "no" about `what`, which is listed.
    pub(super) fn reject_as_listed(&mut self, class: Class, what: &[u8], list: &BlockList, reason: &str) -> Verdict {
        let replies = &self.rules.tables.block_replies;
        let names = Names { class, what, domain: &list.domain, reason };
        let special = match replies.maps.lookup(list.spec.as_bytes()) {
            Ok(found) => found.map(|template| String::from_utf8_lossy(&template).into_owned()),
            Err(_) => return self.server_error(Rejection::server_configuration()),
        };
        let special = special.and_then(|template| {
            let filled = self.fill_in(&template, &names);
            if filled.is_none() {
                logging::warning!("rbl_reject_reply: bad rbl reply template for domain {}: {template}", list.spec);
            }
            filled
        });
        let Some(text) = special.or_else(|| self.fill_in(&replies.default, &names)) else {
            logging::warning!("rbl_reject_reply: bad default rbl reply template: {}", replies.default);
            return self.server_error(Rejection::server_configuration());
        };
        match rejection(&text, class) {
            Some(rejection) => self.reject(rejection),
            None => {
                logging::warning!("rbl response code configuration error: {text}");
                self.reject(Rejection::new(450, Status::new(4, 7, 1), "Service unavailable"))
            }
        }
    }

    /// The template with its names replaced; `None` when it makes no sense, which is logged.
    fn fill_in(&self, template: &str, names: &Names<'_>) -> Option<String> {
        let replies = &self.rules.tables.block_replies;
        let filled = replies.filling.fill_in(template, |name| {
            Some(match name {
                "rbl_class" => names.class.to_string().into_bytes(),
                "rbl_code" => replies.code.to_string().into_bytes(),
                "rbl_domain" => names.domain.as_bytes().to_vec(),
                "rbl_reason" => names.reason.as_bytes().to_vec(),
                "rbl_what" => names.what.to_vec(),
                other => return template::value(other, &self.facts),
            })
        });
        filled.text.filter(|_| !filled.unknown)
    }
}

/// Code, enhanced status if there is one, and text: all must be there but the status.
fn rejection(text: &str, class: Class) -> Option<Rejection> {
    let (code, text) = text.trim().split_once(|c: char| c.is_ascii_whitespace())?;
    let code = code.parse().ok().filter(|number| code.len() == 3 && (400..600).contains(number))?;
    let (status, text) = Status::split_bytes(text.as_bytes(), Status::new(5, 7, 1));
    Some(Rejection::new(code, adapted(status, class), text))
}
