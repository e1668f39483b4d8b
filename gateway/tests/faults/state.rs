//! A small state for faults: trust services, registers and links in this process, three gateways as processes.

use crate::link::Link;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use saatkond::admin::run::serve as serve_gateway;
use saatkond::clock::Clock;
use saatkond::conf::Conf;
use saatkond::net::listen::{self, Stopper};
use saatkond_ca::exit::{Exit, Failure};
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::key::KeySpec;
use saatkond_ca::serve::{self, Running, Services};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Between home and abroad, there and back.
const ROUND_TRIP: Duration = Duration::from_millis(40);
/// How long anything may take before the test is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How the codes end that say that nothing was done.
const REFUSALS: [&str; 4] =
    ["network_error", "global_conf_outdated", "incorrect_validation_info", "ssl_authentication_failed"];
/// How long a caller waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// One copy of the register: counts what was done to it under each id.
#[derive(Clone, Default)]
pub(crate) struct Register {
    done: Arc<Mutex<HashMap<String, usize>>>,
    delay: Arc<AtomicU64>,
}

impl Register {
    /// From now on each read takes so long.
    pub(crate) fn delay(&self, span: Duration) {
        self.delay.store(span.as_millis() as u64, Ordering::SeqCst);
    }

    async fn serve(self, listener: TcpListener, copy: &'static str) {
        while let Ok((stream, _)) = listener.accept().await {
            let register = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| register.clone().answer(request, copy));
                drop(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await,
                );
            });
        }
    }

    async fn answer(
        self,
        request: Request<hyper::body::Incoming>,
        copy: &'static str,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/staleness" {
            return Ok(Response::new(Full::new(Bytes::from_static(b"0.05"))));
        }
        let id = request.headers().get("x-road-id").unwrap().to_str().unwrap().to_owned();
        if request.method() == Method::POST {
            *self.done.lock().unwrap().entry(id).or_default() += 1;
        } else {
            tokio::time::sleep(Duration::from_millis(self.delay.load(Ordering::SeqCst))).await;
        }
        Ok(Response::new(Full::new(Bytes::from(copy))))
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By which copy it was answered.
    Answered(String),
    /// The caller was told that it is not known whether it was done.
    Unknown,
    /// The caller was told that it was not done.
    Refused(String),
    /// Anything else.
    Failed(String),
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) write: bool,
    pub(crate) outcome: Outcome,
    /// Since the load began.
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
}

/// A gateway that runs as a process, and ends with this one.
struct Process(Child);

/// A gateway that runs in this process.
struct Inside {
    stopper: Stopper,
    serving: JoinHandle<Result<Exit, Failure>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The state.
pub(crate) struct Land {
    pub(crate) home_link: Link,
    pub(crate) home_register: Register,
    embassy_register: Register,
    _embassy_link: Link,
    pub(crate) home_clock: Clock,
    home: Option<Process>,
    inside: Option<Inside>,
    _embassy: Process,
    tax: Option<Process>,
    tax_address: IpAddr,
    clients: u16,
    health: u16,
    dir: PathBuf,
    _trust: Running,
    loads: u32,
}

impl Drop for Land {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a gateway offers: a copy of the register, which is started at its address, or nothing.
async fn server_toml(register: Option<&Register>, at: IpAddr, copy: &'static str) -> String {
    let Some(register) = register else {
        return "version = 1\n[[client]]\nid = \"DEV/GOV/M1/TAX\"\nconnection = \"http\"\n".to_owned();
    };
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(register.clone().serve(listener, copy));
    format!(
        "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n\
         [client.copy]\nstaleness = {{ probe = \"{url}/staleness\" }}\n\
         [[client.service]]\ncode = \"land\"\nurl = \"{url}\"\nallow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n"
    )
}

impl Land {
    pub(crate) async fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let block = (std::process::id() % 15_000) * 4 + NEXT.fetch_add(1, Ordering::SeqCst);
        let ip = |last: u8| {
            IpAddr::V4(Ipv4Addr::new(127, 64 + (block >> 8 & 63) as u8, (block & 255) as u8, last))
        };
        let [trust, tax, home, embassy] = [1, 2, 3, 4].map(ip);
        let (home_itself, embassy_itself) = (ip(13), ip(14));
        let [port, ocsp, clients, health] = [(); 4].map(|()| free_port());
        let dir = std::env::temp_dir().join(format!("saatkond-faults-{}-{name}", std::process::id()));
        let listener = TcpListener::bind((trust, 0)).await.unwrap();
        let trust = listener.local_addr().unwrap();
        let texts = [tax, home, embassy].map(|address| address.to_string());
        let addresses = texts.each_ref().map(String::as_str);
        let relays = [home, embassy].map(|address| format!("{address}:1"));
        let plan = Plan::two_boards(&format!("http://{trust}"), KeySpec::P256, addresses)
            .with_sites(relays.each_ref().map(String::as_str), &[]);
        let made = Federation::create(&dir, &plan, serve::Clock::system().now()).unwrap();
        let services = Services::open(&made.serve_config(), serve::Clock::system()).unwrap();
        let services = Running::start(listener, services).unwrap();
        let (home_register, embassy_register) = (Register::default(), Register::default());
        let link = |front: IpAddr, back: IpAddr| {
            let pair = |port| (SocketAddr::new(front, port), SocketAddr::new(back, port));
            Link::new(&[pair(port), pair(ocsp)], ROUND_TRIP / 2)
        };
        for (code, at, owner, register, copy) in [
            ("home", home_itself, "M2", Some(&home_register), "HOME"),
            ("embassy", embassy_itself, "M2", Some(&embassy_register), "EMBASSY"),
            ("tax", tax, "M1", None, "TAX"),
        ] {
            let asked = if register.is_some() { "off".to_owned() } else { format!("{tax}:{clients}") };
            let gateway = format!(
                "version = 1\nserver = \"DEV/GOV/{owner}/{copy}\"\nstate = \".\"\nanchor = {:?}\n[listen]\nclients = \"{asked}\"\n\
                 servers = \"{at}:{port}\"\nocsp = \"{at}:{ocsp}\"\nhealth = \"{at}:{health}\"\n[peers]\nport = {port}\n\
                 ocsp_port = {ocsp}\n[log]\nsegment = \"1 MiB\"\n[output]\nlevel = \"warn\"\n",
                made.anchor().display().to_string()
            );
            let server = server_toml(register, at, copy).await;
            std::fs::write(dir.join(code).join("gateway.toml"), gateway).unwrap();
            std::fs::write(dir.join(code).join("server.toml"), server).unwrap();
        }
        let mut land = Self {
            home_link: link(home, home_itself),
            _embassy_link: link(embassy, embassy_itself),
            home_register,
            embassy_register,
            home_clock: Clock::wrong(),
            home: None,
            inside: None,
            _embassy: start(&dir, "embassy", SocketAddr::new(embassy_itself, health)).await,
            tax: None,
            tax_address: tax,
            clients,
            health,
            dir,
            _trust: services,
            loads: 0,
        };
        land.home = Some(start(&land.dir, "home", SocketAddr::new(home_itself, health)).await);
        land
    }

    /// Starts the consumer's gateway anew: it remembers nothing.
    pub(crate) async fn start_tax(&mut self) {
        self.tax = None;
        self.tax = Some(start(&self.dir, "tax", SocketAddr::new(self.tax_address, self.health)).await);
    }

    pub(crate) fn kill_home(&mut self) {
        self.home = None;
    }

    pub(crate) async fn start_home(&mut self) {
        if let Some(Inside { stopper, serving }) = self.inside.take() {
            stopper.stop();
            serving.await.unwrap().unwrap();
        }
        self.home = Some(start(&self.dir, "home", self.home_health()).await);
    }

    fn home_health(&self) -> SocketAddr {
        let IpAddr::V4(tax) = self.tax_address else { panic!("addresses are of IPv4") };
        let [a, b, c, _] = tax.octets();
        SocketAddr::from(([a, b, c, 13], self.health))
    }

    /// Runs home in this process, by a clock that the test may wind.
    pub(crate) async fn home_moves_in(&mut self) {
        self.home = None;
        self.home_clock = Clock::wrong();
        let conf = Arc::new(Conf::load(&self.dir.join("home/gateway.toml")).unwrap());
        let (stopper, stop) = listen::stop();
        let serving = tokio::spawn(serve_gateway(conf, self.home_clock.clone(), stop));
        self.inside = Some(Inside { stopper, serving });
        until_ready(self.home_health()).await;
    }

    pub(crate) fn signal_home(&self, signal: &str) {
        let pid = self.home.as_ref().unwrap().0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Callers that ask without pause: so many read, so many write.
    pub(crate) fn load(&mut self, readers: usize, writers: usize) -> Load {
        self.loads += 1;
        let at = SocketAddr::new(self.tax_address, self.clients);
        let health = SocketAddr::new(self.tax_address, self.health);
        let mut load = Load {
            began: Instant::now(),
            health,
            stop: Arc::default(),
            calls: Arc::default(),
            callers: JoinSet::new(),
        };
        for caller in 0..readers + writers {
            let (stop, calls, began) = (Arc::clone(&load.stop), Arc::clone(&load.calls), load.began);
            let (write, name) = (caller >= readers, format!("{}-{caller}", self.loads));
            load.callers.spawn(async move {
                let mut connection = None;
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let (id, since) = (format!("{name}-{number}"), began.elapsed());
                    let outcome = call(&mut connection, at, &id, write).await;
                    let call = Call { id, write, outcome, began: since, ended: began.elapsed() };
                    calls.lock().unwrap().push(call);
                    tokio::time::sleep(LOOK).await;
                }
            });
        }
        load
    }

    /// Writes that were done twice, that were called refused and done, and that were acknowledged and are nowhere.
    pub(crate) fn judge(&self, calls: &[Call]) -> (usize, usize, usize) {
        let (home, abroad) =
            (self.home_register.done.lock().unwrap(), self.embassy_register.done.lock().unwrap());
        let count = |id: &str| home.get(id).unwrap_or(&0) + abroad.get(id).unwrap_or(&0);
        let writes = || calls.iter().filter(|c| c.write);
        let is_acknowledged = |c: &&Call| matches!(c.outcome, Outcome::Answered(_));
        (
            writes().filter(|c| count(&c.id) > 1).count(),
            writes().filter(|c| matches!(c.outcome, Outcome::Refused(_)) && count(&c.id) > 0).count(),
            writes().filter(is_acknowledged).filter(|c| count(&c.id) == 0).count(),
        )
    }

    /// How often reads moved from one site to another, as the consumer's gateway counts it.
    pub(crate) async fn changes(&self) -> u64 {
        let report = sites(SocketAddr::new(self.tax_address, self.health)).await;
        report["registers"][0]["sites"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["changes"].as_u64().unwrap())
            .sum()
    }
}

async fn start(dir: &std::path::Path, code: &str, health: SocketAddr) -> Process {
    let log =
        std::fs::File::options().create(true).append(true).open(dir.join(format!("{code}.log"))).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_saatkond"))
        .args(["run", "--config", &dir.join(code).join("gateway.toml").display().to_string()])
        .env_remove("SAATKOND_LOG")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let process = Process(child);
    until_ready(health).await;
    process
}

async fn until_ready(health: SocketAddr) {
    let ready = async {
        while !matches!(get(health, "/health/ready").await, Some((200, _))) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
}

async fn get(at: SocketAddr, target: &str) -> Option<(u16, Bytes)> {
    let stream = TcpStream::connect(at).await.ok()?;
    let (mut sender, driver) = handshake(TokioIo::new(stream)).await.ok()?;
    let driver = tokio::spawn(driver);
    let request = Request::get(target).header("host", "h").body(Full::<Bytes>::default()).ok()?;
    let response = sender.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    driver.abort();
    Some((status, body))
}

async fn sites(health: SocketAddr) -> serde_json::Value {
    serde_json::from_slice(&get(health, "/sites").await.unwrap().1).unwrap()
}

/// A running load.
pub(crate) struct Load {
    began: Instant,
    health: SocketAddr,
    stop: Arc<AtomicBool>,
    calls: Arc<Mutex<Vec<Call>>>,
    callers: JoinSet<()>,
}

impl Load {
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// Waits until the calls so far are as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Call]) -> bool) {
        let holds = async {
            while !wanted(&self.calls.lock().unwrap()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, holds).await.is_err() {
            let sites = sites(self.health).await;
            let calls = self.calls.lock().unwrap();
            let last: Vec<&Call> = calls.iter().rev().take(5).collect();
            panic!("not within {PATIENCE:?}: {} calls, the last {last:?}; {sites}", calls.len());
        }
    }

    /// Waits until the gateway knows how both doors answer.
    pub(crate) async fn until_watched(&self) {
        let watched = async {
            let mut heard = 0;
            while heard < 4 {
                let report = sites(self.health).await;
                let doors = report["registers"][0]["sites"].as_array().unwrap().iter();
                let all = doors.filter(|site| site["doors"][0]["staleness_ms"].is_u64()).count();
                heard = if all >= 1 { heard + 1 } else { 0 };
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        tokio::time::timeout(PATIENCE, watched).await.unwrap();
    }

    /// Lets time pass: what is measured is what happens in it.
    pub(crate) async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// Lets every caller end its call, then tells all of them.
    pub(crate) async fn finish(mut self) -> Vec<Call> {
        self.stop.store(true, Ordering::SeqCst);
        while self.callers.join_next().await.is_some() {}
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

async fn call(
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    at: SocketAddr,
    id: &str,
    write: bool,
) -> Outcome {
    let exchange = async {
        let mut sender = match connection.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => {
                let stream = TcpStream::connect(at).await?;
                stream.set_nodelay(true)?;
                let (sender, driver) =
                    handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
                tokio::spawn(driver);
                sender
            }
        };
        let method = if write { Method::POST } else { Method::GET };
        let request = Request::builder().method(method).uri("/r1/DEV/GOV/M2/LAND/land/titles/1001");
        let request =
            request.header("host", "h").header("x-road-client", "DEV/GOV/M1/TAX").header("x-road-id", id);
        let body = if write { Bytes::from_static(b"{}") } else { Bytes::new() };
        let response = sender.send_request(request.body(Full::new(body)).unwrap()).await;
        let response = response.map_err(std::io::Error::other)?;
        let code = response.headers().get("x-road-error").map(|v| v.to_str().unwrap_or_default().to_owned());
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
        *connection = Some(sender);
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok::<_, std::io::Error>(match code {
            None if status == 200 => Outcome::Answered(text),
            Some(code) if code.ends_with("outcome_unknown") => Outcome::Unknown,
            Some(_) if text.contains("nothing was sent") => Outcome::Refused(text),
            // Home's own words, when its clock is wrong: it takes nothing then.
            Some(code) if REFUSALS.iter().any(|leaf| code.ends_with(leaf)) => Outcome::Refused(text),
            _ => Outcome::Failed(format!("{status} {text}")),
        })
    };
    match tokio::time::timeout(ANSWER_WITHIN, exchange).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Err(_) => Outcome::Failed(format!("no answer within {ANSWER_WITHIN:?}")),
    }
}
