//! Users: .forward, and the ways to a mailbox.

use std::rc::Rc;

use config::expand::Expanded;
use delivery::deposit::{self, Reading, Trouble};
use delivery::destination::{Destination, List};
use delivery::steward::{Account, StartProblem, Started, Who};
use delivery::{Verdict, passing};
use dsn::Action;
use ipc::Client;
use ipc::carrier::{Carrier, Deposit, Done, FoundList, ListProblem, Path, Role};
use lookup::Maps;
use queue::Trace;

use crate::destinations::MAX_LIST;
use crate::expansion::Expansion;
use crate::place::{Names, Place, Recipient, Rights, Via, plain_names};
use crate::verdict::{self, Attempt};

/// A .forward file that counts.
struct Forward {
    /// Which one.
    path: String,
    text: Vec<u8>,
    /// Its name has the extension in it.
    used_extension: bool,
}

/// Why the home directory of a user cannot be reached with the rights that the user's mail is delivered with.
async fn missing_home(account: &Account, carrier: &mut Client<Carrier>) -> Result<Option<String>, Trouble> {
    let code = match deposit::look(carrier, Path(account.home.clone().into_bytes())).await? {
        FoundList::Found { .. } => return Ok(None),
        FoundList::Unusable { why: ListProblem::System(code), .. } => code,
        FoundList::Unusable { .. } | FoundList::None => nix::errno::Errno::ENOENT as i32,
    };
    let error = text::system_error(&std::io::Error::from_raw_os_error(code));
    Ok(Some(format!("cannot access home directory {}: {error}", account.home)))
}

impl Expansion<'_> {
    /// Serves a recipient that is no alias: .forward, mailbox, or nobody.
    pub(crate) async fn user(&mut self, place: Rc<Place>, recipient: Recipient) {
        let (account, mut carrier) = match self.carrier_of(&recipient.name).await {
            Ok(started) => started,
            Err(StartProblem::Unknown) => return self.nobody(&place, &recipient).await,
            Err(problem) => return self.trouble(&recipient.address, &Trouble::from(problem)),
        };
        if self.agent.settings.require_home {
            match missing_home(&account, &mut carrier.channel).await {
                Ok(None) => {}
                Ok(Some(why)) => return self.finish(&recipient.address, &verdict::deferred(3, 0, why)),
                Err(trouble) => return self.trouble(&recipient.address, &trouble),
            }
        }
        if !recipient.mailbox_only {
            let found = self.read_forward(&recipient, &account, &mut carrier.channel).await;
            match found {
                // The file that names the user himself is not read again.
                Ok(Some(forward)) if self.is_new(b"forward ", forward.path.as_bytes()) => {
                    let Ok(destinations) = List::of_file(forward.text).parse() else {
                        return self.too_many(&recipient.address, b".forward");
                    };
                    // A probe of an address is done where the user's own list begins.
                    if self.job.request().trace.has(Trace::VERIFY) && !destinations.is_empty() {
                        let finding = verdict::sent(format!("forward via file: {}", forward.path));
                        return self.finish(&recipient.address, &finding);
                    }
                    if !destinations.is_empty() {
                        self.stands_for_others(Action::Expanded);
                        let is_used = forward.used_extension;
                        let inner = Place {
                            unmatched: self.unmatched(&recipient, |by| by.forward && !is_used),
                            via: Via::Forward,
                            delivered_to: self.delivered_to(&place, &recipient),
                            recipient: Rc::new(recipient),
                            rights: Rights::User(account),
                            depth: place.depth + 1,
                            by_message: true,
                            ..(*place).clone()
                        };
                        return self.push(Rc::new(inner), destinations);
                    }
                }
                Ok(_) => {}
                Err(trouble) => return self.trouble(&recipient.address, &trouble),
            }
        }
        if self.is_new(b"mailbox ", account.name.as_bytes()) {
            self.mailbox(&place, &recipient, &account, Some(carrier)).await;
        }
    }

    /// The user's .forward file; `None` where there is none that counts.
    async fn read_forward(
        &self,
        recipient: &Recipient,
        account: &Account,
        carrier: &mut Client<Carrier>,
    ) -> Result<Option<Forward>, Trouble> {
        let settings = &self.agent.settings;
        let names = Names {
            recipient,
            account: Some(account),
            delimiters: &settings.recipient_delimiter,
            filter: &settings.forward_filter,
        };
        let (mut paths, mut used) = (Vec::new(), Vec::new());
        // forward_path: split first, so that nothing in an address separates.
        for path in text::split_list(&settings.forward_path) {
            match names.expand_known(path) {
                Ok(expanded) => {
                    let found = expanded.and_then(Expanded::into_path).map(Path);
                    used.extend(found.clone().filter(|_| plain_names(path).contains(&"extension")));
                    paths.extend(found);
                }
                Err(error) => logging::warning!("bad forward_path: {error}"),
            }
        }
        paths.dedup();
        if paths.is_empty() {
            return Ok(None);
        }
        let (path, why) = match deposit::read(carrier, paths, Role::Forward(account.uid), MAX_LIST).await? {
            Reading::None => return Ok(None),
            Reading::Text(path, text) => {
                let used_extension = used.contains(&path);
                return Ok(Some(Forward { path: text::printable(&path.0), text, used_extension }));
            }
            Reading::Unusable(path, why) => (text::printable(&path.0), why),
            Reading::TooLarge(path) => {
                let path = text::printable(&path.0);
                return Err(Trouble::Carrier(format!("file {path} is larger than {MAX_LIST} bytes")));
            }
        };
        match why {
            ListProblem::NotRegular => logging::warning!("file {path} is not a regular file"),
            ListProblem::Owner(uid) => logging::warning!("file {path} has bad owner uid {uid}"),
            ListProblem::WorldWritable => logging::warning!("file {path} is world writable"),
            ListProblem::System(code) => {
                let error = text::system_error(&std::io::Error::from_raw_os_error(code));
                if verdict::may_pass(code) {
                    return Err(Trouble::Carrier(format!("read {path}: {error}")));
                }
                logging::warning!("cannot open file {path}: {error}");
            }
        }
        Ok(None)
    }

    /// The user, and a carrier with the user's rights; with those of default_privs where nobody gets the user's.
    async fn carrier_of(&self, name: &[u8]) -> Result<(Rc<Account>, Started), StartProblem> {
        let steward = &self.agent.steward;
        match steward.files(Who::Name(name.to_vec())).await {
            Ok(carrier) => Ok((Rc::new(carrier.account.clone()), carrier)),
            Err(StartProblem::Withheld(account)) => Ok((Rc::new(account), steward.files(Who::Default).await?)),
            Err(problem) => Err(problem),
        }
    }

    /// Delivers to a user's mailbox, whatever that is; `carrier` has the user's rights and nothing to do yet.
    pub(crate) async fn mailbox(
        &mut self,
        place: &Place,
        recipient: &Recipient,
        account: &Rc<Account>,
        carrier: Option<Started>,
    ) {
        let agent = self.agent;
        let maps = &agent.maps;
        let transport = self.setting(recipient, &maps.mailbox_transport, &agent.settings.mailbox_transport);
        match transport {
            Ok(Some(transport)) => return self.pass_on(recipient, &transport).await,
            Ok(None) => {}
            Err(()) => return self.table_failure(recipient),
        }
        match self.setting(recipient, &maps.mailbox_command, &agent.settings.mailbox_command) {
            Ok(Some(command)) => {
                drop(carrier);
                let rights = Rights::User(Rc::clone(account));
                return self.run_command(place, recipient, command.as_bytes(), &rights).await;
            }
            Ok(None) => {}
            Err(()) => return self.table_failure(recipient),
        }
        self.mailbox_file(place, recipient, account, carrier).await;
    }

    /// home_mailbox, else mail_spool_directory. A spool of Maildirs comes before a mailbox file at home, as in Postfix.
    async fn mailbox_file(
        &mut self,
        place: &Place,
        recipient: &Recipient,
        account: &Rc<Account>,
        carrier: Option<Started>,
    ) {
        let settings = &self.agent.settings;
        let (home, spool) = (&settings.home_mailbox, &settings.spool_directory);
        let at_home = !home.is_empty() && (home.ends_with('/') || !spool.ends_with('/'));
        let path = if at_home {
            format!("{}/{home}", account.home.trim_end_matches('/'))
        } else {
            let end = if spool.ends_with('/') { "/" } else { "" };
            format!("{}/{}{end}", spool.trim_end_matches('/'), account.name)
        };
        let is_maildir = path.ends_with('/');
        if self.job.is_probe() {
            let kind = if is_maildir { "maildir" } else { "mailbox" };
            return self.finish(&recipient.address, &verdict::sent(format!("delivers to {kind}")));
        }
        let target = self.file_target(path.as_bytes(), true);
        let deposit = self.deposit(place, target, !is_maildir, settings.delivered_to.file);
        let done = self.deposit_own(account, carrier, deposit, at_home || is_maildir).await;
        let (done, ids) = match done {
            Ok(done) => done,
            Err(trouble) => return self.trouble(&recipient.address, &trouble),
        };
        let attempt =
            if is_maildir { Attempt::Maildir { ids } } else { Attempt::Mailbox { path: &path, user: &account.name } };
        if let (Done::Delivered { at: Some(at), .. }, Attempt::Mailbox { .. }) = (&done, &attempt) {
            self.agent.biff.tell(&account.name, *at);
        }
        let mut finding = verdict::of(&attempt, &done);
        if account.is_withheld && (at_home || is_maildir) && finding.verdict == Verdict::Bounced {
            // The home of such a user is closed to default_privs: this mail waits for an alias.
            logging::warning!("mail for {} is delivered with the rights of default_privs: make an alias", account.name);
            finding = verdict::deferred(2, 0, finding.reason);
        }
        self.finish(&recipient.address, &finding);
    }

    /// Has a carrier write to a user's own mailbox: with the user's rights, or as the mail spool directory wants it.
    /// With the result comes whose rights it was.
    async fn deposit_own(
        &self,
        account: &Rc<Account>,
        carrier: Option<Started>,
        deposit: Deposit,
        with_own_rights: bool,
    ) -> Result<(Done, (u32, u32)), Trouble> {
        let agent = self.agent;
        let started = match carrier.filter(|_| with_own_rights) {
            Some(carrier) => Ok(carrier),
            None if with_own_rights => agent.files_carrier(&Rights::User(Rc::clone(account))).await,
            None => {
                let locks = &agent.settings.mailbox;
                agent.steward.mailbox(&account.name, locks.attempts, locks.delay).await
            }
        };
        let carrier = match started {
            Ok(carrier) => carrier,
            Err(problem) => {
                let problem = deposit::not_written(problem)?;
                return Ok((Done::NotWritten(problem), (account.uid, account.gid)));
            }
        };
        let ids = (carrier.account.uid, carrier.account.gid);
        let done = deposit::deliver(&agent.steward, carrier, self.job, deposit.into()).await?;
        Ok((done, ids))
    }

    /// A name that is neither alias nor user.
    async fn nobody(&mut self, place: &Rc<Place>, recipient: &Recipient) {
        let agent = self.agent;
        // mailbox_transport serves names that the user database does not know.
        let own = self.setting(recipient, &agent.maps.mailbox_transport, &agent.settings.mailbox_transport);
        let fallback = self.setting(recipient, &agent.maps.fallback_transport, &agent.settings.fallback_transport);
        match (own, fallback) {
            (Ok(Some(transport)), _) | (Ok(None), Ok(Some(transport))) => {
                return self.pass_on(recipient, &transport).await;
            }
            (Err(()), _) | (_, Err(())) => return self.table_failure(recipient),
            (Ok(None), Ok(None)) => {}
        }
        let name = text::printable(&recipient.name);
        if self.luser_relay(place, recipient) {
            return;
        }
        if recipient.name == b"postmaster" || recipient.name == b"mailer-daemon" {
            // Mail for those that cannot be delivered must not make more mail for them.
            logging::warning!("required alias not found: {name}");
            return self.finish(&recipient.address, &verdict::sent("discarded"));
        }
        self.finish(&recipient.address, &verdict::unknown(&recipient.name));
    }

    /// luser_relay; false where there is none, or where it has led here.
    fn luser_relay(&mut self, place: &Rc<Place>, recipient: &Recipient) -> bool {
        let setting = &self.agent.settings.luser_relay;
        if setting.is_empty() || place.via == Via::Relay {
            return false;
        }
        let names =
            Names { recipient, account: None, delimiters: &self.agent.settings.recipient_delimiter, filter: "" };
        match names.expand(setting) {
            // One address, whatever the sender wrote in front of the @.
            Ok(relay) => {
                let inner = Place {
                    via: Via::Relay,
                    recipient: Rc::new(recipient.clone()),
                    depth: place.depth + 1,
                    ..(**place).clone()
                };
                self.push(Rc::new(inner), vec![Destination::Address(relay.into_address())]);
                true
            }
            Err(error) => {
                logging::warning!("bad luser_relay: {error}");
                let finding = verdict::deferred(3, 5, "mail system configuration error");
                self.finish(&recipient.address, &finding);
                true
            }
        }
    }

    /// What a per-user table says, else the setting for all; `None` where both are silent.
    fn setting(&self, recipient: &Recipient, maps: &Maps, general: &str) -> Result<Option<String>, ()> {
        let found = if maps.is_empty() { None } else { maps.lookup(&recipient.name).map_err(drop)? };
        let found = found.map(|value| text::printable(&value));
        Ok(found.or_else(|| Some(general.to_owned())).filter(|value| !value.is_empty()))
    }

    async fn pass_on(&mut self, recipient: &Recipient, transport: &str) {
        match passing::pass(&crate::SERVICE, self.job, self.target, &recipient.address, transport).await {
            Ok(outcome) => self.keep(&recipient.address, outcome),
            Err(finding) => self.finish(&recipient.address, &finding),
        }
    }

    fn table_failure(&mut self, recipient: &Recipient) {
        self.finish(&recipient.address, &verdict::deferred(3, 0, "table lookup failure"));
    }
}
