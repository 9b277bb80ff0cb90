//! The connections of those who ask: each question is answered from the settings and tables alone.

use std::rc::Rc;

use daemon::{Client, Context, StartError, Worker};
use ipc::Server;
use ipc::rewrite::{Reply, Request, Rewrite};

use crate::resolve::Resolver;
use crate::standard::Standard;

/// Bytes of answers that are gathered before they are sent.
const GATHERED: usize = 32 << 10;

/// The daemon: what main.cf says about addresses.
pub(crate) struct TrivialRewrite {
    standard: Standard,
    resolver: Resolver,
}

impl Worker for TrivialRewrite {
    fn start(context: &Context) -> Result<Self, StartError> {
        let (mut standard, resolver) = (Standard::read(&context.config)?, Resolver::read(&context.config)?);
        standard.localhost_is_known = resolver.knows(b"localhost");
        Ok(Self { standard, resolver })
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = client.context.clone();
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Rewrite> = Server::<Rewrite>::new(stream);
        while let Some(request) = context.next_fresh_request(&mut channel).await {
            let answered = channel.queue(&self.answer(&request).await);
            // Who asks many questions at once gets the answers together.
            let wait = channel.has_next() && channel.queued_bytes() < GATHERED;
            if answered.is_err() || (!wait && channel.flush().await.is_err()) {
                return;
            }
        }
    }

    fn changed_table(&self) -> Option<String> {
        self.resolver.changed()
    }
}

impl TrivialRewrite {
    async fn answer(&self, request: &Request) -> Reply {
        match request {
            Request::Rewrite { context, address } => Reply::Rewritten(self.standard.rewrite(*context, address)),
            Request::Resolve { sender, address, verify } => {
                Reply::Resolved(self.resolver.resolve(&self.standard, sender, address, *verify).await)
            }
        }
    }
}
