//! The messages between our processes, one file a service, each with its client.
