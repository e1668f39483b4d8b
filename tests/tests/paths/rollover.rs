//! Keys and certificates renewed while calls run: none fails, and nothing is started anew.

use crate::Pair;
use saatkond::jobs::Job;
use saatkond::keys::Usage;
use saatkond::keys::pin::PinSource;
use saatkond::keys::token::Token;
use saatkond::net::tls;
use saatkond_ca::ca::{Authority, Order};
use saatkond_ca::index::Purpose;
use saatkond_ca::key::KeySpec;
use saatkond_ca::naming::{Details, Subject};
use saatkond_ca::pem;
use saatkond_ca::request::Request;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::profile::Profile;
use saatkond_tests::federation::{For, Holder, RENEWAL, VALIDITY};
use saatkond_tests::site::ASKING;
use saatkond_tests::{Answer, Ask, Caller, Federation, Site};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// Callers that ask one after the other until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(clients: SocketAddr) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let callers = (0..4).map(|_| tokio::spawn(ask(clients, Arc::clone(&stop), Arc::clone(&answered))));
        let callers = callers.collect();
        Self { stop, answered, callers }
    }

    /// Waits until further calls were answered, those of before among them.
    async fn goes_on(&self) {
        let before = self.answered.load(Ordering::SeqCst);
        while self.answered.load(Ordering::SeqCst) < before + 12
            && !self.callers.iter().any(JoinHandle::is_finished)
        {
            tokio::task::yield_now().await;
        }
    }

    /// How many were answered; what those that failed were told.
    async fn ends(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let mut failed = Vec::new();
        for caller in self.callers {
            failed.extend(caller.await.unwrap());
        }
        (self.answered.load(Ordering::SeqCst), failed)
    }
}

async fn ask(clients: SocketAddr, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Vec<String> {
    let mut caller = Caller::connect(clients).await;
    let mut failed = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let heard = caller.ask(&Ask::get("land")).await;
        if heard.status() == 200 {
            answered.fetch_add(1, Ordering::SeqCst);
        } else {
            failed.push(format!("{} {}", heard.status(), heard.text()));
        }
    }
    failed
}

/// Makes a key at a gateway, has the authority certify it, and lets it be used: what an operator does with `saatkond keys`.
fn renew(federation: &Federation, site: &Site, usage: Usage) -> (String, Arc<Certificate>) {
    let purpose = if usage == Usage::Auth { Purpose::Auth } else { Purpose::Sign };
    let mut token = Token::change(&site.directory().join("keys"), &PinSource::none()).unwrap();
    let name = token.generate(None, usage, KeySpec::P384).unwrap().name;
    let subject = subject_of(site, usage);
    let request = Request::read(&token.request(&name, &subject, &[]).unwrap()).unwrap();
    let trust = federation.directory().join("trust/ca");
    let mut authority = Authority::open(&trust).unwrap();
    let order = Order {
        purpose,
        spki: request.spki().to_vec(),
        subject: request.subject().clone(),
        names: Vec::new(),
        member: None,
        lasts: None,
    };
    let issued = authority.issue(&order, federation.now()).unwrap();
    token.import(&name, &[Arc::clone(&issued)]).unwrap();
    token.activate(&name).unwrap();
    (name, issued)
}

fn subject_of(site: &Site, usage: Usage) -> Subject {
    let server = &site.gateway.conf.server;
    let details = Details {
        organization: Some("Of a test".to_owned()),
        dns: Some("gateway.example".to_owned()),
        country: None,
    };
    let profile = Profile::FiVrk;
    match usage {
        Usage::Auth => Subject::of_server(profile, server, &details).unwrap(),
        Usage::Sign | Usage::InternalTls => {
            Subject::of_member(profile, &server.owner, server, &details).unwrap()
        }
    }
}

fn retire(federation: &Federation, site: &Site, name: &str) {
    let mut token = Token::change(&site.directory().join("keys"), &PinSource::none()).unwrap();
    token.retire(name, federation.now()).unwrap();
}

/// The certificates with which a gateway authenticates and signs now.
fn in_use(site: &Site) -> [String; 2] {
    let (world, now) = (site.gateway.world(), site.gateway.now());
    let auth = world.auth(now).unwrap().certificate.serial_text();
    let signer = world.signer(&site.gateway.conf.server.owner, now).unwrap();
    [auth, signer.material.certificate.serial_text()]
}

fn of(holders: [&Certificate; 2]) -> [String; 2] {
    holders.map(Certificate::serial_text)
}

async fn everybody(pair: &Pair, job: Job) {
    pair.tax.run(job).await;
    pair.home.run(job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_both_gateways_are_renewed_under_load_and_no_call_fails() {
    let pair = Pair::answering(|_: &_| Answer::json("{}")).await;
    let Pair { tax, home, federation, .. } = &pair;
    let load = Load::on(tax.clients);
    load.goes_on().await;
    let sites = [(tax, "TAX"), (home, "HOME")];
    let old: Vec<[Holder; 2]> =
        sites.iter().map(|(_, code)| [federation.auth(code), federation.sign(code)]).collect();
    let mut new = Vec::new();
    for (site, code) in sites {
        let (auth, auth_certificate) = renew(federation, site, Usage::Auth);
        let (sign, sign_certificate) = renew(federation, site, Usage::Sign);
        assert_eq!((auth.as_str(), sign.as_str()), ("auth-2", "sign-2"));
        site.run(Job::Keys).await;
        site.run(Job::Ocsp).await;
        let pem = pem::encode(pem::CERTIFICATE, auth_certificate.der());
        federation.change_server(code, |server| server.certificates.push(pem));
        new.push([auth_certificate, sign_certificate]);
        load.goes_on().await;
    }
    // The sign keys are in use at once; the authentication keys once nobody can hold a configuration without them.
    for ((site, _), (old, new)) in sites.iter().zip(old.iter().zip(&new)) {
        assert_eq!(in_use(site), of([&old[0].certificate, &new[1]]));
    }
    let mut waited = std::time::Duration::ZERO;
    while waited <= VALIDITY + RENEWAL {
        everybody(&pair, Job::GlobalConf).await;
        load.goes_on().await;
        federation.clock.advance(RENEWAL);
        waited += RENEWAL;
    }
    everybody(&pair, Job::GlobalConf).await;
    for ((site, code), new) in sites.iter().zip(&new) {
        assert_eq!(in_use(site), of([&new[0], &new[1]]), "{code}");
        retire(federation, site, "auth");
        retire(federation, site, "sign");
        site.run(Job::Keys).await;
        load.goes_on().await;
        assert_eq!(site.gateway.keys.certificates().len(), 2, "{code}");
    }
    for ((_, code), new) in sites.iter().zip(&new) {
        federation.register(code, &new[0]);
        everybody(&pair, Job::GlobalConf).await;
        load.goes_on().await;
    }
    let (answered, failed) = load.ends().await;
    assert!(failed.is_empty(), "{} of {answered} failed, the first: {}", failed.len(), failed[0]);
    assert!(answered > 150, "{answered}");
}

#[tokio::test]
async fn a_bad_key_directory_is_refused_with_its_reason_and_calls_go_on() {
    let pair = Pair::answering(|_: &_| Answer::json("{}")).await;
    let Pair { tax, .. } = &pair;
    let index = tax.directory().join("keys/keys.toml");
    let good = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, good.replace("sign.key.pem", "no.key.pem").replace("\"sign\"\n", "\"none\"\n"))
        .unwrap();
    tax.run(Job::Keys).await;
    let error = |site: &Site| {
        let (_, status) = site.jobs.statuses().into_iter().find(|(job, _)| *job == Job::Keys).unwrap();
        (status.failures, status.last_error.map(|(_, text)| text).unwrap_or_default())
    };
    let (failures, why) = error(tax);
    assert!(failures == 1 && why.ends_with("; the earlier keys stay in use"), "{failures} {why}");
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    std::fs::write(&index, good).unwrap();
    tax.run(Job::Keys).await;
    assert_eq!(error(tax).0, 0);
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
}

/// What a gateway shows to information systems on a new connection.
async fn shown_inside(site: &Site) -> Vec<u8> {
    let name = tls::server_name("127.0.0.1").unwrap();
    let tcp = TcpStream::connect(site.clients_tls).await.unwrap();
    let stream = TlsConnector::from(tls::to_services(None)).connect(name, tcp).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn information_systems_meet_the_renewed_key_on_the_next_connection() {
    let federation = Federation::new().await;
    let tax = federation.open("TAX", ASKING).await;
    assert_eq!(shown_inside(&tax).await, tax.internal.certificate.der());
    let renewed = Holder::self_signed(For::Tls, |_| ());
    renewed.write(&tax.directory().join("keys"), "internal");
    tax.run(Job::Keys).await;
    assert_eq!(shown_inside(&tax).await, renewed.certificate.der());
    // The port for information systems needs a key: without one the earlier stays.
    let index = tax.directory().join("keys/keys.toml");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, text.replace("\"internal-tls\"", "\"internal-tls\"\nactive = false")).unwrap();
    tax.run(Job::Keys).await;
    assert_eq!(shown_inside(&tax).await, renewed.certificate.der());
}
