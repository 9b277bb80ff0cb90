//! Addresses, address families, interfaces and sockets.
