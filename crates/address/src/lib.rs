//! Mail addresses: internal and external form, literals, header address lists.
