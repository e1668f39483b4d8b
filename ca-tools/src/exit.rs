//! How commands end and what they say: exit codes, errors with a hint, two streams.

use std::fmt;
use std::io::{IsTerminal as _, Write};

/// How a command ends; the number is what the shell sees.
///
/// Spec: sysexits, as far as they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The thing itself is not well: a signature does not hold, a check fails.
    NotWell = 1,
    /// Wrong use.
    Usage = 2,
    /// A needed service is not there.
    Unavailable = 69,
    /// Our bug.
    OurBug = 70,
    /// Disk.
    Disk = 74,
    /// Not allowed.
    NotAllowed = 77,
    /// Configuration.
    Configuration = 78,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked: what was done and to what, what came, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What was being done and to what, what was expected and what came.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Where a command writes: data, which scripts read, apart from talk, which people read.
pub struct Streams<'a> {
    out: &'a mut (dyn Write + Send),
    talk: &'a mut (dyn Write + Send),
    is_closed: bool,
}

impl<'a> Streams<'a> {
    /// Writes data to `out` and talk to `talk`.
    pub fn new(out: &'a mut (dyn Write + Send), talk: &'a mut (dyn Write + Send)) -> Self {
        Self { out, talk, is_closed: false }
    }

    /// Writes one line of data; a closed pipe is not an error.
    pub fn data(&mut self, line: impl fmt::Display) {
        self.is_closed |= writeln!(self.out, "{line}").is_err();
    }

    /// Whether nobody reads the data any more: what would go on for ever may end.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Writes bytes of data as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.out.write_all(bytes);
    }

    /// Writes one line of talk.
    pub fn talk(&mut self, line: impl fmt::Display) {
        let _ = writeln!(self.talk, "{line}");
    }

    /// Asks before what should not happen unseen; `yes` is the answer that came with the command.
    ///
    /// # Errors
    /// [`Failure`] when nobody is there to agree, or somebody is and does not.
    pub fn agreed(&mut self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            let text = format!("would {question}, and nobody is there to agree");
            return Err(Failure::new(Exit::Usage, text).hint("add --yes"));
        }
        self.talk(format!("This will {question}. Type yes to do it."));
        let mut line = String::new();
        let _ = std::io::stdin().read_line(&mut line);
        if line.trim() == "yes" { Ok(()) } else { Err(Failure::new(Exit::NotAllowed, "nothing was done")) }
    }
}

impl fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_its_hint_on_an_own_line() {
        let failure = Failure::new(Exit::Configuration, "cannot read x").hint("write it");
        assert_eq!(failure.to_string(), "error: cannot read x\n hint: write it");
        assert_eq!(failure.exit.code(), 78);
    }
}
