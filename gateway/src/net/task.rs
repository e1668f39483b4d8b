//! One exchange, one task: it runs to its end whoever goes away, and a panic in it is a fault of that exchange alone.

use super::question::Question;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// An exchange that panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the exchange panicked")]
pub struct Panicked;

/// Runs an exchange as its own task.
///
/// # Errors
/// [`Panicked`].
///
/// # Cancel safety
/// A dropped call leaves the exchange running to its end: what was begun is recorded.
pub async fn run<T: Send + 'static>(
    exchange: impl Future<Output = T> + Send + 'static,
) -> Result<T, Panicked> {
    tokio::spawn(exchange).await.map_err(|error| {
        tracing::error!(alarm = true, %error, "exchange panicked");
        Panicked
    })
}

/// What the closing line of an exchange says: the same fields always.
#[derive(Debug)]
pub struct Account {
    side: &'static str,
    started: Instant,
    /// The id that the information system gave.
    pub query_id: String,
    /// Who asks.
    pub consumer: String,
    /// Who is asked for what.
    pub service: String,
    /// The other gateway.
    pub server: String,
    /// Bytes of both bodies.
    pub bytes: u64,
}

impl Account {
    /// Begins the exchange of a `consumer` or `provider`.
    #[must_use]
    pub fn new(side: &'static str) -> Self {
        Self {
            side,
            started: Instant::now(),
            query_id: String::new(),
            consumer: String::new(),
            service: String::new(),
            server: String::new(),
            bytes: 0,
        }
    }

    /// Takes down who asks whom for what.
    pub fn names(&mut self, question: &Question) {
        question.id().clone_into(&mut self.query_id);
        self.consumer = question.client().to_string();
        self.service = question.service().to_string();
    }

    /// Writes the closing line.
    pub fn close(&self, code: &str) {
        tracing::info!(
            query_id = %self.query_id,
            side = self.side,
            consumer = %self.consumer,
            service = %self.service,
            server = %self.server,
            code,
            ms = millis(self.started.elapsed()),
            bytes = self.bytes,
            "exchange"
        );
    }
}

/// Milliseconds with three places, as a number.
fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_exchange_only() {
        assert_eq!(run(async { 1 }).await, Ok(1));
        assert_eq!(run(async { assert!(std::hint::black_box(false)) }).await, Err(Panicked));
    }
}
