//! What an operator may see and change.
//!
//! | file | what it holds |
//! |---|---|
//! | [`authority`] | who leads which register; orders of an operator |
//! | [`cli`] | the commands `run`, `check`, `status`, `messages`, `services`, `keys` and `register` |
//! | [`run`] | opens, serves, drains |
//! | [`check`] | everything that `run` would refuse |
//! | [`health`] | the health port |
//! | [`keys`] | makes keys, takes them into use and out of it |
//! | [`register`] | asks the central server to register what is here, and tells what became of it |
//! | [`report`] | what works here, and what runs out when |
//! | [`sites`] | what is believed of the copies of registers; pins |
//! | [`status`] | asks the running gateway for its report |
//! | `bind` | doors that cannot be bound, and who has what they need |
//! | `output` | what the process says on its standard error |
//! | `messages` | looks into the message log |
//! | [`services`] | looks at what is offered, and changes it in `server.toml` |
//! | `words` | lengths of time, sizes and strangers' text for people |

pub mod authority;
mod bind;
pub mod check;
pub mod cli;
pub mod health;
pub mod keys;
mod messages;
mod output;
pub mod register;
pub mod report;
pub mod run;
pub mod services;
pub mod sites;
pub mod status;
mod words;

#[cfg(test)]
mod tests;
