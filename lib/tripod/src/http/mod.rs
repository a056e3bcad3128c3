//! The tower layer for servers and the middleware for clients.
