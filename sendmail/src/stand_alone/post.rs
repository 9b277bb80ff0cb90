//! What the dialogue asks, answered for the user who calls: there are no restrictions, and mail goes to postdrop.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use config::{Config, param};
use dsn::Return;
use logging::records::smtpd::Accepted;
use lookup::{DomainList, ParentStyle};
use message::received::FromNetwork;
use queue::record::{Type, encode, encode_attribute};
use smtp_protocol::Reply;
use smtp_protocol::keywords::discardable;
use smtp_protocol::parameters::{Body, RcptParameters};
use smtp_server::{
    Attempt, BareNewline, Counted, Facts, FilterReply, Flushed, Judgement, Peer, Privileges, Refusal, Rejection,
    Services, Settings, Stage, Step, TlsStart, Told, Turn, Unanswered, Unqueued,
};
use wire::cause::Cause;

use crate::postdrop::{self, Postdrop};

/// Records that gather before they are handed over.
const MUCH: usize = 64 << 10;

/// The mail system as one session has it.
pub(super) struct Post {
    config: Config,
    settings: Rc<Settings>,
    /// smtpd_discard_ehlo_keywords
    discarded: Vec<String>,
    forbidden: DomainList,
    meaningless: DomainList,
    /// The message at hand, from its first recipient on.
    message: Option<Postdrop>,
    records: Vec<u8>,
}

impl Post {
    pub(super) fn new(config: &Config, settings: &Rc<Settings>) -> Result<Self, String> {
        let words = |name: &str| -> Result<DomainList, String> {
            let list = config.lookup(name).map_err(|error| error.to_string())?.unwrap_or_default();
            DomainList::open(config, name, &list, ParentStyle::Never).map_err(|error| error.to_string())
        };
        let discarded = config.get(param::SMTPD_DISCARD_EHLO_KEYWORDS).map_err(|error| error.to_string())?;
        Ok(Self {
            config: config.clone(),
            settings: Rc::clone(settings),
            discarded: discarded.into_iter().map(|word| word.to_ascii_uppercase()).collect(),
            forbidden: words("smtpd_forbidden_commands")?,
            meaningless: words("smtpd_noop_commands")?,
            message: None,
            records: Vec::new(),
        })
    }

    /// Where records go.
    pub(super) fn records(&mut self) -> &mut Vec<u8> {
        &mut self.records
    }

    /// There is a message, and postdrop has it.
    pub(super) fn has_message(&self) -> bool {
        self.message.is_some()
    }

    /// Passes on what has gathered. A message that is too large is read to its end and forgotten.
    pub(super) fn flow(&mut self, too_large: bool) {
        if too_large || self.message.is_none() {
            self.records.clear();
        } else if self.records.len() > MUCH {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if let Some(postdrop) = &mut self.message {
            postdrop.write(&self.records);
        }
        self.records.clear();
    }

    /// The first recipient is good: now there is a message.
    fn open(&mut self, facts: Facts<'_>) -> Result<(), Unqueued> {
        let postdrop = Postdrop::start(&self.config).map_err(|why| {
            logging::warning!("{why}");
            Unqueued::NotOpened
        })?;
        logging::emit(&Accepted {
            queue_id: postdrop.id(),
            client: &facts.peer.label,
            login: None,
            sasl_sender: None,
            original_id: None,
            original_client: None,
        });
        self.message = Some(postdrop);
        envelope(&mut self.records, &facts);
        Ok(())
    }

    fn received(&self, facts: &Facts<'_>, id: &str) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let recipient = facts.recipient.map(|address| text::printable(&address::quote(address)));
        FromNetwork {
            helo: facts.helo.unwrap_or_default(),
            name: &facts.peer.name,
            address: &facts.peer.rfc_address(),
            comments: &[],
            protocol: facts.protocol.name(),
            hostname: &self.settings.myhostname,
            mail_name: &self.settings.mail_name,
            queue_id: Some(id),
            only_recipient: recipient.as_deref(),
            date: &message::date::rfc5322(now.cast_signed()),
            id_beside_date: false,
        }
        .lines()
    }
}

/// Everything before the first recipient that a user may say.
fn envelope(out: &mut Vec<u8>, facts: &Facts<'_>) {
    encode_attribute(out, "rewrite_context", b"local");
    let parameters = facts.parameters;
    if let Some(envid) = parameters.and_then(|parameters| parameters.envid.as_ref()) {
        encode_attribute(out, "envelope_id", envid);
    }
    if let Some(ret) = parameters.and_then(|parameters| parameters.ret)
        && ret != Return::Unset
    {
        encode_attribute(out, "ret_flags", ret.bits().to_string().as_bytes());
    }
    encode(out, Type::SENDER, facts.sender.unwrap_or_default());
    match parameters.and_then(|parameters| parameters.body) {
        Some(Body::EightBitMime) => encode_attribute(out, "encoding", b"8bit"),
        Some(Body::SevenBit) => encode_attribute(out, "encoding", b"7bit"),
        None => {}
    }
}

impl Services for Post {
    fn privileges(&self, _: &Peer) -> Privileges {
        Privileges {
            xclient: false,
            verp: false,
            xforward: false,
            bare_newline: BareNewline::Allow,
            discarded: Some(discardable(&self.discarded)),
        }
    }

    /// As with Postfix, filters see the message when pickup brings it, and not here.
    async fn tell_filters(&mut self, _: Told<'_>, _: Facts<'_>) -> Option<FilterReply> {
        None
    }

    fn filters_say(&self) -> Option<FilterReply> {
        None
    }

    async fn reset_filters(&mut self) {}

    async fn arrive(&mut self, _: &Peer, _: bool) -> bool {
        true
    }

    async fn exceeds(&mut self, _: Counted, _: &Peer) -> bool {
        false
    }

    async fn mechanisms(&mut self, _: bool) -> Option<String> {
        Some(String::new())
    }

    fn is_not_for_auth(&self, _: &Peer) -> Result<bool, Unanswered> {
        Ok(true)
    }

    async fn log_in(&mut self, _: Attempt<'_>) -> Step {
        Step::Unavailable(Refusal::default())
    }

    async fn respond(&mut self, _: &[u8]) -> Step {
        Step::Unavailable(Refusal::default())
    }

    fn forget_login(&mut self) {}

    async fn may_start_tls(&mut self, _: &Peer) -> TlsStart {
        TlsStart::Broken
    }

    fn replacement(&self, _: &[u8]) -> Result<Option<Vec<u8>>, Unanswered> {
        Ok(None)
    }

    fn means_nothing(&self, word: &[u8]) -> bool {
        self.meaningless.matches(word).unwrap_or(false)
    }

    fn is_forbidden(&self, word: &[u8]) -> bool {
        self.forbidden.matches(word).unwrap_or(false)
    }

    async fn is_malformed(&mut self, _: Option<&[u8]>, _: &[u8]) -> bool {
        false
    }

    fn free_space(&self) -> Option<u64> {
        None
    }

    async fn judge(&mut self, _: Stage, _: Facts<'_>) -> Judgement {
        Judgement::Accept
    }

    async fn flush(&mut self, _: &[u8]) -> Flushed {
        logging::warning!("do not use ETRN in \"sendmail -bs\" mode");
        Flushed::Unable
    }

    fn log(&self, action: &str, text: &str, facts: Facts<'_>) {
        logging::info!("{action}: {text} from {}", facts.peer.label);
    }

    fn note(&self, _: &str, _: &[u8], _: &Peer) {}

    fn begin(&mut self) {}

    async fn open_early(&mut self, facts: Facts<'_>) -> Result<Option<String>, Unqueued> {
        self.open(facts)?;
        Ok(self.message.as_ref().map(|postdrop| postdrop.id().to_owned()))
    }

    async fn take(
        &mut self,
        facts: Facts<'_>,
        parameters: &RcptParameters,
        argument: &[u8],
    ) -> Result<Option<String>, Unqueued> {
        if self.message.is_none() {
            self.open(facts)?;
        }
        let address = facts.recipient.unwrap_or_default();
        smtp_server::encode_recipient(&mut self.records, address, parameters, argument);
        let id = self.message.as_ref().map(|postdrop| postdrop.id().to_owned());
        self.flow(false);
        if id.is_some() { Ok(id) } else { Err(Unqueued::NotOpened) }
    }

    async fn begin_content(&mut self, facts: Facts<'_>) -> Result<(), Turn> {
        let Some(postdrop) = &self.message else { return Ok(()) };
        let lines = self.received(&facts, postdrop.id());
        encode(&mut self.records, Type::MESSAGE, b"");
        for line in lines {
            encode(&mut self.records, Type::LINE, line.as_bytes());
        }
        Ok(())
    }

    async fn finish(&mut self, _: Facts<'_>) -> Result<Option<Reply>, Turn> {
        encode(&mut self.records, Type::EXTRACTED, b"");
        encode(&mut self.records, Type::END, b"");
        self.hand_over();
        match self.message.take() {
            Some(postdrop) => match postdrop.finish() {
                Ok(()) => Ok(None),
                Err(refusal) => Err(rejection_of(&refusal).into()),
            },
            None => Err(rejection_of(&postdrop::Refusal { cause: Cause::Write, reason: String::new() }).into()),
        }
    }

    async fn abort(&mut self) {
        self.message = None;
        self.records.clear();
    }
}

fn rejection_of(refusal: &postdrop::Refusal) -> Rejection {
    let cause = refusal.cause;
    let text = if refusal.reason.is_empty() { format!("Error: {}", cause.sentence()) } else { refusal.reason.clone() };
    Rejection::new(cause.code(), cause.status(), text)
}
