//! One site leads a register: writes reach it by any door, are executed once, and follow it when authority passes.
//!
//! ```text
//!  Asker ══TLS══► EMBASSY ══sites══► HOME ──► register at home       the test plays a plain consumer
//!                    └──► register abroad (no write while home leads)
//! ```
//!
//! The registers of both sites write down what they were told in one book, so that a write that is lost or done twice
//! shows, whoever answered what.
//!
//! | file | what it shows |
//! |---|---|
//! | `relay` | any door: a write is passed on, and comes back as home's |
//! | `attacks` | doors that lie, calls that come again, orders that come meanwhile |
//! | `port` | a server of which no register can be served or passed on takes no connections |
//! | `switch` | authority passes, planned and unplanned; orders that are refused |

mod attacks;
mod port;
mod relay;
mod switch;

use saatkond::keys::OperatorKey;
use saatkond_proto::continuity::authority::{Claim, Switch, Token, Warrant};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::message::rest::{self, Request, Response};
use saatkond_proto::signature::{self, MESSAGE, PartDigest, Unverified, Verified};
use saatkond_proto::transport::write::Part;
use saatkond_tests::directory::Directory;
use saatkond_tests::federation::land;
use saatkond_tests::peer::Told;
use saatkond_tests::site::answering;
use saatkond_tests::{Answer, Ask, Asked, Asker, Federation, Letter, Service, Site};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What the registers were told, in order: where, and the body. Cheap to clone; clones see the same.
#[derive(Debug, Clone, Default)]
struct Book(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Book {
    /// All writes.
    fn all(&self) -> Vec<(&'static str, String)> {
        self.0.lock().unwrap().clone()
    }

    /// A register that writes down what it is told, and says where it is.
    async fn register(&self, site: &'static str) -> Service {
        let book = self.clone();
        Service::start(move |asked: &Asked| {
            if asked.method != "GET" {
                let body = String::from_utf8(asked.body.clone()).unwrap();
                book.0.lock().unwrap().push((site, body));
            }
            Answer::new("200 OK", &[("X-From", site)], "{}")
        })
        .await
    }
}

/// Home and an embassy of the Land Board, with a register each, and the one who may order changes of authority.
struct Bed {
    home: Option<Site>,
    embassy: Option<Site>,
    book: Book,
    at_home: Service,
    abroad: Service,
    anna: OperatorKey,
    federation: Federation,
    _directory: Directory,
}

/// Lines of the instance's file: what differs between tests.
#[derive(Debug, Clone)]
struct Terms {
    class: &'static str,
    jurisdiction: &'static str,
    succession: &'static str,
    /// Further entries.
    more: &'static str,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            class: "INTERNAL",
            jurisdiction: "embassy-agreement:LU:2017-06-20",
            succession: "[\"home\", \"lux1\"]",
            more: "",
        }
    }
}

/// Publishes which sites there are, and who may lead the land register.
fn publish(federation: &Federation, terms: &Terms, operator: &OperatorKey) {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode(operator.public());
    let at = |code: &str| format!("{}:{}", federation.address(code), federation.sites_port);
    let text = format!(
        "generation = 1\n\
         [[site]]\nid = \"home\"\nrole = \"home\"\njurisdiction = \"territory\"\n\
         servers = [\"DEV/GOV/M2/HOME\"]\nrelay = [\"{}\"]\n\
         [[site]]\nid = \"lux1\"\nrole = \"embassy\"\njurisdiction = \"{}\"\n\
         servers = [\"DEV/GOV/M2/EMBASSY\"]\nrelay = [\"{}\"]\n\
         [[site]]\nid = \"mis1\"\nrole = \"mission\"\njurisdiction = \"mission:FI\"\n\
         servers = [\"DEV/COM/M3/PORT\"]\n\
         [[register]]\nid = \"DEV/GOV/M2/LAND\"\nclass = \"{}\"\nsuccession = {}\n\
         staleness = \"5 s\"\nstaleness_max = \"1 min\"\n\
         [[operator]]\nname = \"anna\"\nkey = \"{key}\"\n{}",
        at("HOME"),
        terms.jurisdiction,
        at("EMBASSY"),
        terms.class,
        terms.succession,
        terms.more,
    );
    federation.change(|file| file.continuity = Some(toml::from_str(&text).unwrap()));
}

impl Bed {
    async fn new() -> Self {
        Self::of(Terms::default()).await
    }

    async fn of(terms: Terms) -> Self {
        let (federation, directory) = (Federation::new().await, Directory::new("authority"));
        let anna = OperatorKey::make(&directory.path().join("anna.key.pem")).unwrap();
        publish(&federation, &terms, &anna);
        let book = Book::default();
        let (at_home, abroad) = (book.register("home").await, book.register("lux1").await);
        let home = federation.open("HOME", &answering(&at_home.url(""))).await;
        let embassy = federation.open("EMBASSY", &answering(&abroad.url(""))).await;
        Self {
            home: Some(home),
            embassy: Some(embassy),
            book,
            at_home,
            abroad,
            anna,
            federation,
            _directory: directory,
        }
    }

    fn home(&self) -> &Site {
        self.home.as_ref().unwrap()
    }

    fn embassy(&self) -> &Site {
        self.embassy.as_ref().unwrap()
    }

    async fn close_home(&mut self) {
        self.home.take().unwrap().stop().await;
    }

    async fn open_home(&mut self) {
        self.home = Some(self.federation.open("HOME", &answering(&self.at_home.url(""))).await);
    }

    /// A plain consumer.
    fn asker(&self) -> Asker {
        Asker::of(&self.federation, "TAX")
    }

    /// A write that says `what`.
    fn write(&self, what: &str) -> Letter {
        self.asker().draft(&Ask::post("land/transfers", what)).letter()
    }

    /// Brings a letter to a door, as a plain consumer does.
    async fn bring(&self, door: &str, letter: &Letter) -> Told {
        self.asker().bring(&self.federation, door, letter).await
    }

    /// An order of anna's that gives the land register to a site.
    fn order(&self, token: u64, site: &str, switch: Switch) -> Warrant {
        let claim = Claim { register: land(), token: Token::new(token), site: site.to_owned(), switch };
        self.anna.order(claim, self.federation.now(), "anna")
    }

    /// Lets a gateway believe that its copy is of now, until the value is dropped.
    fn fresh(site: &Site) -> Fresh {
        let gateway = Arc::clone(&site.gateway);
        let note = move || gateway.embassy.ages.note(&land(), Some(Duration::ZERO), Instant::now());
        note();
        Fresh(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                note();
            }
        }))
    }

    /// Who leads, as a gateway knows it.
    fn leader(site: &Site) -> (String, u64) {
        let gateway = &site.gateway;
        let holder = gateway.embassy.holder(&gateway.world().conf, &gateway.conf.server, &land()).unwrap();
        (holder.site, holder.token.value())
    }

    /// What a plain consumer finds: an answer that the Land Board signed, to what was asked. Tells its status, and on which
    /// server's key it stands.
    fn judge(&self, letter: &Letter, told: &Told) -> Judged {
        let opened = told.opened().filter(|opened| opened.fault.is_none());
        let opened = opened.unwrap_or_else(|| panic!("no answer but {}: {:?}", told.code(), told.fault()));
        let digest = |bytes: &[u8]| DigestAlgorithm::Sha512.digest(bytes);
        let part = |name: &str, bytes: &[u8]| PartDigest {
            name: name.to_owned(),
            algorithm: DigestAlgorithm::Sha512,
            digest: digest(bytes),
        };
        let body = opened.body.iter().map(|body| part("/attachment1", body));
        let unverified = Unverified {
            parts: std::iter::once(part(MESSAGE, &opened.block)).chain(body).collect(),
            signature: opened.signature.clone(),
            hash_chain_result: opened.hash_chain_result.clone(),
            hash_chain: opened.hash_chain.clone(),
        };
        let site = self.home.as_ref().or(self.embassy.as_ref()).unwrap();
        let conf = &site.gateway.world().conf;
        let verified = signature::verify(unverified, &land(), conf, self.federation.now()).unwrap();
        let response = Response::from_block(opened.block).unwrap();
        let request = Request::from_block(letter.clone().part(Part::RestRequest).clone()).unwrap();
        let asked_body = letter.pieces.iter().find(|p| p.kind == Part::RestBody.content_type());
        let hash =
            rest::request_hash(&digest(request.block()), asked_body.map(|p| digest(&p.bytes)).as_deref());
        response.answers(&request, &hash).unwrap();
        let by = ["HOME", "EMBASSY"].into_iter().find(|code| self.signed_by(&verified, code)).unwrap();
        Judged { by, response }
    }

    fn signed_by(&self, verified: &Verified, code: &str) -> bool {
        verified.certificate().der() == self.federation.sign(code).certificate.der()
    }
}

/// Keeps a copy fresh.
struct Fresh(JoinHandle<()>);

impl Drop for Fresh {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer that holds.
#[derive(Debug)]
struct Judged {
    /// Whose key signed it.
    by: &'static str,
    response: Response,
}

impl Judged {
    fn line(&self, name: &str) -> Option<&str> {
        self.response.headers.last(name)
    }
}

/// How often each of these writes was done.
fn counts(book: &Book, writes: &[String]) -> Vec<usize> {
    let all = book.all();
    writes.iter().map(|write| all.iter().filter(|(_, body)| body == write).count()).collect()
}
