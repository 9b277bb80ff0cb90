//! Lookup tables and match lists.
