//! A consumer's gateway that chooses doors as an unmodified X-Road server does.
//!
//! Seen: message-path §2.5. It connects to all of a provider's servers at once and takes the first; for an hour it goes back
//! to that one, which gets five seconds to connect, and only when it does not begins the race anew. It sends a call once.

use crate::caller::Ask;
use crate::federation::Federation;
use crate::peer::{Asker, Told};
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a server that was the fastest is gone back to.
const STICKY: Duration = Duration::from_secs(3600);
/// How long it gets to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// The consumer.
#[derive(Debug)]
pub struct Stock {
    asker: Asker,
    fastest: Mutex<Option<(String, Instant)>>,
}

impl Stock {
    /// The gateway of a server.
    #[must_use]
    pub fn of(federation: &Federation, code: &str) -> Self {
        Self { asker: Asker::of(federation, code), fastest: Mutex::default() }
    }

    /// Asks whichever of these servers it chooses; says which.
    ///
    /// # Errors
    /// When none takes the connection, or the one that did breaks it.
    pub async fn ask(
        &self,
        federation: &Federation,
        codes: &[&str],
        ask: &Ask,
    ) -> io::Result<(String, Told)> {
        let code = self.choose(federation, codes).await?;
        let letter = self.asker.draft(ask).letter();
        let mut wire = self.asker.connect(federation, &code).await?;
        let post = crate::peer::Post::of(&letter);
        post.say(&mut wire).await?;
        Ok((code, Told::hear(&mut wire, "POST").await?))
    }

    async fn choose(&self, federation: &Federation, codes: &[&str]) -> io::Result<String> {
        let place = |code: &str| SocketAddr::from((federation.address(code), federation.port));
        let sticky = self.fastest.lock().unwrap().clone().filter(|(_, since)| since.elapsed() < STICKY);
        if let Some((code, _)) = sticky
            && matches!(timeout(CONNECT, TcpStream::connect(place(&code))).await, Ok(Ok(_)))
        {
            return Ok(code);
        }
        let mut race = JoinSet::new();
        for code in codes {
            let (code, place) = ((*code).to_owned(), place(code));
            race.spawn(async move { TcpStream::connect(place).await.map(|_| code) });
        }
        let mut last = io::Error::other("no server");
        while let Some(connected) = race.join_next().await {
            match connected.unwrap() {
                Ok(code) => {
                    *self.fastest.lock().unwrap() = Some((code.clone(), Instant::now()));
                    return Ok(code);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
