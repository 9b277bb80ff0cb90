//! What a message has of its own that becomes something else on its way out: its addresses, its headers and lines, and
//! what is written in front of it.

use config::{AgentFlags, Reader};
use daemon::{Context, StartError};
use delivery::content::Heading;
use delivery::{Finding, Job, Request};
use dsn::Status;
use message::parts::Limits;

use crate::checks::Checks;
use crate::generic::{Generic, NoAnswer};

/// The settings.
pub struct Outgoing {
    /// smtp_generic_maps.
    pub generic: Option<Generic>,
    /// smtp_header_checks and its kin.
    pub checks: Checks,
    /// `flags=` in master.cf.
    pub flags: AgentFlags,
    /// How much of a message is followed by those who look at it.
    pub limits: Limits,
    /// The name of the service.
    service: String,
}

impl Outgoing {
    /// Reads the settings, and opens the tables.
    ///
    /// # Errors
    /// One of them makes no sense.
    pub fn read(from: &Reader<'_>, context: &Context) -> Result<Self, StartError> {
        let flags = AgentFlags::parse(&context.words).map_err(|error| StartError::new(error.to_string()))?;
        let structure = from.config.mime_limits()?;
        Ok(Outgoing {
            generic: Generic::read(from, context)?,
            checks: Checks::read(from)?,
            flags: final_flags(flags, from)?,
            limits: Limits { field: from.read(config::param::HEADER_SIZE_LIMIT)?, whole_pieces: true, structure },
            service: context.service_name.clone(),
        })
    }

    /// A table that has changed on disk.
    pub fn changed(&self) -> Option<&str> {
        self.generic.as_ref().and_then(Generic::changed).or_else(|| self.checks.changed())
    }

    /// The addresses of a message as they leave.
    ///
    /// # Errors
    /// A table has no answer.
    pub async fn addresses(&self, request: &Request) -> Result<Addresses, NoAnswer> {
        let Some(generic) = &self.generic else { return Ok(Addresses::default()) };
        let sender = generic.address(&request.message.sender).await?;
        let mut recipients = Vec::with_capacity(request.recipients.len());
        for recipient in &request.recipients {
            let address = generic.address(&recipient.address).await?;
            let original = match self.flags.original_to && !recipient.original.is_empty() {
                true => generic.address(&recipient.original).await?,
                false => Vec::new(),
            };
            recipients.push(Mapped { address, original });
        }
        Ok(Addresses(Some(Replaced { sender, recipients })))
    }

    /// Ends a job that these flags cannot be had for, or which is going in circles. True where it goes on.
    pub fn admit(&self, job: &mut Job, addresses: &Addresses) -> bool {
        let Some(flag) = self.flags.for_one_recipient() else { return true };
        let reason = "mail system configuration error";
        if job.request().recipients.len() > 1 {
            let service = &self.service;
            logging::warning!("flag `{flag}' requires {service}_destination_recipient_limit = 1");
            job.finish_rest(&Finding::from_status(Status::new(4, 3, 5), reason.to_owned(), service.clone()));
            return false;
        }
        if !self.flags.delivered_to || job.request().recipients.is_empty() {
            return true;
        }
        let known = match job.delivered_to() {
            Ok(known) => known,
            // Whoever sends the content tells of it.
            Err(_) => return true,
        };
        let is_loop = known.contains(&job.folded(addresses.recipient(job.request(), 0)));
        if is_loop {
            let reason = format!("mail forwarding loop for {}", job.shown(&job.request().recipients[0].address));
            job.finish_rest(&Finding::from_status(Status::new(5, 4, 6), reason, self.service.clone()));
        }
        !is_loop
    }

    /// The lines in front of a message for this recipient.
    pub fn heading(&self, request: &Request, addresses: &Addresses, recipient: usize) -> Vec<Vec<u8>> {
        let AgentFlags { delivered_to, original_to, return_path, .. } = self.flags;
        let address = addresses.recipient(request, recipient);
        let heading = Heading {
            sender: addresses.sender(request),
            from_line: false,
            return_path,
            original: original_to.then(|| addresses.original(request, recipient)),
            delivered_to: delivered_to.then_some(address),
        };
        heading.lines(0)
    }
}

/// lmtp_assume_final, which is a flag of master.cf today.
fn final_flags(flags: AgentFlags, from: &Reader<'_>) -> Result<AgentFlags, StartError> {
    let assumed = from.agent() == config::Agent::Lmtp && from.get(config::param::LMTP_ASSUME_FINAL)?;
    if !assumed {
        return Ok(flags);
    }
    let flags = AgentFlags { is_final: true, ..flags };
    let letters = flags.letters();
    logging::warning!("lmtp_assume_final is obsolete; instead, specify \"flags={letters}\" in master.cf");
    Ok(flags)
}

/// The addresses of a message as they leave.
#[derive(Debug, Default)]
pub struct Addresses(Option<Replaced>);

#[derive(Debug)]
struct Replaced {
    sender: Vec<u8>,
    /// By index.
    recipients: Vec<Mapped>,
}

#[derive(Debug)]
struct Mapped {
    address: Vec<u8>,
    /// The address before aliasing, where somebody wants it.
    original: Vec<u8>,
}

impl Addresses {
    /// The sender.
    pub fn sender<'a>(&'a self, request: &'a Request) -> &'a [u8] {
        self.0.as_ref().map_or(&request.message.sender, |replaced| &replaced.sender)
    }

    /// The recipient with this index.
    pub fn recipient<'a>(&'a self, request: &'a Request, index: usize) -> &'a [u8] {
        match &self.0 {
            Some(replaced) => replaced.recipients.get(index).map_or(&[], |it| &it.address),
            None => request.recipients.get(index).map_or(&[], |it| &it.address),
        }
    }

    /// What this recipient was before aliasing.
    fn original<'a>(&'a self, request: &'a Request, index: usize) -> &'a [u8] {
        let own = match &self.0 {
            Some(replaced) => replaced.recipients.get(index).map(|it| &it.original),
            None => request.recipients.get(index).map(|it| &it.original),
        };
        own.filter(|original| !original.is_empty()).map_or_else(|| self.recipient(request, index), Vec::as_slice)
    }
}

#[cfg(test)]
impl Outgoing {
    /// Messages leave as they are.
    pub fn none() -> Self {
        Outgoing {
            generic: None,
            checks: Checks::none(),
            flags: AgentFlags::default(),
            limits: Limits {
                field: 102_400,
                whole_pieces: true,
                structure: message::mime::Limits { nesting: 100, boundary: 2048 },
            },
            service: "smtp".to_owned(),
        }
    }
}
