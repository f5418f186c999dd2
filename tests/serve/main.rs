//! A server as its clients have it: every route, rude clients, who may do what, and the end.

#![allow(clippy::unwrap_used)]

mod access;
mod append;
mod client;
mod content;
mod events;
mod keys;
mod lifecycle;
mod projections;
mod routes;
mod rude;
mod server;
mod service;
mod slow;
mod telemetry;
mod tls;
