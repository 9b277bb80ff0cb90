//! The connections of servers and clients: certificates, signatures, ticket keys.

use std::cell::RefCell;
use std::rc::Rc;

use config::param;
use daemon::{Client, Context, StartError, Worker};
use ipc::Server;
use ipc::tlsmgr::{Reply, Request, Tlsmgr as Protocol};
use tls::chain::PrivateKey;

use crate::keeper;
use crate::rights::Rights;
use crate::tickets::Tickets;
use crate::vault::Vault;

/// The daemon.
pub(crate) struct Tlsmgr {
    vault: Vault,
    tickets: RefCell<Tickets>,
}

impl Worker for Tlsmgr {
    fn start(context: &Context) -> Result<Self, StartError> {
        sys::privilege::hide_from_own_user()?;
        let rights = Rights::read(&context.config);
        let keeper = keeper::start(context.program, &rights)
            .map_err(|error| StartError::new(format!("start keeper: {}", text::system_error(&error))))?;
        let lifetime = context.config.get(param::SMTPD_TLS_SESSION_CACHE_TIMEOUT)?;
        Ok(Tlsmgr { vault: Vault::new(keeper, rights), tickets: RefCell::new(Tickets::new(lifetime)) })
    }

    fn background(self: &Rc<Self>, context: &Rc<Context>) {
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move { worker.forget().await });
        let (worker, context) = (Rc::clone(self), Rc::clone(context));
        tokio::task::spawn_local(async move {
            worker.vault.listen().await;
            if !context.is_draining() {
                logging::warning!("the keeper of private keys has ended -- restarting");
                context.drain();
            }
        });
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = client.context.clone();
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Protocol> = Server::<Protocol>::new(stream);
        while let Some(request) = context.next_request(&mut channel).await {
            let reply = self.answer(request).await;
            if channel.send(&reply).await.is_err() {
                return;
            }
        }
    }
}

impl Tlsmgr {
    /// Forgets ticket keys when their time is over.
    async fn forget(&self) {
        let period = self.tickets.borrow().period();
        loop {
            tokio::time::sleep(period).await;
            self.tickets.borrow_mut().forget();
        }
    }

    async fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Certificates { files, known } => self.vault.certificates(&files, known).await,
            Request::ServerName { maps, name } => self.vault.of_name(&maps, &name).await,
            Request::Sign { key, scheme, message } => match self.vault.key(key) {
                Some(key) => sign(key, scheme, message).await,
                None => Reply::Unsigned("there is no such key any more".to_owned()),
            },
            Request::TicketKeys => match self.tickets.borrow_mut().keys() {
                Some(keys) => Reply::TicketKeys(keys),
                None => Reply::Unsigned("no random bytes".to_owned()),
            },
        }
    }
}

/// Signs: an RSA key takes its time and so a thread, for there are other cores; others are done at once.
async fn sign(key: PrivateKey, scheme: u16, message: Vec<u8>) -> Reply {
    let signed = if key.is_slow() {
        tokio::task::spawn_blocking(move || key.sign(scheme, &message)).await
    } else {
        Ok(key.sign(scheme, &message))
    };
    match signed {
        Ok(Ok(signature)) => Reply::Signature(signature),
        Ok(Err(why)) => Reply::Unsigned(ipc::cut(why)),
        Err(_) => Reply::Unsigned("internal error".to_owned()),
    }
}
