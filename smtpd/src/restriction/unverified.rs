//! reject_unverified_sender, reject_unverified_recipient: what is said where nobody knows whether an address exists.

use dsn::Status;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::{Class, Evaluation, Verdict};

impl<L: LookUps> Evaluation<'_, L> {
    /// There is nobody to ask yet: the words of Postfix where the service is out of order.
    pub(super) fn reject_unverified(&mut self, class: Class) -> Verdict {
        let detail = if class == Class::Sender { 7 } else { 1 };
        let text = self.text(class, "unverified address: Address verification status unavailable");
        self.defer_if_permit(Rejection::new(450, Status::new(4, 1, detail), text))
    }
}
