//! What every worker shares: start, privileges, sandbox, event loop, master's status channel.
