//! A real gateway of a federation: its doors open, its jobs run by the test.

use crate::caller::{Ask, Caller, Heard};
use crate::federation::{Federation, For, Holder};
use crate::patiently;
use saatkond::Gateway;
use saatkond::conf::Conf;
use saatkond::jobs::{self, Job, Jobs};
use saatkond::messagelog::LogReader;
use saatkond::messagelog::reader::Found;
use saatkond::net::Doors;
use saatkond::net::listen::{Listener, Stopper, stop};
use saatkond::world::World;
use saatkond_proto::globalconf::{GlobalConf, Instance, SharedParams, layout};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A gateway that serves.
pub struct Site {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// What it does unasked, when the test says so.
    pub jobs: Jobs,
    /// Where information systems ask over HTTP.
    pub clients: SocketAddr,
    /// Where information systems ask over HTTPS.
    pub clients_tls: SocketAddr,
    /// What it shows to information systems.
    pub internal: Holder,
    directory: PathBuf,
    stopper: Stopper,
    serving: JoinHandle<()>,
}

/// `server.toml` of a gateway whose only client asks.
pub const ASKING: &str = "version = 1\n[[client]]\nid = \"DEV/GOV/M1/TAX\"\nconnection = \"http\"\n";

/// `server.toml` of a gateway whose service `land` answers at `url` to the Tax Board.
#[must_use]
pub fn answering(url: &str) -> String {
    format!(
        "version = 1\n[[client]]\nid = \"DEV/GOV/M2/LAND\"\nconnection = \"http\"\n\
         [[client.service]]\ncode = \"land\"\nurl = \"{url}\"\ntimeout = \"10 s\"\n\
         allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n"
    )
}

impl Federation {
    /// Opens the gateway of a server. Configuration and OCSP responses are fetched.
    pub async fn open(&self, code: &str, server_toml: &str) -> Site {
        self.open_with(code, server_toml, "").await
    }

    /// Opens the gateway of a server, with further lines of `gateway.toml`.
    pub async fn open_with(&self, code: &str, server_toml: &str, more: &str) -> Site {
        let directory = self.place(code).keys.parent().unwrap().to_owned();
        std::fs::write(directory.join("server.toml"), server_toml).unwrap();
        let file = directory.join("gateway.toml");
        std::fs::write(&file, self.gateway_toml(code, more)).unwrap();
        let internal = internal(&directory.join("keys"));
        let conf = Arc::new(Conf::load(&file).unwrap());
        let opened = jobs::open(conf, self.clock.clone()).unwrap();
        let globalconf = opened.globalconf().await.unwrap();
        let gateway = Arc::new(opened.gateway(globalconf));
        let jobs = Jobs::new(Arc::clone(&gateway));
        jobs.run(Job::Ocsp).await;
        let doors = Doors::bind(&gateway.conf).await.unwrap();
        let address = |door: &Option<Listener>| door.as_ref().map(Listener::address).unwrap();
        let (clients, clients_tls) = (address(&doors.clients), address(&doors.clients_tls));
        let (stopper, stop) = stop();
        let serving = tokio::spawn(Arc::clone(&gateway).serve(doors, stop));
        Site { gateway, jobs, clients, clients_tls, internal, directory, stopper, serving }
    }

    /// Gives the gateway of a server, which is not open, this key for information systems.
    pub fn show_inside(&self, code: &str, holder: &Holder) {
        keep_internal(&self.place(code).keys, holder);
    }

    fn gateway_toml(&self, code: &str, more: &str) -> String {
        let (place, port, ocsp_port, sites_port) =
            (self.place(code), self.port, self.ocsp_port, self.sites_port);
        let (id, address) = (&place.id, &place.address);
        let mut conf: toml::Table = toml::from_str(&format!(
            "version = 1\nserver = \"{id}\"\nstate = \".\"\nanchor = \"{}\"\n\
             [listen]\nclients = \"127.0.0.1:0\"\nclients_tls = \"127.0.0.1:0\"\n\
             servers = \"{address}:{port}\"\nocsp = \"{address}:{ocsp_port}\"\n\
             sites = \"{address}:{sites_port}\"\nhealth = \"off\"\n\
             [peers]\nport = {port}\nocsp_port = {ocsp_port}\nhead_start = \"5 s\"\n\
             [[peers.doors]]\nprovider = \"DEV/GOV/M2\"\nservers = [\"DEV/GOV/M2/HOME\", \"DEV/GOV/M2/EMBASSY\"]\n\
             [timeouts]\nconnect = \"10 s\"\nidle = \"20 s\"\nanswer = \"20 s\"\n\
             fetch_connect = \"5 s\"\nfetch = \"10 s\"\ndrain = \"20 s\"\n\
             [log]\nsegment = \"1 MiB\"\n",
            self.anchor().display(),
        ))
        .unwrap();
        lay_over(&mut conf, toml::from_str(more).unwrap());
        toml::to_string(&conf).unwrap()
    }
}

/// Puts each value of `over` in the place of what is there; tables are gone into.
fn lay_over(table: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(inside)), toml::Value::Table(over)) => lay_over(inside, over),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// The key for information systems, made when it is not there yet.
fn internal(keys: &std::path::Path) -> Holder {
    if !keys.join("internal.key.pem").exists() {
        keep_internal(keys, &Holder::self_signed(For::Tls, |_| ()));
    }
    Holder::read(keys, "internal")
}

/// Puts a key for information systems beside the others.
fn keep_internal(keys: &std::path::Path, holder: &Holder) {
    holder.write(keys, "internal");
    let index = keys.join("keys.toml");
    let text = std::fs::read_to_string(&index).unwrap();
    let entry = "\n[[key]]\nname = \"internal\"\nuse = \"internal-tls\"\n";
    if !text.contains(entry) {
        std::fs::write(&index, text + entry).unwrap();
    }
}

impl Site {
    /// Asks over HTTP, on a connection of its own.
    pub async fn ask(&self, ask: &Ask) -> Heard {
        Caller::connect(self.clients).await.ask(ask).await
    }

    /// A new connection over HTTP.
    pub async fn caller(&self) -> Caller {
        Caller::connect(self.clients).await
    }

    /// Runs one job.
    pub async fn run(&self, job: Job) {
        self.jobs.run(job).await;
    }

    /// Fetches configuration and OCSP responses.
    pub async fn refresh(&self) {
        self.run(Job::GlobalConf).await;
        self.run(Job::Ocsp).await;
    }

    /// Lets it believe something else of the instance than it fetched: what our own tools would not publish.
    pub fn believe(&self, change: impl FnOnce(&mut SharedParams)) {
        self.believe_all(|instances| change(&mut instances[0].shared));
    }

    /// As [`Site::believe`], of all instances; its own is the first.
    pub fn believe_all(&self, change: impl FnOnce(&mut Vec<Instance>)) {
        let mut instances = self.instances();
        change(&mut instances);
        let (gateway, world) = (&self.gateway, self.gateway.world());
        gateway.world.swap(World::new(
            &gateway.conf.server,
            Arc::new(GlobalConf::new(gateway.conf.instance(), instances).unwrap()),
            Arc::clone(&world.server),
            Arc::clone(&world.statuses),
            &gateway.keys,
            gateway.now(),
        ));
    }

    /// What it fetched of its instance.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        let mut files = BTreeMap::new();
        let stored = self.gateway.conf.globalconf_dir();
        let own = self.gateway.conf.instance().to_owned();
        for folder in [stored.clone(), stored.join(&own)] {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_file() {
                    let name = path.strip_prefix(&stored).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        layout::load(&files).unwrap().instances
    }

    /// As [`Site::believe`], that a server shows these certificates besides its own.
    pub fn register(&self, code: &str, certificates: &[&Holder]) {
        self.believe(|shared| {
            let server = shared.servers.iter_mut().find(|server| server.id.code == code).unwrap();
            certificates.iter().for_each(|holder| server.register(holder.certificate.der()));
        });
    }

    /// Where its files lie.
    #[must_use]
    pub const fn directory(&self) -> &PathBuf {
        &self.directory
    }

    /// Writes another `server.toml`, and lets it be looked at.
    pub async fn change_server(&self, server_toml: &str) {
        std::fs::write(self.directory.join("server.toml"), server_toml).unwrap();
        self.run(Job::ServerConf).await;
    }

    /// The messages that its log holds on disk, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Found> {
        log(&self.directory)
    }

    /// Files that its spool holds.
    #[must_use]
    pub fn spooled(&self) -> usize {
        std::fs::read_dir(self.gateway.conf.spool_dir()).unwrap().count()
    }

    /// Closes its doors, lets end what is under way, gives its files back. Returns where they lie.
    pub async fn stop(self) -> PathBuf {
        let Self { gateway, jobs, directory, stopper, serving, .. } = self;
        stopper.stop();
        patiently("the gateway closed its doors", serving).await.unwrap();
        drop((jobs, gateway));
        directory
    }
}

/// The messages that a log holds on disk, oldest first.
#[must_use]
pub fn log(directory: &std::path::Path) -> Vec<Found> {
    let reader = LogReader::open(&directory.join("log")).unwrap();
    reader.numbers().filter_map(|number| reader.message(number).unwrap()).collect()
}
