//! A server of which no register can be served or passed on takes no connections, so that consumers go elsewhere; as long
//! as one can be, the others alone are refused.

use super::*;
use saatkond::embassy::port;
use saatkond::jobs::Job;
use saatkond_ca::instance::v1::Subsystem;
use saatkond_proto::id::ClientId;
use saatkond_tests::patiently;
use saatkond_tests::stock::Stock;
use saatkond_tests::wire::Wire;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// Within what time a port of no use shuts.
const SHUT: Duration = Duration::from_secs(3);
const DEED: &str = "[[register]]\nid = \"DEV/GOV/M2/DEED\"\nclass = \"INTERNAL\"\n\
                    succession = [\"home\", \"lux1\"]\nstaleness = \"5 s\"\nstaleness_max = \"1 min\"\n";

fn deed() -> ClientId {
    "DEV/GOV/M2/DEED".parse().unwrap()
}

/// A register that can be asked how it is, and says so.
struct Copy {
    service: Service,
    is_well: Arc<AtomicBool>,
}

impl Copy {
    async fn new(site: &'static str) -> Self {
        let is_well = Arc::new(AtomicBool::new(true));
        let well = Arc::clone(&is_well);
        let service = Service::start(move |asked: &Asked| {
            let is_well = asked.target != "/health" || well.load(Ordering::SeqCst);
            Answer::new(if is_well { "200 OK" } else { "503 No" }, &[("X-From", site)], "{}")
        });
        Self { service: service.await, is_well }
    }

    fn is_well(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::SeqCst);
    }

    fn url(&self) -> String {
        self.service.url("")
    }

    /// What it was asked by calls.
    fn calls(&self) -> usize {
        self.service.asked.all().iter().filter(|asked| asked.target != "/health").count()
    }
}

/// `server.toml` of a gateway with both registers, which are asked how they are.
fn both(land: &str, deed: &str) -> String {
    let land = answering(land);
    let second =
        answering(deed).replace("version = 1\n", "").replace("LAND", "DEED").replace("\"land\"", "\"deed\"");
    format!("{land}{second}").replace("timeout =", "probe = \"/health\"\ntimeout =")
}

/// The Land Board with two registers at both sites.
async fn federation() -> (Federation, Directory) {
    let (federation, directory) = (Federation::new().await, Directory::new("port"));
    federation.change(|file| {
        let board = file.members.iter_mut().find(|member| member.id == "DEV/GOV/M2").unwrap();
        board.subsystems.push(Subsystem { code: "DEED".to_owned(), name: None });
        for server in file.servers.iter_mut().filter(|server| server.id.starts_with("DEV/GOV/M2")) {
            server.clients.push("DEV/GOV/M2/DEED".to_owned());
        }
    });
    let anna = OperatorKey::make(&directory.path().join("anna.key.pem")).unwrap();
    publish(&federation, &Terms { more: DEED, ..Terms::default() }, &anna);
    (federation, directory)
}

/// Lets a gateway look at its registers and at other sites, and its copies be of now, until the value is dropped.
fn looks(site: &Site) -> Fresh {
    let (gateway, jobs) = (Arc::clone(&site.gateway), site.jobs.clone());
    Fresh(tokio::spawn(async move {
        loop {
            for register in [land(), deed()] {
                gateway.embassy.ages.note(&register, Some(Duration::ZERO), Instant::now());
            }
            jobs.run(Job::Registers).await;
            jobs.run(Job::Sites).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }))
}

fn place(federation: &Federation, code: &str) -> SocketAddr {
    SocketAddr::from((federation.address(code), federation.port))
}

/// Waits until a server's port takes connections, or takes none.
async fn until(federation: &Federation, code: &str, is_open: bool) {
    patiently(if is_open { "the port opened" } else { "the port shut" }, async {
        while TcpStream::connect(place(federation, code)).await.is_ok() != is_open {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

fn read(code: &str) -> Ask {
    Ask::get(code).target(&format!("/r1/DEV/GOV/M2/{}/{code}", code.to_uppercase()))
}

#[tokio::test]
async fn a_register_that_is_dead_is_refused_alone() {
    let (federation, _directory) = federation().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let alive = Copy::new("home").await;
    let toml = both(&format!("http://{nobody}"), &alive.url()).replacen("probe = \"/health\"\n", "", 1);
    let home = federation.open("HOME", &toml).await;
    let _looks = looks(&home);
    let asker = Asker::of(&federation, "TAX");
    let told = asker.ask(&federation, "HOME", &read("land")).await;
    assert_eq!(told.code(), "network_error", "{:?}", told.fault());
    let registers = &home.gateway.embassy.registers;
    patiently("it was found dead", async {
        while registers.is_silent(&land()).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    for ask in [read("land"), Ask::post("land", "{}")] {
        let told = asker.ask(&federation, "HOME", &ask).await;
        let why = told.fault().unwrap().string;
        assert_eq!(told.code(), "network_error");
        assert!(why.contains("register DEV/GOV/M2/LAND does not answer"), "{why}");
    }
    // Longer than a port of no use would stay open.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(1) {
        assert_eq!(asker.ask(&federation, "HOME", &read("deed")).await.code(), "");
    }
    assert!(home.gateway.embassy.port.is_open() && registers.is_silent(&land()).is_some());
}

#[tokio::test]
async fn a_server_of_which_no_register_answers_takes_no_connections_until_one_does() {
    let (federation, _directory) = federation().await;
    let (first, second) = (Copy::new("lux1").await, Copy::new("lux1").await);
    let embassy = federation.open("EMBASSY", &both(&first.url(), &second.url())).await;
    let _looks = looks(&embassy);
    let asker = Asker::of(&federation, "TAX");
    assert_eq!(asker.ask(&federation, "EMBASSY", &read("land")).await.code(), "");
    let mut kept = asker.connect(&federation, "EMBASSY").await.unwrap();
    first.is_well(false);
    patiently("it was found dead", async {
        while embassy.gateway.embassy.registers.is_up(&land()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // Home is gone: there is no other copy of this one, and one of the other.
    assert_eq!(
        asker.ask(&federation, "EMBASSY", &read("land")).await.code(),
        "continuity.staleness_exceeded"
    );
    assert_eq!(asker.ask(&federation, "EMBASSY", &read("deed")).await.code(), "");
    assert_eq!((first.calls(), second.calls()), (1, 1), "a copy that says it is not well is not asked");
    let struck = Instant::now();
    second.is_well(false);
    until(&federation, "EMBASSY", false).await;
    let took = struck.elapsed();
    assert!(took < SHUT, "{took:?}");
    patiently("who was connected is let go", kept.has_ended()).await;
    // What certificates are worth is told all the same.
    let ocsp = SocketAddr::from((federation.address("EMBASSY"), federation.ocsp_port));
    let mut wire = Wire::new(TcpStream::connect(ocsp).await.unwrap());
    wire.say(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(wire.head().await.unwrap().unwrap().first.contains("200"));
    first.is_well(true);
    until(&federation, "EMBASSY", true).await;
    assert_eq!(asker.ask(&federation, "EMBASSY", &read("land")).await.code(), "");
    assert_eq!(
        asker.ask(&federation, "EMBASSY", &read("deed")).await.code(),
        "continuity.staleness_exceeded"
    );
}

#[tokio::test]
async fn a_server_that_can_pass_calls_on_takes_them_whatever_its_copies_do() {
    let (federation, _directory) = federation().await;
    let (at_home, abroad) = (Copy::new("home").await, Copy::new("lux1").await);
    let open_home = async || federation.open("HOME", &both(&at_home.url(), &at_home.url())).await;
    let home = open_home().await;
    let embassy = federation.open("EMBASSY", &both(&abroad.url(), &abroad.url())).await;
    abroad.is_well(false);
    let _looks = looks(&embassy);
    patiently("it was found dead", async {
        while embassy.gateway.embassy.registers.is_up(&land()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let asker = Asker::of(&federation, "TAX");
    for ask in [read("land"), Ask::post("land", "{}")] {
        assert_eq!(asker.ask(&federation, "EMBASSY", &ask).await.code(), "", "{ask:?}");
    }
    assert!(port::is_of_use(&embassy.gateway, &embassy.gateway.world()));
    assert_eq!((at_home.calls(), abroad.calls()), (2, 0), "home answered");
    let struck = Instant::now();
    home.stop().await;
    until(&federation, "EMBASSY", false).await;
    assert!(struck.elapsed() < SHUT, "{:?}", struck.elapsed());
    let _home = open_home().await;
    until(&federation, "EMBASSY", true).await;
    assert_eq!(asker.ask(&federation, "EMBASSY", &Ask::post("land", "{}")).await.code(), "");
    assert_eq!((at_home.calls(), abroad.calls()), (3, 0));
}

/// Home leads and its registers are dead: it can pass nothing on, and an unmodified consumer that stays with it must go.
#[tokio::test]
async fn a_stock_consumer_leaves_a_server_of_no_use_within_three_seconds() {
    let (federation, _directory) = federation().await;
    let (at_home, abroad) = (Copy::new("home").await, Copy::new("lux1").await);
    let home = federation.open("HOME", &both(&at_home.url(), &at_home.url())).await;
    let consumer = Stock::of(&federation, "TAX");
    let ask = async || consumer.ask(&federation, &["HOME", "EMBASSY"], &read("land")).await.unwrap();
    let _at_home = looks(&home);
    assert_eq!(ask().await.0, "HOME", "the only one that is there");
    let embassy = federation.open("EMBASSY", &both(&abroad.url(), &abroad.url())).await;
    let _abroad = looks(&embassy);
    assert_eq!(ask().await.0, "HOME", "it stays with the first");
    at_home.is_well(false);
    let struck = Instant::now();
    until(&federation, "HOME", false).await;
    let (door, told) = ask().await;
    assert_eq!((door.as_str(), told.code().as_str()), ("EMBASSY", ""));
    assert!(struck.elapsed() < SHUT, "{:?}", struck.elapsed());
    assert_eq!(abroad.calls(), 1);
}
