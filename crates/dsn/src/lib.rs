//! Delivery status: enhanced status codes, NOTIFY and RET, RFC 3464 reports.
