//! What other programs speak: attribute encodings, triggers, showq, postdrop, postlog.
