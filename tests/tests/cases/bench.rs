//! The instance `EE` of X-Road's cases, and who plays what in it.
//!
//! ```text
//! EE   BUSINESS/consumer  subsys1   on CONSUMER
//!      BUSINESS/producer  subsys2   on PRODUCER
//! ```

use rcgen::CertificateParams;
use saatkond_ca::federation::{Member, Plan};
use saatkond_tests::{Answer, Asked, Door, Federation, For, Holder, Play, Service, Site};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The consumer's gateway, and how it comes by the one it asks.
pub(crate) struct Bench {
    /// The instance.
    pub(crate) federation: Federation,
    /// The consumer's gateway.
    pub(crate) consumer: Site,
    /// The provider's.
    pub(crate) producer: Site,
    /// The service over HTTP.
    pub(crate) service: Service,
    /// The service over HTTPS.
    pub(crate) service_tls: Service,
    /// Certificates of information systems: one that is good, and one that has expired.
    pub(crate) callers: [Holder; 2],
    /// The consumer's gateway of another such instance, where the test plays the provider's.
    pub(crate) apart: Apart,
    /// What the service answers.
    script: Script,
}

/// The consumer's gateway, and the provider's, which the test plays.
pub(crate) struct Apart {
    /// The consumer's gateway.
    pub(crate) consumer: Site,
    /// The provider's.
    pub(crate) door: Door,
    _federation: Federation,
}

/// What a service answers next.
type Script = Arc<Mutex<Answer>>;

/// The instance, with nobody in it yet.
pub(crate) async fn instance() -> Federation {
    Federation::of(|plan: &mut Plan| {
        plan.instance = "EE".to_owned();
        let member = |code: &str, subsystem: &str, of: &Member, server: &str| {
            let mut servers = vec![of.servers[0].clone()];
            servers[0].code = server.to_owned();
            servers[0].keys = PathBuf::from(server.to_lowercase()).join("keys");
            Member {
                class: "BUSINESS".to_owned(),
                code: code.to_owned(),
                name: code.to_owned(),
                subsystems: vec![subsystem.to_owned()],
                servers,
            }
        };
        plan.members = vec![
            member("consumer", "subsys1", &plan.members[0], "CONSUMER"),
            member("producer", "subsys2", &plan.members[1], "PRODUCER"),
        ];
    })
    .await
}

/// Opens the consumer's gateway; nothing is known of doors that are preferred.
pub(crate) async fn consumer(federation: &Federation) -> Site {
    federation.open_with("CONSUMER", &asking("http", ""), MORE).await
}

/// No doors are preferred; a big attachment may be kept.
const MORE: &str = "[peers]\ndoors = []\n[log]\nbody_max = \"1 GiB\"\n";

/// `server.toml` of the consumer's gateway.
pub(crate) fn asking(connection: &str, more: &str) -> String {
    let client = |id: &str| format!("[[client]]\nid = \"EE/{id}\"\nconnection = \"{connection}\"\n{more}");
    format!("version = 1\n{}{}", client("BUSINESS/consumer"), client("BUSINESS/consumer/subsys1"))
}

/// `server.toml` of the provider's gateway, whose services answer at `url`; lines of its clients and of its services.
pub(crate) fn answering(url: &str, of_clients: &str, of_services: &str) -> String {
    let service = |code: &str| {
        format!(
            "[[client.service]]\ncode = \"{code}\"\nkind = \"soap\"\nurl = \"{url}/{code}\"\n{of_services}"
        )
    };
    let services: String = ["getState", "test", "testQuery", "generateMtom"].map(service).concat();
    let client =
        |id: &str| format!("[[client]]\nid = \"EE/{id}\"\nconnection = \"http\"\n{of_clients}{services}");
    format!("version = 1\n{}{}", client("BUSINESS/producer"), client("BUSINESS/producer/subsys2"))
}

/// That anybody of the cases may call a service.
pub(crate) const ALLOWED: &str =
    "allow = [{ client = \"EE/BUSINESS/consumer\" }, { client = \"EE/BUSINESS/consumer/subsys1\" }]\n";

/// A host name that no resolver is asked for: its label is longer than any may be.
pub(crate) fn nowhere() -> String {
    format!("{}.invalid", "n".repeat(64))
}

impl Bench {
    /// Opens both gateways and the services.
    pub(crate) async fn new() -> Self {
        let script: Script = Arc::new(Mutex::new(Answer::json("")));
        let answer = |script: &Script| {
            let script = Arc::clone(script);
            move |_: &Asked| script.lock().unwrap().clone()
        };
        let shows = Holder::self_signed(For::Tls, |_| ());
        let service = Service::start(answer(&script)).await;
        let service_tls = Service::start_tls(&shows, answer(&script)).await;
        let federation = instance().await;
        let server_toml = answering(&service.url(""), "", ALLOWED);
        let producer = federation.open_with("PRODUCER", &server_toml, MORE).await;
        let consumer = consumer(&federation).await;
        let expired = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2025, 6, 1);
        let callers = [Holder::self_signed(For::Tls, |_| ()), Holder::self_signed(For::Tls, expired)];
        for (holder, name) in callers.iter().zip(["caller.pem", "expired.pem"]) {
            std::fs::write(consumer.directory().join(name), holder.pem()).unwrap();
        }
        std::fs::write(producer.directory().join("service.pem"), shows.pem()).unwrap();
        std::fs::write(producer.directory().join("other.pem"), callers[0].pem()).unwrap();
        let of_door = instance().await;
        let door = Door::open(&of_door, "PRODUCER", |_| Play::Silence).await;
        let apart = Apart { consumer: self::consumer(&of_door).await, door, _federation: of_door };
        Self { federation, consumer, producer, service, service_tls, callers, apart, script }
    }

    /// Lets the service answer so.
    pub(crate) fn answers(&self, answer: Answer) {
        *self.script.lock().unwrap() = answer;
    }

    /// How often the service was asked, over HTTP and over HTTPS.
    pub(crate) fn times_asked(&self) -> [usize; 2] {
        [self.service.asked.len(), self.service_tls.asked.len()]
    }

    /// What the service was asked once since it had been asked so often.
    pub(crate) fn asked_since(&self, before: [usize; 2]) -> Option<Arc<Asked>> {
        let all = [self.service.asked.all(), self.service_tls.asked.all()];
        let new: Vec<_> = all.iter().zip(before).flat_map(|(all, before)| &all[before..]).collect();
        assert!(new.len() <= 1, "a service was asked more than once");
        new.first().map(|asked| Arc::clone(asked))
    }

    /// Puts everything back as it was.
    pub(crate) async fn restore(&self) {
        self.consumer.change_server(&asking("http", "")).await;
        self.producer.change_server(&answering(&self.service.url(""), "", ALLOWED)).await;
        self.consumer.believe(|_| ());
    }
}
