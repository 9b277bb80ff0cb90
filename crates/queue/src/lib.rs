//! The queue directory: identifiers, records, state transitions, group commit.
