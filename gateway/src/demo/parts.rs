//! The processes of the demo: started from this very program, watched, killed, started again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};

/// How long a part may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often a part is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// Bytes of a part's log that are shown when it does not start.
const LOG_TAIL_BYTES: u64 = 2048;

/// One process of the demo.
pub(super) struct Part {
    name: &'static str,
    arguments: Vec<String>,
    ready: Ready,
    log: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// The part ends when this pipe does, so that none outlives the demo however it ends.
    _life: Option<ChildStdin>,
}

/// How one sees that a part is ready.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ready {
    /// It takes connections.
    Accepts(SocketAddr),
    /// Its health port says so.
    Says(SocketAddr),
}

impl Part {
    /// Describes a part; `arguments` follow this program's name.
    pub(super) fn new(name: &'static str, arguments: Vec<String>, ready: Ready, logs: &Path) -> Self {
        let log = logs.join(format!("{name}.log"));
        Self { name, arguments, ready, log, running: None }
    }

    /// Starts it and waits until it is ready; tells how long that took.
    ///
    /// # Errors
    /// With the end of its log, when it ends instead or is not ready in time.
    pub(super) async fn start(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--while-stdin")
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let life = child.stdin.take();
        self.running = Some(Running { child, _life: life });
        while !self.ready.holds().await {
            let ended = match &mut self.running {
                Some(running) => running.child.try_wait()?,
                None => None,
            };
            if let Some(status) = ended {
                anyhow::bail!(
                    "{} ended at once ({status}); the end of {}:\n{}",
                    self.name,
                    self.log.display(),
                    self.tail()
                );
            }
            anyhow::ensure!(
                began.elapsed() < READY_WITHIN,
                "{} was not ready within {} s; the end of {}:\n{}",
                self.name,
                READY_WITHIN.as_secs(),
                self.log.display(),
                self.tail()
            );
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(began.elapsed())
    }

    /// Its process id while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(|r| r.child.id())
    }

    /// Kills it as a power cut would: SIGKILL, no word before.
    ///
    /// # Errors
    /// When the system does not do it.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.child.kill().await?;
        }
        Ok(())
    }

    /// How it ended, told once, if somebody or something else ended it.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.running.as_mut()?.child.try_wait().ok()??;
        self.running = None;
        Some(format!("{} ended ({status}); what it said is in {}", self.name, self.log.display()))
    }

    /// Memory its process holds, in bytes.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|k| k * 1024)
    }

    fn tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }
}

impl Ready {
    async fn holds(self) -> bool {
        match self {
            Self::Accepts(address) => TcpStream::connect(address).await.is_ok(),
            Self::Says(address) => says_ready(address).await.unwrap_or(false),
        }
    }
}

async fn says_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let ask = format!("GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    Ok(&start == b"HTTP/1.1 200")
}
