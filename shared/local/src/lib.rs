//! The laptop: everything that Roster needs from AWS, on one machine, in one process, for development.
//!
//! An embedded DynamoDB, the services that the functions call ([`aws`]), API Gateway in front of them
//! ([`gateway`]) and an identity provider ([`issuer`]), the pages ([`console`]), the stream and the schedules that set functions going
//! ([`stream`], [`scheduler`]), and what development wants besides: a mailbox, a clock that can be advanced,
//! and a [`guard`] against web pages. All of it keeps what it must not forget in [`state`].

pub mod async_invoker;
pub mod aws;
pub mod clock;
pub mod console;
pub mod cors;
pub mod dead_letters;
pub mod demo;
pub mod document;
pub mod feedback;
pub mod function_table;
pub mod functions;
pub mod gateway;
pub mod guard;
pub mod issuer;
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
