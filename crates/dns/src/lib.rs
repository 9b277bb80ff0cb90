//! MX, A, AAAA, PTR and TXT look-ups with Postfix's error texts.
