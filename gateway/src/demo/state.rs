//! The small state's files, as an installation's would lie: what is seen in the demo is what one will own.
//!
//! ```text
//! target/demo/
//!   demo.json            on which ports this state was made
//!   anchor.xml           the instance's configuration anchor
//!   trust/               authority, OCSP, time-stamps, configuration
//!   home/ embassy/ tax/  one gateway each: gateway.toml, server.toml, keys/, and what it keeps
//!   registers/           one file for each copy of the land register
//!   person.xml           a SOAP message to the population register
//!   operator.key.pem     the key of the one who may let another site lead
//!   logs/                what each process says
//! ```

use crate::keys::OperatorKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond_ca::exit::{Exit, Failure};
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::key::KeySpec;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// The form of the state directory; raised when an older one can no longer be used.
const FORM: u32 = 4;
/// Added to every port when the usual ones are taken.
const PORT_SHIFTS: [u16; 6] = [0, 10_000, 20_000, 30_000, 40_000, 50_000];
/// The key of the one who may order a change of authority.
const OPERATOR_KEY: &str = "operator.key.pem";
/// How often the demo's records are time-stamped.
const STAMP_EVERY: &str = "1 s";

/// The ports of one small state: one number for all its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Ports {
    trust: u16,
    servers: u16,
    ocsp: u16,
    clients: u16,
    health: u16,
    register: u16,
    sites: u16,
}

impl Ports {
    const fn shifted(by: u16) -> Self {
        Self {
            trust: 4080 + by,
            servers: 5500 + by,
            ocsp: 5577 + by,
            clients: 8080 + by,
            health: 5580 + by,
            register: 8090 + by,
            sites: 5590 + by,
        }
    }
}

/// What `demo.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    form: u32,
    ports: Ports,
    /// How often this state was started: it makes the ids of one run's calls its own.
    runs: u32,
}

/// One gateway of the state and the register copy behind it.
#[derive(Debug, Clone)]
pub(super) struct Site {
    dir: PathBuf,
    owner: &'static str,
    server: &'static str,
    /// Where it says whether it is ready.
    pub(super) health: SocketAddr,
    /// The address the screen names it by.
    pub(super) shown: SocketAddr,
    /// Where its register copy answers.
    pub(super) register: SocketAddr,
    /// The file of its register copy.
    pub(super) register_file: PathBuf,
}

/// The small state.
#[derive(Debug, Clone)]
pub(super) struct State {
    dir: PathBuf,
    federation: Federation,
    runs: u32,
    /// Where the trust services answer.
    pub(super) trust: SocketAddr,
    pub(super) home: Site,
    pub(super) embassy: Site,
    pub(super) tax: Site,
    clients: SocketAddr,
}

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));
const EMBASSY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 2, 1));
const TAX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 3, 1));
const TRUST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl State {
    /// Finds the state in `dir`, or makes it there with keys of this kind.
    pub(super) async fn prepare(dir: &Path, fresh: bool, keys: KeySpec) -> Result<Self, Failure> {
        let dir_owned = dir.to_owned();
        // Keys take their time and files may block: off the threads that others wait on.
        tokio::task::spawn_blocking(move || Self::prepare_blocking(&dir_owned, fresh, keys))
            .await
            .map_err(|e| Failure::new(Exit::OurBug, format!("preparing the demo's state: {e}")))?
    }

    fn prepare_blocking(dir: &Path, fresh: bool, keys: KeySpec) -> Result<Self, Failure> {
        let marker_file = dir.join("demo.json");
        if fresh && marker_file.exists() {
            std::fs::remove_dir_all(dir).map_err(|e| disk("removing", dir, &e))?;
        }
        if !marker_file.exists() && dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            let text = format!("{} is not empty and holds no demo's state", dir.display());
            return Err(Failure::new(Exit::Configuration, text).hint("name another directory with --dir"));
        }
        let mut marker = match std::fs::read(&marker_file) {
            Ok(bytes) => Self::earlier(&bytes, dir)?,
            Err(_) => Marker { form: FORM, ports: free_ports()?, runs: 0 },
        };
        let made = marker.runs > 0;
        let federation = if made {
            Federation::open(dir).map_err(|e| {
                Failure::new(
                    Exit::Configuration,
                    format!("the state of an earlier demo in {}: {e}", dir.display()),
                )
                .hint("run again with --fresh to throw it away")
            })?
        } else {
            std::fs::create_dir_all(dir).map_err(|e| disk("making", dir, &e))?;
            make(dir, marker.ports, keys)?
        };
        marker.runs += 1;
        let state = Self::at(dir, federation, marker.ports, marker.runs);
        for site in [&state.home, &state.embassy, &state.tax] {
            site.write_files(marker.ports, &state.federation)?;
        }
        for folder in [state.logs(), dir.join("registers")] {
            std::fs::create_dir_all(&folder).map_err(|e| disk("making", &folder, &e))?;
        }
        let person = state.person();
        std::fs::write(&person, super::population::question("person-of-curl"))
            .map_err(|e| disk("writing", &person, &e))?;
        let bytes = serde_json::to_vec_pretty(&marker).unwrap_or_default();
        std::fs::write(&marker_file, bytes).map_err(|e| disk("writing", &marker_file, &e))?;
        Ok(state)
    }

    /// Reads an earlier demo's marker: its ports must be free again.
    fn earlier(bytes: &[u8], dir: &Path) -> Result<Marker, Failure> {
        let of = format!("the state of an earlier demo in {}", dir.display());
        let marker: Marker = serde_json::from_slice(bytes).map_err(|e| {
            Failure::new(Exit::Configuration, format!("{of} cannot be read: {e}"))
                .hint("run again with --fresh")
        })?;
        if marker.form != FORM {
            let text = format!("{of} has form {}, this program makes form {FORM}", marker.form);
            return Err(
                Failure::new(Exit::Configuration, text).hint("run again with --fresh to throw it away")
            );
        }
        if let Some((address, error)) = taken(marker.ports) {
            let text = format!("{of} needs {address}, which cannot be listened on: {error}");
            let hint =
                "stop what uses it (another demo?), or run again with --fresh to make a state on other ports";
            return Err(Failure::new(Exit::Unavailable, text).hint(hint));
        }
        Ok(marker)
    }

    fn at(dir: &Path, federation: Federation, ports: Ports, runs: u32) -> Self {
        let site = |name: &str, owner, server, ip, shown: u16| Site {
            dir: dir.join(name),
            owner,
            server,
            health: SocketAddr::new(ip, ports.health),
            shown: SocketAddr::new(ip, shown),
            register: SocketAddr::new(ip, ports.register),
            register_file: dir.join("registers").join(format!("{name}.jsonl")),
        };
        Self {
            dir: dir.to_owned(),
            federation,
            runs,
            trust: SocketAddr::new(TRUST, ports.trust),
            home: site("home", "M2", "HOME", HOME, ports.servers),
            embassy: site("embassy", "M2", "EMBASSY", EMBASSY, ports.servers),
            tax: site("tax", "M1", "TAX", TAX, ports.clients),
            clients: SocketAddr::new(TAX, ports.clients),
        }
    }

    /// Where processes write what they say.
    pub(super) fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Tells this run's calls from those of earlier ones.
    pub(super) const fn run(&self) -> u32 {
        self.runs
    }

    /// Where the containers of the first call are put.
    pub(super) fn example(&self, what: &str) -> PathBuf {
        self.dir.join(format!("example-{what}.asice"))
    }

    /// The site whose register copy has this name.
    pub(super) fn site(&self, copy: &str) -> &Site {
        if copy == self.embassy.server { &self.embassy } else { &self.home }
    }

    /// The key of the one who may let another site lead.
    pub(super) fn operator_key(&self) -> PathBuf {
        self.dir.join(OPERATOR_KEY)
    }

    /// A message to the population register.
    fn person(&self) -> PathBuf {
        self.dir.join("person.xml")
    }

    /// Commands to go on with.
    pub(super) fn try_it(&self) -> Vec<String> {
        let program =
            std::env::current_exe().map_or_else(|_| "saatkond".to_owned(), |p| shown(&relative(&p)));
        let target = self.target();
        vec![
            String::new(),
            "Try it yourself".to_owned(),
            format!(
                "  curl -H 'X-Road-Client: {}' http://{}{}/titles/1001",
                target.client, target.gateway, target.service
            ),
            format!(
                "  curl -H 'Content-Type: text/xml' --data-binary @{} http://{}/",
                shown(&relative(&self.person())),
                target.gateway
            ),
            format!("  {program} sites --config {}", shown(&self.tax.config())),
            format!(
                "  {program} authority switch DEV/GOV/M2/LAND --to embassy --operator {} --config {}",
                shown(&relative(&self.operator_key())),
                shown(&self.home.config())
            ),
            format!("  {program} messages list --config {}", shown(&self.tax.config())),
            format!(
                "  {program} ca verify {} --anchor {}",
                shown(&self.example("answer")),
                shown(&self.federation.anchor())
            ),
        ]
    }

    /// The calls of the demo go there.
    pub(super) fn target(&self) -> super::load::Target {
        super::load::Target {
            gateway: self.clients,
            client: "DEV/GOV/M1/TAX".to_owned(),
            service: "/r1/DEV/GOV/M2/LAND/land".to_owned(),
        }
    }

    /// What starts the trust services.
    pub(super) fn trust_arguments(&self) -> Vec<String> {
        let config = self.federation.serve_config();
        ["ca", "serve", "--config"].map(str::to_owned).into_iter().chain([shown(&config)]).collect()
    }
}

impl Site {
    /// What the screen calls it.
    pub(super) fn title(&self) -> String {
        let who = if self.owner == "M1" { "Tax Board" } else { "Land Board" };
        format!("gateway of the {who:<11} DEV/GOV/{}  server {}", self.owner, self.server)
    }

    /// What starts its gateway.
    pub(super) fn run_arguments(&self) -> Vec<String> {
        vec!["run".to_owned(), "--config".to_owned(), shown(&self.config())]
    }

    /// What starts its register copy.
    pub(super) fn register_arguments(&self, peer: &Self) -> Vec<String> {
        let words = [
            "demo",
            "register",
            "--listen",
            &self.register.to_string(),
            "--copy",
            self.server,
            "--file",
            &shown(&self.register_file),
            "--peer",
            &peer.register.to_string(),
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Its server's code.
    pub(super) fn name(&self) -> String {
        self.server.to_owned()
    }

    /// Where its message log is.
    pub(super) fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where it keeps the verified configuration.
    pub(super) fn globalconf_dir(&self) -> PathBuf {
        self.dir.join("globalconf")
    }

    /// Its `gateway.toml`.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("gateway.toml")
    }

    fn write_files(&self, ports: Ports, federation: &Federation) -> Result<(), Failure> {
        let ip = self.health.ip();
        let clients = if self.owner == "M1" { format!("{ip}:{}", ports.clients) } else { "off".to_owned() };
        let anchor = std::path::absolute(federation.anchor()).map_err(|e| disk("finding", &self.dir, &e))?;
        let gateway = format!(
            "# One gateway of the demo: its keys and configuration are a demonstration's, and serve on loopback only.\n\
             version = 1\n\
             server = \"DEV/GOV/{owner}/{server}\"\n\
             state = \".\"\n\
             anchor = {anchor:?}\n\
             demo = true\n\n\
             [listen]\n\
             clients = \"{clients}\"\n\
             servers = \"{ip}:{}\"\n\
             ocsp = \"{ip}:{}\"\n\
             {sites}health = \"{ip}:{}\"\n\n\
             [peers]\n\
             port = {}\n\
             ocsp_port = {}\n\n\
             [timestamping]\n\
             interval = \"{STAMP_EVERY}\"\n",
            ports.servers,
            ports.ocsp,
            ports.health,
            ports.servers,
            ports.ocsp,
            owner = self.owner,
            server = self.server,
            sites = if self.owner == "M1" {
                String::new()
            } else {
                format!("sites = \"{ip}:{}\"\n", ports.sites)
            },
            anchor = shown(&anchor),
        );
        let server = if self.owner == "M1" {
            "version = 1\n\n[[client]]\nid = \"DEV/GOV/M1/TAX\"\nconnection = \"http\"\n".to_owned()
        } else {
            format!(
                "version = 1\n\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n\n\
                 [client.copy]\nstaleness = {{ probe = \"http://{register}/staleness\" }}\n\n\
                 [[client.service]]\ncode = \"land\"\nkind = \"rest\"\nurl = \"http://{register}/land\"\n\
                 allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n\n\
                 [[client]]\nid = \"DEV/GOV/M2/POPULATION\"\nconnection = \"http\"\n\n\
                 [[client.service]]\ncode = \"personData\"\nversion = \"v1\"\nkind = \"soap\"\nurl = \"http://{register}/person\"\n\
                 allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n",
                register = self.register
            )
        };
        for (name, text) in [("gateway.toml", gateway), ("server.toml", server)] {
            let file = self.dir.join(name);
            std::fs::write(&file, text).map_err(|e| disk("writing", &file, &e))?;
        }
        Ok(())
    }
}

/// Makes the instance: with the keys that were asked for, or P-256 where this processor makes no RSA keys.
fn make(dir: &Path, ports: Ports, keys: KeySpec) -> Result<Federation, Failure> {
    let key = keys.or_what_is_possible();
    let trust = format!("http://{TRUST}:{}", ports.trust);
    let addresses = [TAX, HOME, EMBASSY].map(|ip| ip.to_string());
    let [tax, home, embassy] = addresses.each_ref().map(String::as_str);
    let relays = [HOME, EMBASSY].map(|ip| SocketAddr::new(ip, ports.sites).to_string());
    let operator = OperatorKey::make(&dir.join(OPERATOR_KEY))
        .map_err(|error| Failure::new(Exit::Disk, format!("making the operator's key: {error}")))?;
    let public = STANDARD.encode(operator.public());
    let mut plan = Plan::two_boards(&trust, key, [tax, home, embassy])
        .with_sites(relays.each_ref().map(String::as_str), &[("operator", &public)]);
    for board in plan.members.iter_mut().filter(|member| member.code == "M2") {
        board.subsystems.push("POPULATION".to_owned());
    }
    Federation::create(dir, &plan, crate::clock::Clock::system().now()).map_err(|e| {
        let why = crate::net::message::chain(&e);
        Failure::new(Exit::Disk, format!("making the demo's instance in {}: {why}", dir.display()))
            .hint("is there room on the disk? Name another directory with --dir")
    })
}

/// Ports that are free on all addresses of the state.
fn free_ports() -> Result<Ports, Failure> {
    let mut last = None;
    for shift in PORT_SHIFTS {
        let ports = Ports::shifted(shift);
        match taken(ports) {
            None => return Ok(ports),
            Some((address, error)) if error.kind() == ErrorKind::AddrNotAvailable => {
                let text = format!("this machine has no address {}: {error}", address.ip());
                let hint = format!(
                    "ip addr add {}/8 dev lo   (macOS: ifconfig lo0 alias {})",
                    address.ip(),
                    address.ip()
                );
                return Err(Failure::new(Exit::Unavailable, text).hint(hint));
            }
            Some(found) => last = Some(found),
        }
    }
    let text = last.map_or_else(String::new, |(address, error)| format!("; last tried {address}: {error}"));
    Err(Failure::new(Exit::Unavailable, format!("no free ports for the demo{text}"))
        .hint("stop another demo"))
}

/// The first address of the state that cannot be listened on.
fn taken(ports: Ports) -> Option<(SocketAddr, std::io::Error)> {
    let at_sites = [HOME, EMBASSY].into_iter().flat_map(|ip| {
        [ports.servers, ports.ocsp, ports.health, ports.register, ports.sites]
            .map(|port| SocketAddr::new(ip, port))
    });
    let at_tax =
        [ports.clients, ports.servers, ports.ocsp, ports.health].map(|port| SocketAddr::new(TAX, port));
    let all = at_sites.chain(at_tax).chain([SocketAddr::new(TRUST, ports.trust)]);
    all.into_iter().find_map(|address| TcpListener::bind(address).err().map(|error| (address, error)))
}

/// A path as one would type it from here.
fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).map_or_else(|_| path.to_owned(), Path::to_owned)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn disk(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::new(Exit::Disk, format!("{doing} {}: {error}", path.display()));
    match error.kind() {
        ErrorKind::StorageFull => {
            failure.hint("the disk is full: make room, or name another directory with --dir")
        }
        _ => failure.hint("name a directory you may write to with --dir"),
    }
}
