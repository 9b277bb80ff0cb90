//! Passing a recipient on to another delivery agent: mailbox_transport, fallback_transport.

use std::os::fd::AsFd;

use delivery::{Job, Outcome, Recipient as Target, Request};
use ipc::delivery::{Delivery, rest_of_report, send};
use ipc::{Client, IpcError};

use crate::SERVICE;

/// Has the agent of `setting` (`transport:nexthop`) deliver to one address. That agent logs the delivery; it marks
/// nothing, since this agent knows whether the recipient has further addresses.
pub async fn pass(job: &Job, target: &Target, address: &[u8], setting: &str) -> Result<Outcome, IpcError> {
    let (transport, nexthop) = setting.split_once(':').unwrap_or((setting, ""));
    let recipient = Target { address: address.to_vec(), offset: 0, ..target.clone() };
    let nexthop = if nexthop.is_empty() { job.request().nexthop.clone() } else { nexthop.as_bytes().to_vec() };
    let request = Request { nexthop, recipients: vec![recipient], ..job.request().clone() };
    let mut agent: Client<Delivery> = Client::connect(&SERVICE.transport(transport)?).await?;
    send(&mut agent, request, job.file().as_fd()).await?;
    let first = agent.must_receive().await?;
    let report = rest_of_report(first, &mut agent).await?;
    report.outcomes.into_iter().next().ok_or_else(|| IpcError::Malformed("a report without its recipient".to_owned()))
}
