//! Messages: header fields, dates, Received, MIME parts to be written.
