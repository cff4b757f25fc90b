//! Scenario tests: one file per action, and files for topics that concern several actions.

#![expect(clippy::unwrap_used, reason = "a panic is how a scenario fails")]

mod accept;
mod attacks;
mod canary;
mod configuration;
mod contract;
mod costs;
mod create;
mod decline;
mod every_route;
mod expire;
mod faults;
mod feedback;
mod fixed_costs;
mod formats;
mod idempotency;
mod identity_provider;
mod input;
mod invite;
mod kms;
mod laptop;
mod limits;
mod list;
mod log_capture;
mod mail;
mod observe;
mod organization_edit;
mod permissions;
mod plans;
mod poison;
mod pressure;
mod preview;
mod races;
mod reconcile;
mod remove;
mod requests;
mod resend;
mod revoke;
mod role_edit;
mod routes;
mod rows;
mod schedule;
mod template;
mod workspace;
