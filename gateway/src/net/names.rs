//! Addresses of other gateways: once one was reached, no name server is needed to reach it again.
//!
//! A name is looked up when it was not for a while. When that is slow or fails, what was known goes on to serve: the
//! addresses told last, and those at which a gateway proved who it is. One look-up of a name runs at a time, so that a
//! name server that hangs costs one thread, not one for each call.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long what was told of a name is not asked again.
const FRESH: Duration = Duration::from_secs(30);
/// How long is waited for a name server when an address is known already.
const PATIENCE: Duration = Duration::from_millis(250);
/// Names remembered.
const NAMES_MAX: usize = 10_000;
/// Addresses remembered of one name at which a gateway proved who it is.
const PROVEN_MAX: usize = 8;

/// Looks a name up.
struct Lookup(Box<dyn Fn(String) -> Answer + Send + Sync>);

/// What a look-up comes to.
struct Answer(Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>);

/// What is known of names. Cheap to clone; clones agree.
#[derive(Clone)]
pub(crate) struct Names(Arc<Inner>);

struct Inner {
    lookup: Lookup,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Default)]
struct Known {
    told: Vec<IpAddr>,
    told_at: Option<Instant>,
    proven: Vec<IpAddr>,
    /// A look-up under way; it tells why it failed.
    flight: Option<watch::Receiver<Option<Result<(), String>>>>,
}

impl Known {
    /// Proven addresses that are still told, other told ones, then proven ones that are told no more.
    fn addresses(&self) -> Vec<IpAddr> {
        let (first, last): (Vec<IpAddr>, Vec<IpAddr>) =
            self.proven.iter().copied().partition(|ip| self.told.contains(ip));
        let others = self.told.iter().copied().filter(|ip| !first.contains(ip));
        first.iter().copied().chain(others).chain(last).collect()
    }
}

impl Default for Names {
    /// Asks the system.
    fn default() -> Self {
        Self::asking(|name| {
            Answer(Box::pin(async move {
                let found = lookup_host((name.as_str(), 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            }))
        })
    }
}

impl Names {
    fn asking(lookup: impl Fn(String) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { lookup: Lookup(Box::new(lookup)), known: Mutex::default() }))
    }

    /// The addresses of a host, the best first; never empty.
    ///
    /// # Errors
    /// When nothing is known and the look-up fails.
    pub(crate) async fn of(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let with_port = |ips: Vec<IpAddr>| ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        if let Ok(ip) = host.parse() {
            return Ok(with_port(vec![ip]));
        }
        let (known, mut flight) = {
            let mut names = self.names();
            if names.len() >= NAMES_MAX && !names.contains_key(host) {
                names.clear();
            }
            let known = names.entry(host.to_owned()).or_default();
            if known.told_at.is_some_and(|at| at.elapsed() < FRESH) {
                return Ok(with_port(known.addresses()));
            }
            let flight = known.flight.get_or_insert_with(|| self.look_up(host)).clone();
            (known.addresses(), flight)
        };
        let landed = async { flight.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) };
        let outcome = if known.is_empty() {
            landed.await
        } else {
            match timeout(PATIENCE, landed).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    tracing::debug!(host, "name server is slow: an address known before serves");
                    return Ok(with_port(known));
                }
            }
        };
        let found = self.names().get(host).map(Known::addresses).unwrap_or_default();
        match outcome {
            _ if !found.is_empty() => Ok(with_port(found)),
            Ok(Some(Err(why))) => Err(io::Error::new(io::ErrorKind::NotFound, why)),
            Ok(_) | Err(_) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        }
    }

    /// Remembers that a gateway at this address proved who it is.
    pub(crate) fn proven(&self, host: &str, address: IpAddr) {
        if let Some(known) = self.names().get_mut(host) {
            known.proven.retain(|ip| *ip != address);
            known.proven.insert(0, address);
            known.proven.truncate(PROVEN_MAX);
        }
    }

    /// Begins a look-up, which ends whoever goes away.
    fn look_up(&self, host: &str) -> watch::Receiver<Option<Result<(), String>>> {
        let (landing, flight) = watch::channel(None);
        let (names, host) = (self.clone(), host.to_owned());
        let Answer(answer) = self.0.lookup.0(host.clone());
        tokio::spawn(async move {
            let outcome = answer.await;
            let landed = {
                let mut known = names.names();
                let known = known.entry(host).or_default();
                known.flight = None;
                match outcome {
                    Ok(told) if !told.is_empty() => {
                        known.told = told;
                        known.told_at = Some(Instant::now());
                        Ok(())
                    }
                    Ok(_) => Err("the name has no address".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            };
            landing.send_replace(Some(landed));
        });
        flight
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Names({})", self.names().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What a name server does next.
    enum Does {
        Tells(&'static str),
        Fails,
        Hangs,
    }

    fn names(script: Vec<Does>) -> (Names, Arc<AtomicUsize>) {
        let (script, asked) = (Mutex::new(VecDeque::from(script)), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        let names = Names::asking(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let does = script.lock().unwrap().pop_front().unwrap();
            Answer(Box::pin(async move {
                match does {
                    Does::Tells(ip) => Ok(vec![ip.parse().unwrap()]),
                    Does::Fails => Err(io::Error::other("no such name")),
                    Does::Hangs => std::future::pending().await,
                }
            }))
        });
        (names, asked)
    }

    async fn first(names: &Names) -> String {
        let found = names.of("ss.example", 5500).await;
        found.map_or_else(|error| error.to_string(), |found| found[0].to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_serves_when_a_name_server_fails_or_hangs() {
        let (names, asked) = names(vec![Does::Fails, Does::Tells("10.0.0.1"), Does::Fails, Does::Hangs]);
        assert_eq!(first(&names).await, "no such name");
        assert_eq!(first(&names).await, "10.0.0.1:5500");
        assert_eq!(first(&names).await, "10.0.0.1:5500");
        assert_eq!(asked.load(Ordering::SeqCst), 2, "what was told a moment ago is not asked again");
        tokio::time::advance(FRESH).await;
        assert_eq!(first(&names).await, "10.0.0.1:5500");
        let began = Instant::now();
        assert_eq!(first(&names).await, "10.0.0.1:5500");
        assert_eq!(began.elapsed(), PATIENCE);
        // The one that hangs is not asked a second time meanwhile.
        assert_eq!(first(&names).await, "10.0.0.1:5500");
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_was_proven_outlives_what_is_told() {
        let (names, _) = names(vec![Does::Tells("10.0.0.1"), Does::Tells("10.6.6.6")]);
        assert_eq!(first(&names).await, "10.0.0.1:5500");
        names.proven("ss.example", "10.0.0.1".parse().unwrap());
        tokio::time::advance(FRESH).await;
        let found = names.of("ss.example", 1).await.unwrap();
        assert_eq!(found, ["10.6.6.6:1".parse().unwrap(), "10.0.0.1:1".parse().unwrap()]);
    }

    #[tokio::test]
    async fn an_address_needs_no_name_server() {
        let (names, asked) = names(Vec::new());
        assert_eq!(names.of("::1", 5500).await.unwrap(), ["[::1]:5500".parse().unwrap()]);
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }
}
