//! Spells that run on a log while others append to it: the engine by itself, and in a server.

#![allow(clippy::unwrap_used)]

mod binding;
#[path = "../serve/client.rs"]
#[allow(dead_code, reason = "made for other tests")]
mod client;
mod engine;
mod ephemeral;
mod exec;
mod lookalike;
mod running;
mod server;
mod service;
mod serving;
mod trial;
mod web;
