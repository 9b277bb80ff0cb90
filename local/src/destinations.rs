//! What a list names: addresses, commands, files, further lists.

use std::rc::Rc;

use delivery::content::{Form, Heading};
use delivery::deposit::{self, Parcel, Reading, Trouble};
use delivery::destination::{Destination, List};
use delivery::steward::{StartProblem, Who};
use ipc::carrier::{Deposit, FoundList, ListProblem, Mailbox, Path, Role, Target};
use ipc::rewrite::Context;
use nix::errno::Errno;

use crate::command::Subject;
use crate::expansion::Expansion;
use crate::place::{Place, Recipient, Rights, Via};
use crate::settings::Sources;
use crate::verdict::{self, Attempt};

/// Steps through :include: files.
/// told: the sender, by a notification.
const MAX_INCLUDES: usize = 10;
/// The largest .forward or :include: file in bytes; mail to a larger one waits.
/// told: the log and the queue: the message stays.
pub(crate) const MAX_LIST: usize = 16 << 20;

impl Expansion<'_> {
    /// Delivers to what a list names.
    pub(crate) async fn destination(&mut self, place: &Rc<Place>, destination: Destination) {
        match destination {
            Destination::Address(address) => self.address(place, &address).await,
            Destination::Command(line) => self.command(place, &line).await,
            Destination::File(path) => self.file(place, &path).await,
            Destination::Include(path) => self.include(place, &path).await,
        }
    }

    async fn address(&mut self, place: &Rc<Place>, address: &[u8]) {
        // A name with a backslash is the user, whatever aliases and .forward say.
        let (address, mailbox_only) = match address.strip_prefix(b"\\") {
            Some(name) => (name, true),
            None => (address, false),
        };
        let rewritten = match self.agent.rewriter.rewrite(Context::Local, address).await {
            Ok(rewritten) => extended(&rewritten, &place.unmatched),
            Err(error) => return self.fail(place, &error),
        };
        let resolved = match self.agent.rewriter.resolve(&place.sender, &rewritten).await {
            Ok(resolved) => resolved,
            Err(error) => return self.fail(place, &error),
        };
        if resolved.failed {
            return self.finish(&resolved.recipient, &verdict::deferred(3, 0, "address resolver failure"));
        }
        if resolved.bad_syntax {
            let reason = format!("bad recipient address syntax: {}", self.job.shown(&rewritten));
            return self.finish(&place.recipient.address, &verdict::bounced(1, 3, reason));
        }
        let mut recipient =
            Recipient::parse(&resolved.recipient, &self.agent.settings.delimiters, self.agent.settings.utf8);
        recipient.mailbox_only |= mailbox_only;
        if resolved.transport == self.agent.service_name {
            return self.deliver_here(place, recipient);
        }
        if self.is_new(b"to ", &self.job.folded(&resolved.recipient)) {
            self.send_later(place, resolved.recipient);
        }
    }

    /// An address of this machine: the user whose .forward names it has the mailbox, or a further .forward that the
    /// address leads to; all others are looked up.
    fn deliver_here(&mut self, place: &Rc<Place>, recipient: Recipient) {
        match &place.rights {
            Rights::User(account) if place.via == Via::Forward && account.name.as_bytes() == recipient.name => {
                self.push_user(Rc::clone(place), recipient);
            }
            _ => self.push_recipient(Rc::clone(place), recipient),
        }
    }

    async fn command(&mut self, place: &Place, line: &[u8]) {
        let address = &place.recipient.address;
        if !allowed(&self.agent.settings.commands, place.via) {
            // allow_mail_to_commands
            return self.finish(address, &verdict::bounced(7, 1, "mail to command is restricted"));
        }
        let key = [place.rights.key().as_bytes(), b" ", line].concat();
        if !self.is_new(b"command ", &key) {
            return;
        }
        self.run_command(place, &place.recipient, line, &place.rights).await;
    }

    /// Runs a command with somebody's rights, for a recipient.
    pub(crate) async fn run_command(&mut self, place: &Place, recipient: &Recipient, line: &[u8], rights: &Rights) {
        let address = &recipient.address;
        let shown = text::printable(line);
        if self.job.is_probe() {
            return self.finish(address, &verdict::sent(format!("delivers to command: {shown}")));
        }
        let owner = match rights {
            Rights::Owner(uid) => match self.agent.steward.look_up(Who::Uid(*uid)).await {
                Ok(owner) => owner,
                Err(problem) => return self.trouble(address, &problem.into()),
            },
            Rights::Default | Rights::User(_) => None,
        };
        let subject = Subject {
            settings: &self.agent.settings,
            request: self.job.request(),
            original: place.original(self.target),
            recipient,
            sender: &place.sender,
            account: rights.account().or(owner.as_ref()),
        };
        let command = match subject.command(line) {
            Ok(command) => command,
            Err(error) => {
                logging::warning!("bad command_execution_directory: {error}");
                return self.finish(address, &verdict::deferred(3, 5, "mail system configuration error"));
            }
        };
        let directory = text::printable(&command.directory);
        let deposit = self.deposit(place, Target::Command(command), true, self.agent.settings.delivered_to.command);
        let agent = self.agent;
        let mut ids = (0, 0);
        let done = match agent.command_carrier(rights).await {
            Ok(carrier) => {
                ids = (carrier.account.uid, carrier.account.gid);
                let limit = agent.settings.command.time_limit;
                let parcel = Parcel { deposit, arguments: Vec::new(), form: Form::plain(), limit };
                deposit::deliver(&agent.steward, carrier, self.job, parcel).await
            }
            Err(problem) => Err(problem.into()),
        };
        match done {
            Ok(done) => {
                let attempt = Attempt::Command { line: &shown, directory: &directory, ids };
                self.finish(address, &verdict::of(&attempt, &done));
            }
            Err(trouble) => self.trouble(address, &trouble),
        }
    }

    async fn file(&mut self, place: &Place, path: &[u8]) {
        let address = &place.recipient.address;
        if !allowed(&self.agent.settings.files, place.via) {
            // allow_mail_to_files
            return self.finish(address, &verdict::bounced(7, 1, "mail to file is restricted"));
        }
        if !self.is_new(b"file ", &[place.rights.key().as_bytes(), b" ", path].concat()) {
            return;
        }
        let shown = text::printable(path);
        if self.job.is_probe() {
            return self.finish(address, &verdict::sent(format!("delivers to file: {shown}")));
        }
        let path = match path.strip_prefix(b"/") {
            Some(_) => path.to_vec(),
            None => match self.below_home(place, path).await {
                Some(path) => path,
                None => return,
            },
        };
        let shown = text::printable(&path);
        let is_maildir = path.ends_with(b"/");
        let target = self.file_target(&path, false);
        let deposit = self.deposit(place, target, !is_maildir, self.agent.settings.delivered_to.file);
        let carrier = match self.agent.files_carrier(&place.rights).await {
            Ok(carrier) => carrier,
            Err(problem) => return self.trouble(address, &problem.into()),
        };
        let ids = (carrier.account.uid, carrier.account.gid);
        let attempt = if is_maildir { Attempt::Maildir { ids } } else { Attempt::File { path: &shown } };
        match deposit::deliver(&self.agent.steward, carrier, self.job, deposit.into()).await {
            Ok(done) => self.finish(address, &verdict::of(&attempt, &done)),
            Err(trouble) => self.trouble(address, &trouble),
        }
    }

    async fn include(&mut self, place: &Rc<Place>, path: &[u8]) {
        let address = &place.recipient.address;
        if place.includes >= MAX_INCLUDES {
            return self.finish(address, &verdict::bounced(4, 6, ":include: nesting limit exceeded"));
        }
        if !self.is_new(b"include ", path) {
            return;
        }
        let shown = text::printable(path);
        if !path.starts_with(b"/") {
            return self.misconfigured(address, format_args!(":include:{shown} uses a relative path"));
        }
        let (rights, reading) = match self.read_list(&place.rights, path).await {
            Ok(read) => read,
            Err(ListTrouble::NoOwner(uid)) => {
                logging::warning!("cannot find username for uid {uid}");
                logging::warning!("{shown}: cannot find :include: file owner username");
                let finding = verdict::deferred(3, 5, "mail system configuration error");
                return self.finish(address, &finding);
            }
            Err(ListTrouble::Other(trouble)) => return self.trouble(address, &trouble),
        };
        let text = match reading {
            Reading::Text(_, text) => text,
            Reading::None => return self.no_list(place, &shown, Errno::ENOENT as i32),
            Reading::Unusable(_, ListProblem::System(code)) => return self.no_list(place, &shown, code),
            Reading::Unusable(_, ListProblem::NotRegular) => {
                return self.misconfigured(address, format_args!(":include: file {shown} is not a regular file"));
            }
            Reading::Unusable(_, ListProblem::WorldWritable) => {
                return self.misconfigured(address, format_args!(":include: file {shown} is world writable"));
            }
            // It changed hands while it was looked at.
            Reading::Unusable(_, ListProblem::Owner(_)) => return self.no_list(place, &shown, Errno::EAGAIN as i32),
            Reading::TooLarge(_) => return self.no_list(place, &shown, Errno::EFBIG as i32),
        };
        let Ok(destinations) = List::of_file(text).parse() else { return self.too_many(address, path) };
        if destinations.is_empty() {
            return self.misconfigured(address, format_args!("no recipient in :include: file {shown}"));
        }
        let (depth, includes) = (place.depth + 1, place.includes + 1);
        // propagate_unmatched_extensions
        let unmatched = if self.agent.settings.propagates.include { place.unmatched.clone() } else { Vec::new() };
        let inner =
            Place { via: Via::Include, rights, depth, includes, unmatched, by_message: true, ..(**place).clone() };
        self.push(Rc::new(inner), destinations);
    }

    /// Reads a list, and decides whose rights it gives. Rights only shrink on the way: a list of the administrator may
    /// give those of its file's owner, the list of a user never those of another user. That the file is the owner's is
    /// not taken from whoever profits by it: only a process with the owner's rights can say so.
    async fn read_list(&self, rights: &Rights, path: &[u8]) -> Result<(Rights, Reading), ListTrouble> {
        let paths = || vec![Path(path.to_vec())];
        let mut carrier = self.agent.files_carrier(rights).await?;
        if matches!(rights, Rights::User(_) | Rights::Owner(_)) {
            let reading = deposit::read(&mut carrier.channel, paths(), Role::Include, MAX_LIST).await?;
            return Ok((rights.clone(), reading));
        }
        let owner = match deposit::look(&mut carrier.channel, Path(path.to_vec())).await? {
            FoundList::Found { owner, .. } => Rights::of_owner(owner),
            FoundList::None => return Ok((Rights::Default, Reading::None)),
            FoundList::Unusable { path, why } => return Ok((Rights::Default, Reading::Unusable(path, why))),
        };
        if let Rights::Owner(uid) = owner {
            match self.agent.steward.files(Who::Uid(uid)).await {
                Ok(mut own) => {
                    let reading = deposit::read(&mut own.channel, paths(), Role::OwnInclude, MAX_LIST).await?;
                    return Ok((Rights::Owner(uid), reading));
                }
                Err(StartProblem::Withheld(_)) => {}
                Err(StartProblem::Unknown) => return Err(ListTrouble::NoOwner(uid)),
                Err(problem) => return Err(problem.into()),
            }
        }
        let reading = deposit::read(&mut carrier.channel, paths(), Role::Include, MAX_LIST).await?;
        Ok((Rights::Default, reading))
    }

    /// The path of a file that is named below a home directory: `None` (reported) where there is none.
    async fn below_home(&mut self, place: &Place, path: &[u8]) -> Option<Vec<u8>> {
        let address = &place.recipient.address;
        let shown = text::printable(path);
        let Some(rest) = path.strip_prefix(b"~").filter(|rest| rest.starts_with(b"/")) else {
            self.misconfigured(address, format_args!("bad home directory syntax for: {shown}"));
            return None;
        };
        match self.home(&place.rights).await {
            Ok(Some(home)) => Some([home.trim_end_matches('/').as_bytes(), rest].concat()),
            Ok(None) => {
                self.misconfigured(address, format_args!("unknown home directory for: {shown}"));
                None
            }
            Err(why) => {
                self.trouble(address, &why.into());
                None
            }
        }
    }

    /// The home directory of whoever wrote a list.
    async fn home(&self, rights: &Rights) -> Result<Option<String>, StartProblem> {
        Ok(match rights {
            Rights::Default => None,
            Rights::User(account) => Some(account.home.clone()),
            Rights::Owner(uid) => self.agent.steward.look_up(Who::Uid(*uid)).await?.map(|account| account.home),
        })
    }

    /// A destination that makes no sense, whoever the sender is.
    fn misconfigured(&mut self, address: &[u8], why: std::fmt::Arguments<'_>) {
        logging::warning!("{why}");
        self.finish(address, &verdict::bounced(3, 5, "mail system configuration error"));
    }

    fn no_list(&mut self, place: &Place, path: &str, code: i32) {
        let error = std::io::Error::from_raw_os_error(code);
        logging::warning!("unable to lookup :include: file {path}: {}", text::system_error(&error));
        let reason = "mail system configuration error";
        let may_pass = verdict::may_pass(code) || code == Errno::EFBIG as i32;
        let finding = if may_pass { verdict::deferred(3, 5, reason) } else { verdict::bounced(3, 5, reason) };
        self.finish(&place.recipient.address, &finding);
    }

    fn fail(&mut self, place: &Place, error: &ipc::IpcError) {
        let finding = self.resolver_failure(error);
        self.finish(&place.recipient.address, &finding);
    }

    /// A delivery of this message, as seen from a place.
    pub(crate) fn deposit(&self, place: &Place, target: Target, from_line: bool, delivered_to: bool) -> Deposit {
        let settings = &self.agent.settings;
        let heading = Heading {
            sender: &place.sender,
            return_path: true,
            // enable_original_recipient
            original: settings.original_recipient.then_some(place.original(self.target)),
            delivered_to: delivered_to.then_some(&place.delivered_to[..]),
            from_line,
        };
        let heading = heading.text(delivery::Timestamp::now().seconds);
        Deposit { target, heading }
    }

    /// A mailbox file or maildir by its path; `personal`: a user's own.
    pub(crate) fn file_target(&self, path: &[u8], personal: bool) -> Target {
        let settings = &self.agent.settings;
        if path.ends_with(b"/") {
            return Target::Maildir { path: Path(path.to_vec()), hostname: settings.machine.clone() };
        }
        Target::Mailbox(Mailbox {
            path: Path(path.to_vec()),
            personal,
            owned: settings.mailbox.strict,
            locks: settings.mailbox.locks.clone(),
            attempts: settings.mailbox.attempts,
            delay: u64::try_from(settings.mailbox.delay.as_millis()).unwrap_or(1000),
            stale: settings.mailbox.stale.as_secs(),
        })
    }
}

/// Why it is not known what a list says.
enum ListTrouble {
    /// Its owner has no name.
    NoOwner(u32),
    /// Anything else.
    Other(Trouble),
}

impl<T: Into<Trouble>> From<T> for ListTrouble {
    fn from(trouble: T) -> Self {
        ListTrouble::Other(trouble.into())
    }
}

/// The address with an extension that its alias or list has not used.
fn extended(address: &[u8], extension: &[u8]) -> Vec<u8> {
    let (local, domain) = address::split(address);
    match domain {
        Some(domain) => [local, extension, b"@", domain].concat(),
        None => [local, extension].concat(),
    }
}

fn allowed(sources: &Sources, via: Via) -> bool {
    match via {
        Via::Alias => sources.alias,
        Via::Forward => sources.forward,
        Via::Include => sources.include,
        Via::Request | Via::Relay => false,
    }
}
