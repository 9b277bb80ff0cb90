//! main.cf, read once: what the server does, as plain values.

use std::time::Duration;

use config::param;

config::settings! {
    /// Everything that the server reads from main.cf, but for lists of clients and what cleanup shall do.
    #[derive(Clone, Debug)]
    pub struct Settings {
        /// Where all recipients go first; empty for nowhere.
        content_filter: String = param::CONTENT_FILTER,
        client_port_logging: bool = param::QMQPD_CLIENT_PORT_LOGGING,
        error_delay: Duration = param::QMQPD_ERROR_DELAY,
        line_length_limit: usize = param::LINE_LENGTH_LIMIT,
        mail_name: String = param::MAIL_NAME,
        message_size_limit: Option<u64> = param::MESSAGE_SIZE_LIMIT,
        myhostname: String = param::MYHOSTNAME,
        soft_bounce: bool = param::SOFT_BOUNCE,
        timeout: Duration = param::QMQPD_TIMEOUT,
        verp_filter: String = param::VERP_DELIMITER_FILTER,
    }
}
