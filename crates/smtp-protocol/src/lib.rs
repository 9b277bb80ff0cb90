//! SMTP without I/O: commands, replies, keywords, data transparency.
