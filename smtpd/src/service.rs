//! The server as master runs it: which settings the next client gets.

use std::path::Path;
use std::rc::Rc;

use config::{Origin, param};
use daemon::{Client, Context, Peer as Remote, StartError, Stream, Worker};

use crate::session::Session;
use crate::settings::Settings;
use crate::worker::Smtpd;

/// A server that master may put under stress. Lists, tables and services are the same then: its limits and times
/// differ.
pub struct Server {
    worker: Rc<Smtpd>,
    calm: Rc<Settings>,
    /// With `stress = yes`, for clients that come while all workers of the service are full. Nothing for a service that
    /// master does not tell of stress: it gives those no `-o stress=`.
    stressed: Option<Rc<Settings>>,
}

impl Worker for Server {
    const REFUSES: bool = true;

    fn start(context: &Context) -> Result<Server, StartError> {
        let (config, name) = (&context.config, param::STRESS.name());
        let is_told = config.setting(name).is_some_and(|setting| setting.origin == Origin::Override);
        let with_stress = |value| is_told.then(|| config.with(name, value));
        let (without, with) = (with_stress(""), with_stress("yes"));
        let config = without.as_ref().unwrap_or(config);
        let calm = Settings::read(config)?;
        let (least, largest) = (calm.dialogue.queue_minfree, calm.dialogue.message_size_limit);
        if let Some(warning) = little_space(least, largest) {
            logging::warning!("{warning}");
        }
        // Relative: the working directory is the queue directory.
        let mut worker = Smtpd::new(config, context.ipc_timeout(), Path::new(""), || context.sockets_and_servers())?;
        worker.verbose = context.verbose > 0;
        if worker.rules.tables.addresses.system_users {
            worker.users = Some(context.porter()?);
        }
        let stressed = with.map(|config| Settings::read(&config)).transpose()?.map(Rc::new);
        Ok(Server { worker: Rc::new(worker), calm: Rc::new(calm), stressed })
    }

    /// A session keeps the settings that it began with.
    async fn session(self: Rc<Self>, client: Client) {
        let (Stream::Tcp(stream), Remote::Host { remote, local }) = (client.stream, client.peer) else {
            logging::repeated!("service {}: only clients of type inet are served", client.context.service_name);
            return;
        };
        let settings = self.stressed.as_ref().filter(|_| client.context.stress()).unwrap_or(&self.calm);
        Session::run(Rc::clone(&self.worker), Rc::clone(settings), stream, remote, local).await;
    }

    fn changed_table(&self) -> Option<String> {
        self.worker.changed_table()
    }
}

/// queue_minfree leaves no room for what message_size_limit lets in; it is no condition at all where it is 0.
fn little_space(least: u64, largest: Option<u64>) -> Option<String> {
    let largest = largest?;
    let is_little = least > 0 && least < largest.saturating_add(largest / 2);
    is_little.then(|| format!("queue_minfree({least}) should be at least 1.5*message_size_limit({largest})"))
}

#[cfg(test)]
mod tests {
    use super::little_space;

    #[test]
    fn free_space_for_less_than_a_message_and_a_half_is_worth_a_warning() {
        let said = "queue_minfree(1000) should be at least 1.5*message_size_limit(10240000)";
        assert_eq!(little_space(1000, Some(10_240_000)).as_deref(), Some(said));
        assert!(little_space(15_359_999, Some(10_240_000)).is_some());
        for (least, largest) in [(0, Some(10_240_000)), (15_360_000, Some(10_240_000)), (1000, None)] {
            assert_eq!(little_space(least, largest), None);
        }
    }
}
