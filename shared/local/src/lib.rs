//! The laptop: the local server that `cargo run` starts for development. It runs all of Roster in one process, without
//! AWS.
//!
//! Its parts:
//!
//! - an embedded DynamoDB, and the other AWS services that the functions call ([`aws`]);
//! - API Gateway's routes ([`gateway`]) and JWT authorizer ([`authorizer`]), an identity provider ([`issuer`]) and the
//!   pages ([`console`]);
//! - the consumers of the table's stream ([`stream`]) and the schedules ([`scheduler`]), which invoke functions;
//! - tools for development: a [`mailbox`], a [`clock`] that can be advanced, and a [`guard`] against requests from web
//!   pages.
//!
//! [`state`] stores the data of all parts except Roster's table.

pub mod async_invoker;
pub mod authorizer;
pub mod aws;
pub mod clock;
pub mod console;
pub mod cors;
pub mod database_file;
pub mod dead_letters;
pub mod demo;
pub mod document;
pub mod feedback;
pub mod function_env;
pub mod function_table;
pub mod functions;
pub mod gateway;
pub mod guard;
pub mod identity_provider;
mod in_process;
pub mod issuer;
pub mod jwt;
pub mod laptop;
pub mod linked_functions;
pub mod mailbox;
mod query;
mod random;
pub mod scheduler;
pub mod state;
pub mod stream;
pub mod table;
#[cfg(test)]
mod testing;
pub mod yaml;
