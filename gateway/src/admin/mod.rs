//! What an operator may see and change.
//!
//! | file | what it holds |
//! |---|---|
//! | [`cli`] | the commands `run`, `check`, `status` and `messages` |
//! | [`run`] | opens, serves, drains |
//! | [`check`] | everything that `run` would refuse |
//! | [`health`] | the health port |
//! | [`report`] | what works here, and what runs out when |
//! | [`status`] | asks the running gateway for its report |
//! | `messages` | looks into the message log |
//! | `words` | lengths of time, sizes and strangers' text for people |

pub mod check;
pub mod cli;
pub mod health;
mod messages;
pub mod report;
pub mod run;
pub mod status;
mod words;

#[cfg(test)]
mod tests;
