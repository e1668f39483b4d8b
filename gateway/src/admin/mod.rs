//! What an operator may see and change.
//!
//! | file | what it holds |
//! |---|---|
//! | [`cli`] | the commands `run`, `check`, `status` and `messages` |

pub mod cli;
