//! A PostgreSQL at home and a standby abroad that replays its log: the real thing, over Unix sockets alone.
//!
//! The programs are those of the newest `/usr/lib/postgresql/*/bin`. PostgreSQL refuses to run as root: then it runs as
//! `postgres`. Where either is missing a test says that it skips; under `SAATKOND_REQUIRE=all` that is a failure.

use crate::directory::Directory;
use crate::patiently;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tokio_postgres::{Client, Config, NoTls};

/// A primary and its standby; both end with this.
#[derive(Debug)]
pub struct Pair {
    /// Where writes go.
    pub home: Database,
    /// What replays them.
    pub abroad: Database,
    _directory: Directory,
}

/// One of them.
#[derive(Debug)]
pub struct Database {
    bin: PathBuf,
    files: PathBuf,
    socket: PathBuf,
}

impl Pair {
    /// Makes both, or says why not: home speaks each second while nothing is written.
    ///
    /// # Panics
    /// When PostgreSQL is not here and `SAATKOND_REQUIRE=all`.
    #[must_use]
    pub fn new() -> Option<Self> {
        let bin = needed()?;
        let directory = Directory::new("pg");
        let [home, abroad] = ["home", "abroad"].map(|name| Database::placed(&bin, directory.path(), name));
        home.make();
        let from = ["-h", text(&home.socket), "-U", "land", "-R", "-X", "stream", "-c", "fast", "--no-sync"];
        abroad.run("pg_basebackup", &[&from[..], &["-D", text(&abroad.files)]].concat());
        abroad.start();
        Some(Self { home, abroad, _directory: directory })
    }
}

/// One that nobody replays; it ends with this.
#[derive(Debug)]
pub struct Alone {
    /// The database.
    pub database: Database,
    _directory: Directory,
}

impl Alone {
    /// Makes it, or says why not.
    ///
    /// # Panics
    /// As [`Pair::new`].
    #[must_use]
    pub fn new() -> Option<Self> {
        let bin = needed()?;
        let directory = Directory::new("pg");
        let database = Database::placed(&bin, directory.path(), "alone");
        database.make();
        Some(Self { database, _directory: directory })
    }
}

impl Database {
    /// Makes and starts one with these settings in a directory that the caller removes; `None` where there is none.
    #[must_use]
    pub fn with(directory: &Path, settings: &str) -> Option<Self> {
        std::fs::create_dir_all(directory).unwrap();
        let database = Self::placed(&programs()?, &directory.canonicalize().unwrap(), "postgres");
        database.make_with(settings);
        Some(database)
    }

    /// The numbers of its processes.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let file = std::fs::read_to_string(self.files.join("postmaster.pid")).unwrap();
        let first: u32 = file.lines().next().unwrap().trim().parse().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
        let children = children.split_whitespace().map(|number| number.parse().unwrap());
        std::iter::once(first).chain(children).collect()
    }

    /// Its connection string.
    #[must_use]
    pub fn url(&self) -> String {
        format!("host={} user=land dbname=postgres", self.socket.display())
    }

    /// A connection to it.
    pub async fn client(&self) -> Client {
        let config: Config = self.url().parse().unwrap();
        let (client, connection) = patiently("a database answered", config.connect(NoTls)).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Ends it as a crash does.
    pub fn crash(&self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-D", text(&self.files)]);
    }

    /// Makes a standby a primary.
    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "-w", "-D", text(&self.files)]);
    }

    fn placed(bin: &Path, directory: &Path, name: &str) -> Self {
        let socket = directory.join(name);
        for place in [directory, &socket] {
            std::fs::create_dir_all(place).unwrap();
            own(place);
        }
        Self { bin: bin.to_owned(), files: socket.join("files"), socket }
    }

    fn make(&self) {
        self.make_with(
            "fsync = off\nwal_sender_timeout = '2s'\nmax_connections = 20\nshared_buffers = '16MB'\n",
        );
    }

    fn make_with(&self, settings: &str) {
        self.run("initdb", &["-A", "trust", "-U", "land", "--no-sync", "-D", text(&self.files)]);
        let lines = format!("listen_addresses = ''\n{settings}");
        let file = self.files.join("postgresql.conf");
        let written = std::fs::read_to_string(&file).unwrap() + &lines;
        std::fs::write(&file, written).unwrap();
        self.start();
    }

    /// Begins again after [`Database::crash`].
    pub fn start(&self) {
        let options = format!("-k {}", self.socket.display());
        let log = self.socket.join("log");
        self.run(
            "pg_ctl",
            &["start", "-w", "-t", "60", "-D", text(&self.files), "-l", text(&log), "-o", &options],
        );
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let Output { status, stdout, stderr } = self.command(program, arguments).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{program}: {said}");
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.bin.join(program);
        let mut command = match other_user() {
            None => Command::new(program),
            Some(_) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
                command
            }
        };
        command.args(arguments).current_dir(&self.socket).env("LC_ALL", "C");
        command
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let files = self.files.clone();
        let _ = self.command("pg_ctl", &["stop", "-m", "immediate", "-D", text(&files)]).output();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Its programs; without them a test says that it skips.
fn needed() -> Option<PathBuf> {
    let found = programs();
    if found.is_none() {
        let required = std::env::var("SAATKOND_REQUIRE").as_deref() == Ok("all");
        assert!(!required, "PostgreSQL is required and not here");
        eprintln!("SKIPPED: PostgreSQL, or its user, is not here");
    }
    found
}

/// The directory of the newest PostgreSQL's programs, if they can be run.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            Some((number, path.join("bin"))).filter(|(_, bin)| bin.join("pg_basebackup").is_file())
        })
        .collect();
    found.sort();
    let is_runnable = other_user().is_none_or(|user| user.is_some());
    found.pop().map(|(_, bin)| bin).filter(|_| is_runnable)
}

/// `None` where we may run it ourselves; else the user and group that must, if there are such.
fn other_user() -> Option<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    is_root.then(|| {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        let mut line = users.lines().find(|line| line.starts_with("postgres:"))?.split(':').skip(2);
        Some((line.next()?.parse().ok()?, line.next()?.parse().ok()?))
    })
}

/// Gives a directory to the user that runs PostgreSQL.
fn own(place: &Path) {
    if let Some(Some((user, group))) = other_user() {
        std::os::unix::fs::chown(place, Some(user), Some(group)).unwrap();
    }
}
