//! The meaning of main.cf and master.cf: one table of parameters.
