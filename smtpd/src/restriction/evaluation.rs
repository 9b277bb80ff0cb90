//! One evaluation of restrictions: what is known, what was decided for later, and how a "no" becomes final.
//!
//! A "no" is logged where it is decided, once. What a later restriction may still turn around (defer_if_permit,
//! defer_if_reject) is remembered here from the client stage to the recipient stage.

use std::cell::{Cell, RefCell};
use std::fmt;

use dsn::Status;
use smtp_server::{Facts, Rejection};

use crate::decision::decided;
use crate::look_ups::LookUps;
use crate::restriction::Rules;
use crate::restriction::{Answers, Effects, Verdict};
use crate::settings::Settings;

/// What a restriction is about: the word in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The client.
    Client,
    /// The name that the client's address has, verified or not.
    ReverseClient,
    /// The name in HELO or EHLO.
    Helo,
    /// The sender address.
    Sender,
    /// The recipient address.
    Recipient,
    /// The user.
    Login,
    /// The client's certificate.
    Certificate,
    /// The DATA command.
    Data,
    /// The end of the content.
    EndOfData,
    /// The ETRN command.
    Etrn,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Client => "Client host",
            Class::ReverseClient => "Unverified Client host",
            Class::Helo => "Helo command",
            Class::Sender => "Sender address",
            Class::Recipient => "Recipient address",
            Class::Login => "SASL login name",
            Class::Certificate => "Client certificate",
            Class::Data => "Data command",
            Class::EndOfData => "End-of-data",
            Class::Etrn => "Etrn command",
        })
    }
}

/// What a session remembers of earlier evaluations.
#[derive(Debug, Default)]
pub struct Memory {
    /// What lists in the name service have said.
    pub answers: Answers,
    /// warn_if_reject has spared the client a rejection.
    pub warned: Cell<bool>,
    /// What defer_if_permit has left for the recipients, with smtpd_delay_reject=no.
    pub deferred: RefCell<Deferred>,
    /// The message at hand, for policy services; empty between messages.
    pub instance: String,
}

/// What turns every recipient down, by the stage that found it; each stage begins with what the one before has left.
#[derive(Clone, Debug, Default)]
pub struct Deferred {
    /// When the client came.
    pub client: Option<Box<Rejection>>,
    /// At HELO or EHLO.
    pub helo: Option<Box<Rejection>>,
    /// At MAIL.
    pub sender: Option<Box<Rejection>>,
}

/// An evaluation in progress.
pub struct Evaluation<'a, L> {
    /// Lists and tables.
    pub rules: &'a Rules,
    /// main.cf
    pub settings: &'a Settings,
    /// Who is asked.
    pub look_ups: &'a L,
    /// What is known of the client and its message.
    pub facts: Facts<'a>,
    /// What the session remembers.
    pub memory: &'a Memory,
    /// What the message is to suffer if it is accepted.
    pub effects: &'a mut Effects,
    /// What replies are about: the current list, or what a table was asked that has led into another one.
    pub class: Class,
    /// What the current list is about, classes and lists of tables within it included.
    pub list_class: Class,
    /// A "no" is only logged.
    pub warn_only: bool,
    /// reject_unlisted_sender was evaluated.
    pub sender_checked: bool,
    /// reject_unlisted_recipient was evaluated.
    pub recipient_checked: bool,
    if_permit: Option<Rejection>,
    if_reject: Option<Rejection>,
    /// smtpd_log_access_permit_actions is about this evaluation.
    pub logs_permissions: bool,
}

/// What evaluations are made with.
pub struct Court<'a, L> {
    /// Lists and tables.
    pub rules: &'a Rules,
    /// main.cf
    pub settings: &'a Settings,
    /// Who is asked.
    pub look_ups: &'a L,
    /// What the session remembers.
    pub memory: &'a Memory,
}

impl<'a, L: LookUps> Evaluation<'a, L> {
    /// An evaluation that begins.
    pub fn new(court: Court<'a, L>, facts: Facts<'a>, class: Class, effects: &'a mut Effects) -> Self {
        let Court { rules, settings, look_ups, memory } = court;
        Evaluation {
            rules,
            settings,
            look_ups,
            facts,
            memory,
            effects,
            class,
            list_class: class,
            warn_only: false,
            sender_checked: false,
            recipient_checked: false,
            if_permit: None,
            if_reject: None,
            logs_permissions: true,
        }
    }

    /// The name that a reply about `class` begins with; `None` when there is nothing of the class.
    pub fn name(&self, class: Class) -> Option<&'a [u8]> {
        match class {
            Class::Client => Some(self.facts.peer.label.as_bytes()),
            Class::ReverseClient => Some(self.facts.peer.reverse_name.as_bytes()),
            Class::Helo => self.facts.helo.map(str::as_bytes),
            Class::Sender => self.facts.sender,
            Class::Recipient => self.facts.recipient,
            Class::Certificate => self
                .facts
                .tls
                .and_then(|secured| secured.certificate.as_ref())
                .map(|certificate| certificate.common_name.as_bytes()),
            Class::Login => self.facts.login.map(|login| login.user.as_bytes()),
            Class::Data => Some(b"DATA"),
            Class::EndOfData => Some(b"END-OF-MESSAGE"),
            Class::Etrn => self.facts.etrn_domain,
        }
    }

    /// `<NAME>: CLASS rejected: TEXT`
    pub fn text(&self, class: Class, text: impl AsRef<[u8]>) -> Vec<u8> {
        self.about(class, format!("{class} rejected: "), text)
    }

    /// `<NAME>: HEADTEXT`
    pub fn about(&self, class: Class, head: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> Vec<u8> {
        let name = self.name(class).unwrap_or_default();
        [b"<", name, b">: ", head.as_ref(), text.as_ref()].concat()
    }

    /// A "no": logged, and final unless it may only warn.
    pub fn reject(&mut self, rejection: Rejection) -> Verdict {
        if self.warn_only {
            self.log("reject_warning", &self.softened(rejection).shown());
            self.memory.warned.set(true);
            return Verdict::Dunno;
        }
        // defer_if_reject: what would be permanent becomes what was remembered.
        let rejection = match self.if_reject.take() {
            Some(remembered) if rejection.is_permanent() => remembered,
            _ => rejection,
        };
        let rejection = self.softened(rejection);
        self.log("reject", &rejection.shown());
        Verdict::Reject(rejection)
    }

    /// soft_bounce
    fn softened(&self, rejection: Rejection) -> Rejection {
        let rejection = self.worded(rejection);
        match rejection.is_permanent() && self.settings.soft_bounce {
            true => {
                let class = rejection.class;
                Rejection { class, ..Rejection::new(rejection.code - 100, rejection.status, rejection.text) }
            }
            false => rejection,
        }
    }

    /// smtputf8_enable
    fn worded(&self, rejection: Rejection) -> Rejection {
        if self.settings.dialogue.smtputf8 { rejection } else { rejection.in_ascii() }
    }

    /// A "no" that is our own fault: always final.
    pub fn server_error(&mut self, rejection: Rejection) -> Verdict {
        let rejection = self.worded(rejection);
        self.log("reject", &rejection.shown());
        Verdict::Reject(rejection)
    }

    /// reject
    pub fn reject_here(&mut self) -> Verdict {
        let text = self.text(self.class, "Access denied");
        self.reject(Rejection::new(self.settings.codes.reject, Status::new(5, 7, 1), text))
    }

    /// defer
    pub fn defer_here(&mut self) -> Verdict {
        let text = self.text(self.class, "Try again later");
        self.reject(Rejection::new(self.settings.codes.defer, Status::new(4, 3, 2), text))
    }

    /// defer_if_permit
    pub fn remember_defer_if_permit(&mut self) -> Verdict {
        let text = self.text(self.class, "defer_if_permit requested");
        self.defer_if_permit(Rejection::new(450, Status::new(4, 7, 0), text))
    }

    /// defer_if_reject
    pub fn remember_defer_if_reject(&mut self) -> Verdict {
        let text = self.text(self.class, "defer_if_reject requested");
        self.defer_if_reject(Rejection::new(450, Status::new(4, 7, 0), text))
    }

    /// If nothing turns the command down, this does. The first one counts.
    pub fn defer_if_permit(&mut self, rejection: Rejection) -> Verdict {
        if self.warn_only {
            return self.reject(rejection);
        }
        self.if_permit.get_or_insert(rejection);
        Verdict::Dunno
    }

    /// If something turns the command down for good, this does instead. The first one counts.
    pub fn defer_if_reject(&mut self, rejection: Rejection) -> Verdict {
        if !self.warn_only {
            self.if_reject.get_or_insert(rejection);
        }
        Verdict::Dunno
    }

    /// What was remembered for a later "no" is not for the next list.
    pub fn forget_defer_if_reject(&mut self) {
        self.if_reject = None;
    }

    /// Whatever follows, the command is turned down for now.
    pub fn is_decided(&self) -> bool {
        self.if_permit.is_some() && self.if_reject.is_some()
    }

    /// Begins with what an earlier stage has remembered.
    pub fn resume(&mut self, remembered: Option<Box<Rejection>>) {
        self.if_permit = remembered.map(|rejection| *rejection);
    }

    /// What is remembered, for a later stage.
    pub fn remembered(&self) -> Option<Box<Rejection>> {
        self.if_permit.clone().map(Box::new)
    }

    /// What remains of defer_if_permit when all lists have said yes.
    pub fn remainder(&mut self) -> Option<Rejection> {
        let rejection = self.if_permit.take()?;
        self.log("reject", &rejection.shown());
        Some(rejection)
    }

    /// Logs a "yes" about `class`, which is `source`'s. smtpd_log_access_permit_actions
    pub fn log_permission(&self, class: Class, action: &str, source: &str) {
        // What cannot be looked up is not worth more than a line less.
        if !self.logs_permissions || !self.rules.tables.logged_permissions.matches(action.as_bytes()).unwrap_or(false) {
            return;
        }
        let name = text::printable(self.name(class).unwrap_or_default());
        self.log("permit", &format!("action={action} for {class}={name} {source}"));
    }

    /// Logs a decision.
    pub fn log(&self, action: &str, text: &str) {
        logging::emit(&decided(&self.facts, self.settings.log_addresses, action, text));
    }
}
