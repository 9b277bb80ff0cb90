//! Passing a recipient on to another delivery agent: mailbox_transport, fallback_transport, best_mx_transport.

use std::os::fd::AsFd;

use daemon::Service;
use dsn::Status;
use ipc::delivery::{Delivery, rest_of_report, send};
use ipc::{Client, IpcError};

use crate::{Finding, Job, Outcome, Recipient, Request};

/// Has the agent of `setting` (`transport:nexthop`; without a nexthop that of the job) deliver to one address. That
/// agent logs the delivery; it marks nothing, since the first agent knows whether the recipient has further addresses.
///
/// # Errors
/// What is to be said of the recipient where that agent gives no result: it waits.
pub async fn pass(
    service: &Service,
    job: &Job,
    target: &Recipient,
    address: &[u8],
    setting: &str,
) -> Result<Outcome, Finding> {
    let (name, nexthop) = split(setting);
    let shown = job.shown(address);
    logging::info!(id: job.request().message.queue_id, "passing <{shown}> to transport={name}");
    let recipient = Recipient { address: address.to_vec(), offset: 0, ..target.clone() };
    let nexthop = nexthop.map_or_else(|| job.request().nexthop.clone(), |nexthop| nexthop.as_bytes().to_vec());
    let request = Request { nexthop, recipients: vec![recipient], ..job.request().clone() };
    ask(service, name, request, job).await.map_err(|error| {
        logging::warning!("connect to transport {setting}: {error}");
        Finding::deferred(Status::new(4, 3, 0), "unknown mail transport error", "none")
    })
}

/// The transport of such a setting, and the nexthop if it names one.
pub fn split(setting: &str) -> (&str, Option<&str>) {
    let (transport, nexthop) = setting.split_once(':').unwrap_or((setting, ""));
    (transport, Some(nexthop).filter(|nexthop| !nexthop.is_empty()))
}

async fn ask(service: &Service, name: &str, request: Request, job: &Job) -> Result<Outcome, IpcError> {
    let mut agent: Client<Delivery> = Client::connect(&service.transport(name)?).await?;
    send(&mut agent, request, job.file().as_fd()).await?;
    let first = agent.must_receive().await?;
    let report = rest_of_report(first, &mut agent).await?;
    report.outcomes.into_iter().next().ok_or_else(|| IpcError::Malformed("a report without its recipient".to_owned()))
}
