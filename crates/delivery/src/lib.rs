//! What delivery agents share: requests, results, delivery log lines, marking recipients.
