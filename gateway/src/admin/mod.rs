//! What an operator may see and change.
//!
//! | file | what it holds |
//! |---|---|
//! | [`cli`] | the commands `run`, `check`, `status` and `messages` |
//! | `messages` | looks into the message log |
//! | `words` | lengths of time, sizes and strangers' text for people |

pub mod cli;
mod messages;
mod words;
