//! check_policy_service: another program decides.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use lookup::Maps;
use policy::{Options, Request, Service};
use smtp_protocol::Verb;
use smtp_server::State;

use crate::look_ups::LookUps;
use crate::restriction::{AccessTable, Evaluation, Verdict};

/// The policy services of all lists.
pub struct Services {
    options: Options,
    known: RefCell<HashMap<String, Rc<Service>>>,
}

impl Services {
    /// None yet. `options`: what holds for those that have none of their own.
    pub fn new(options: Options) -> Services {
        Services { options, known: RefCell::default() }
    }

    /// The service that a list names.
    ///
    /// # Errors
    /// The sentence about a name that makes no sense: the server does not start with it.
    pub fn open(&self, spec: &str) -> Result<Rc<Service>, String> {
        if let Some(service) = self.known.borrow().get(spec) {
            return Ok(Rc::clone(service));
        }
        let service = Rc::new(Service::parse(spec, &self.options)?);
        self.known.borrow_mut().insert(spec.to_owned(), Rc::clone(&service));
        Ok(service)
    }

    /// All that were named.
    pub fn all(&self) -> Vec<Rc<Service>> {
        self.known.borrow().values().cloned().collect()
    }
}

impl<L: LookUps> Evaluation<'_, L> {
    /// check_policy_service
    pub(super) async fn policy_service(&mut self, service: &Service, depth: usize) -> Verdict {
        let peer = self.facts.peer;
        let addresses = (peer.address_text(), peer.server_address_text());
        let request = self.policy_request(service, (&addresses.0, &addresses.1)).encode();
        let answer = self.look_ups.policy(service, &request).await;
        let action = answer.unwrap_or_else(|| service.options.default_action.clone().into_bytes());
        if action.trim_ascii().is_empty() {
            logging::warning!("access table {} entry  has empty value", service.name);
            // As an empty value in a table is.
            return Verdict::Permit;
        }
        let table = AccessTable { name: service.name.clone(), maps: Maps::none(&service.name) };
        Box::pin(self.action(self.class, &table, b"policy query", &action, depth)).await
    }

    /// `addresses`: of the client and of the server.
    fn policy_request<'s>(&'s self, service: &'s Service, addresses: (&'s str, &'s str)) -> Request<'s> {
        let (facts, settings) = (&self.facts, &self.settings);
        let state = match facts.state {
            State::Command(Verb::Bdat) => State::Command(Verb::Data),
            other => other,
        };
        let knows_recipients = matches!(state, State::Command(Verb::Data) | State::EndOfMessage);
        let certificate = facts.tls.and_then(|secured| secured.certificate.as_ref());
        let trusted = certificate.filter(|certificate| certificate.trusted);
        let peer = facts.peer;
        Request {
            state: state.name(),
            protocol: facts.protocol.name(),
            client_address: addresses.0,
            client_name: &peer.name,
            client_port: &peer.port,
            reverse_client_name: &peer.reverse_name,
            server_address: addresses.1,
            server_port: &peer.server_port,
            helo: facts.helo.unwrap_or_default(),
            sender: facts.sender.unwrap_or_default(),
            recipient: facts.recipient.unwrap_or_default(),
            recipients: if knows_recipients { facts.recipients } else { 0 },
            queue_id: facts.queue_id.unwrap_or_default(),
            instance: &self.memory.instance,
            size: facts.size,
            etrn_domain: facts.etrn_domain.unwrap_or_default(),
            stress: &settings.stress,
            sasl_method: facts.login.map_or("", |login| &login.method),
            sasl_user: facts.login.map_or("", |login| &login.user),
            sasl_sender: facts.parameters.and_then(|parameters| parameters.auth.as_deref()).unwrap_or_default(),
            certificate_subject: trusted.map_or("", |certificate| &certificate.common_name),
            certificate_issuer: trusted.map_or("", |certificate| &certificate.issuer),
            certificate_fingerprint: certificate.map_or("", |certificate| &certificate.fingerprint),
            key_fingerprint: certificate.map_or("", |certificate| &certificate.key_fingerprint),
            encryption_protocol: facts.tls.map_or("", |secured| &secured.protocol),
            encryption_cipher: facts.tls.map_or("", |secured| &secured.cipher),
            encryption_bits: facts.tls.map_or(0, |secured| secured.bits),
            context: &service.options.policy_context,
            compatibility_level: &settings.compatibility_level,
            mail_version: &settings.mail_version,
        }
    }
}
