//! A whole instance in a directory, for the demo and for tests: authority, services, members, keys, configuration.
//!
//! ```text
//! anchor.xml                      what gateways are given
//! anchor-external.xml             what other instances are given
//! trust/serve.toml                what `ca serve` is given
//! trust/ca/  trust/issuing/       the authority, and the one below it if there is one
//! trust/tsa/                      the time-stamping authority
//! trust/instance.toml             the instance, as `ca instance apply` takes it
//! trust/configuration/            the central server's state, and the keys that sign it
//! trust/public/                   the configuration as it was first published
//! <server>/keys/                  a server's keys and certificates, as its gateway wants them
//! ```
//!
//! Everything is the real thing, laid out as organisations lay it out; but whoever made this directory holds the keys
//! of everybody in it: it is no way to run an instance.

use crate::ca::{Authority, CaError, Order, Policy};
use crate::globalconf::{Audience, Central, Edition, Node, PublishError};
use crate::index::{Purpose, replace_file};
use crate::instance::continuity::{Continuity, WrittenOperator, WrittenRegister, WrittenSite};
use crate::key::{KeyError, KeySpec, PrivateKey};
use crate::naming::{Details, NamingError, Subject, short_name};
use crate::pem;
use crate::request::AltName;
use crate::span::Span;
use crate::store::By;
use saatkond_proto::id::{ClientId, IdError, MemberId, ServerId};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::profile::Profile;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The instance.
    pub instance: String,
    /// Where the trust services will answer, such as `http://127.0.0.1:4080`; without a path.
    pub trust_url: String,
    /// What kind of keys everybody gets; P-256 where the processor cannot make RSA keys.
    pub key: KeySpec,
    /// How certificates name members.
    pub profile: Profile,
    /// Whether certificates come from an authority below the topmost one.
    pub has_intermediate: bool,
    /// How long a signed configuration holds.
    pub validity: Span,
    /// How old an OCSP response may be.
    pub ocsp_freshness: Span,
    /// How often message logs are time-stamped.
    pub timestamping_interval: Span,
    /// The members.
    pub members: Vec<Member>,
    /// Its sites and registers, if it has any.
    pub continuity: Option<Continuity>,
}

/// A member of the instance.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its class.
    pub class: String,
    /// Its code.
    pub code: String,
    /// Its name, for people.
    pub name: String,
    /// Codes of its subsystems.
    pub subsystems: Vec<String>,
    /// Its security servers.
    pub servers: Vec<Server>,
}

/// A security server and who is registered on it: all subsystems of its owner.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its code.
    pub code: String,
    /// The host name or IP address other servers reach it by; the port is one number for the whole instance.
    pub address: String,
    /// The directory its keys go to, relative to the instance's directory, such as `home/keys`.
    pub keys: PathBuf,
}

/// An instance that was made.
#[derive(Debug, Clone)]
pub struct Federation {
    directory: PathBuf,
    places: Vec<Place>,
    key: KeySpec,
}

/// Where a server's things are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The server.
    pub id: ServerId,
    /// Where other servers reach it.
    pub address: String,
    /// The directory of its keys.
    pub keys: PathBuf,
    /// Who is registered on it.
    pub clients: Vec<ClientId>,
}

/// An instance that could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FederationError {
    /// Something is there already.
    #[error("{0} holds an instance already")]
    Exists(PathBuf),
    /// Nothing is there, or only half of it.
    #[error("{0} holds no instance that was made to its end")]
    Absent(PathBuf),
    /// A file.
    #[error("file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The description of an instance that was made.
    #[error("{path}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// The authority.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// A subject.
    #[error(transparent)]
    Naming(#[from] NamingError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The configuration.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// What was made, so that it can be opened again; written last.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    version: u32,
    key: KeySpec,
    #[serde(rename = "server")]
    servers: Vec<MadeServer>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MadeServer {
    id: String,
    address: String,
    keys: PathBuf,
    clients: Vec<String>,
}

const MADE_FILE: &str = "trust/federation.toml";

impl Plan {
    /// The instance `DEV`: the Tax Board asks from one server, the Land Board answers from two, at home and abroad.
    ///
    /// Addresses are those of the servers TAX, HOME and EMBASSY, in this order.
    #[must_use]
    pub fn two_boards(trust_url: &str, key: KeySpec, addresses: [&str; 3]) -> Self {
        let [tax, home, embassy] = addresses;
        let server = |code: &str, address: &str, keys: &str| Server {
            code: code.to_owned(),
            address: address.to_owned(),
            keys: PathBuf::from(keys),
        };
        let member = |code: &str, name: &str, subsystem: &str, servers| Member {
            class: "GOV".to_owned(),
            code: code.to_owned(),
            name: name.to_owned(),
            subsystems: vec![subsystem.to_owned()],
            servers,
        };
        let at_home = server("HOME", home, "home/keys");
        let abroad = server("EMBASSY", embassy, "embassy/keys");
        Self {
            instance: "DEV".to_owned(),
            trust_url: trust_url.to_owned(),
            key,
            profile: Profile::FiVrk,
            has_intermediate: false,
            validity: Span::minutes(10),
            ocsp_freshness: Span::minutes(60),
            timestamping_interval: Span::minutes(1),
            members: vec![
                member("M1", "Tax Board", "TAX", vec![server("TAX", tax, "tax/keys")]),
                member("M2", "Land Board", "LAND", vec![at_home, abroad]),
            ],
            continuity: None,
        }
    }

    /// The same with the sites `home` and `embassy`, and LAND as a register that either may lead.
    ///
    /// Relays are where the two sites' own listeners answer; keys are operators', base64.
    #[must_use]
    pub fn with_sites(mut self, [at_home, abroad]: [&str; 2], operators: &[(&str, &str)]) -> Self {
        let ids = || vec!["home".to_owned(), "embassy".to_owned()];
        let site = |id: &str, jurisdiction: &str, server: &str, relay: &str| WrittenSite {
            id: id.to_owned(),
            role: id.to_owned(),
            jurisdiction: jurisdiction.to_owned(),
            servers: vec![format!("{}/GOV/M2/{server}", self.instance)],
            relay: vec![relay.to_owned()],
        };
        let land = WrittenRegister {
            id: format!("{}/GOV/M2/LAND", self.instance),
            class: "INTERNAL".to_owned(),
            succession: ids(),
            live: Some(ids()),
            staleness: Span(Duration::from_secs(5)),
            staleness_max: Span::minutes(1),
            refresh: Span::minutes(0),
            read_shares: Vec::new(),
            services: Vec::new(),
        };
        let operator =
            |(name, key): &(&str, &str)| WrittenOperator { name: (*name).to_owned(), key: (*key).to_owned() };
        self.continuity = Some(Continuity {
            generation: 1,
            sites: vec![
                site("home", "territory", "HOME", at_home),
                site("embassy", "embassy-agreement:LU:2017-06-20", "EMBASSY", abroad),
            ],
            registers: vec![land],
            operators: operators.iter().map(operator).collect(),
        });
        self
    }

    /// `ADDRESS:PORT` of the trust services.
    fn host(&self) -> &str {
        let rest = self.trust_url.split_once("://").map_or(self.trust_url.as_str(), |(_, rest)| rest);
        rest.trim_end_matches('/')
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.trust_url.trim_end_matches('/'))
    }

    fn member_id(&self, member: &Member) -> MemberId {
        MemberId::new(&self.instance, &member.class, &member.code)
    }
}

impl Federation {
    /// Makes everything `plan` names in `directory`, which must not hold an instance yet. Keys take their time.
    ///
    /// # Errors
    /// [`FederationError`].
    pub fn create(directory: &Path, plan: &Plan, now: UnixTime) -> Result<Self, FederationError> {
        let trust = directory.join("trust");
        if trust.exists() {
            return Err(FederationError::Exists(directory.to_owned()));
        }
        make_directory(&trust)?;
        let spec = plan.key.or_what_is_possible();
        let mut maker = Maker::new(&trust, plan, spec, now)?;
        maker.time_stamps()?;
        let mut certificates = Vec::new();
        let mut places = Vec::new();
        for member in &plan.members {
            for server in &member.servers {
                let (place, certificate) = maker.server(directory, member, server)?;
                places.push(place);
                certificates.push(certificate);
            }
        }
        Central::create(&trust.join("configuration"), &Node::alone(), spec, now)?;
        let made = Made {
            version: 1,
            key: spec,
            servers: places
                .iter()
                .zip(plan.members.iter().flat_map(|member| &member.servers))
                .map(|(place, server)| MadeServer {
                    id: place.id.to_path(),
                    address: place.address.clone(),
                    keys: server.keys.clone(),
                    clients: place.clients.iter().map(ClientId::to_path).collect(),
                })
                .collect(),
        };
        write(&trust.join("instance.toml"), instance_file(plan, &places, &certificates)?.as_bytes())?;
        write(&trust.join("serve.toml"), serve_file(plan).as_bytes())?;
        publish(directory, now)?;
        let text = toml::to_string(&made).map_err(|e| form(&directory.join(MADE_FILE), &e))?;
        write(&directory.join(MADE_FILE), text.as_bytes())?;
        Ok(Self { directory: directory.to_owned(), places, key: spec })
    }

    /// Opens what [`Federation::create`] made.
    ///
    /// # Errors
    /// [`FederationError`].
    pub fn open(directory: &Path) -> Result<Self, FederationError> {
        let path = directory.join(MADE_FILE);
        let text =
            std::fs::read_to_string(&path).map_err(|_| FederationError::Absent(directory.to_owned()))?;
        let made: Made = toml::from_str(&text).map_err(|e| form(&path, &e))?;
        let place = |server: MadeServer| -> Result<Place, IdError> {
            Ok(Place {
                id: ServerId::from_path(&server.id)?,
                address: server.address,
                keys: directory.join(server.keys),
                clients: server.clients.iter().map(|id| ClientId::from_path(id)).collect::<Result<_, _>>()?,
            })
        };
        let places =
            made.servers.into_iter().map(place).collect::<Result<_, _>>().map_err(|e| form(&path, &e))?;
        Ok(Self { directory: directory.to_owned(), places, key: made.key })
    }

    /// Where it all is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The kind of keys that were made.
    #[must_use]
    pub const fn key(&self) -> KeySpec {
        self.key
    }

    /// The configuration anchor that gateways are given.
    #[must_use]
    pub fn anchor(&self) -> PathBuf {
        self.directory.join("anchor.xml")
    }

    /// The file for `ca serve --config` and [`crate::serve::Services::open`].
    #[must_use]
    pub fn serve_config(&self) -> PathBuf {
        self.directory.join("trust/serve.toml")
    }

    /// The directory of the authority that issued the members' certificates, for [`Authority::open`].
    #[must_use]
    pub fn issuing_authority(&self) -> PathBuf {
        let below = self.directory.join("trust/issuing");
        if below.exists() { below } else { self.directory.join("trust/ca") }
    }

    /// The instance's file, to be edited and applied with [`Federation::apply`].
    #[must_use]
    pub fn instance_file(&self) -> PathBuf {
        self.directory.join("trust/instance.toml")
    }

    /// Applies the instance's file after a change; who serves takes it over at its next renewal.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn apply(&self, now: UnixTime) -> Result<(), PublishError> {
        let central = Central::open(&self.configuration())?;
        central.apply(&self.instance_file(), &made(now)).map(drop)
    }

    /// The directory of its central server, for [`Central::open`].
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.directory.join("trust/configuration")
    }

    /// The servers, in the plan's order.
    #[must_use]
    pub fn servers(&self) -> &[Place] {
        &self.places
    }

    /// The server of this owner and code.
    #[must_use]
    pub fn server(&self, owner: &MemberId, code: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.id.owner == *owner && place.id.code == code)
    }
}

/// Makes keys and certificates with the plan's authority.
struct Maker<'a> {
    trust: &'a Path,
    plan: &'a Plan,
    spec: KeySpec,
    now: UnixTime,
    authority: Authority,
    /// Made beforehand, on all processors.
    keys: Vec<PrivateKey>,
}

impl<'a> Maker<'a> {
    fn new(trust: &'a Path, plan: &'a Plan, spec: KeySpec, now: UnixTime) -> Result<Self, FederationError> {
        let servers = plan.members.iter().map(|member| member.servers.len()).sum::<usize>();
        // for each server one to authenticate and one to sign, and the time-stamping authority's
        let keys = generate(spec, servers * 2 + 1)?;
        let mut policy = Policy::new(format!("{} Root CA", plan.instance), spec);
        short_name(plan.profile).clone_into(&mut policy.naming);
        policy.ocsp_urls = vec![plan.url("/ocsp")];
        let mut authority = Authority::create(&trust.join("ca"), policy.clone(), now)?;
        if plan.has_intermediate {
            policy.name = format!("{} Issuing CA", plan.instance);
            authority = Authority::create_below(&trust.join("issuing"), policy, &mut authority, now)?;
        }
        Ok(Self { trust, plan, spec, now, authority, keys })
    }

    fn key(&mut self) -> Result<PrivateKey, KeyError> {
        self.keys.pop().map_or_else(|| PrivateKey::generate(self.spec), Ok)
    }

    fn issue(
        &mut self,
        purpose: Purpose,
        key: &PrivateKey,
        subject: Subject,
        member: Option<MemberId>,
        names: Vec<AltName>,
    ) -> Result<Arc<Certificate>, CaError> {
        let spki = key.signing().spki().to_vec();
        self.authority.issue(&Order { purpose, spki, subject, names, member, lasts: None }, self.now)
    }

    fn time_stamps(&mut self) -> Result<(), FederationError> {
        let directory = self.trust.join("tsa");
        make_directory(&directory)?;
        let key = self.key()?;
        let subject = Subject::named(None, None, &format!("{} TSA", self.plan.instance));
        let certificate = self.issue(Purpose::Tsa, &key, subject, None, Vec::new())?;
        save(&directory, "tsa", &key, &certificate)?;
        Ok(())
    }

    fn server(
        &mut self,
        directory: &Path,
        member: &Member,
        server: &Server,
    ) -> Result<(Place, Arc<Certificate>), FederationError> {
        let owner = self.plan.member_id(member);
        let id = ServerId { owner: owner.clone(), code: server.code.clone() };
        let details = Details {
            organization: Some(member.name.clone()),
            dns: Some(server.address.clone()),
            country: None,
        };
        let keys = directory.join(&server.keys);
        make_directory(&keys)?;
        only_owner(&keys)?;

        let auth_key = self.key()?;
        let subject = Subject::of_server(self.plan.profile, &id, &details)?;
        let names = server.address.parse::<AltName>().into_iter().collect();
        let auth = self.issue(Purpose::Auth, &auth_key, subject, None, names)?;
        save(&keys, "auth", &auth_key, &auth)?;

        let sign_key = self.key()?;
        let subject = Subject::of_member(self.plan.profile, &owner, &id, &details)?;
        let sign = self.issue(Purpose::Sign, &sign_key, subject, Some(owner.clone()), Vec::new())?;
        save(&keys, "sign", &sign_key, &sign)?;

        write(&keys.join("keys.toml"), keys_file().as_bytes())?;
        let clients = member.subsystems.iter().map(|code| owner.subsystem(code)).collect();
        Ok((Place { id, address: server.address.clone(), keys, clients }, auth))
    }
}

/// Makes so many keys, on all processors.
fn generate(spec: KeySpec, count: usize) -> Result<Vec<PrivateKey>, KeyError> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..workers)
            .map(|hand| {
                let share = (hand..count).step_by(workers).count();
                scope.spawn(move || (0..share).map(|_| PrivateKey::generate(spec)).collect::<Vec<_>>())
            })
            .collect();
        let made =
            hands.into_iter().map(|hand| hand.join().unwrap_or_else(|_| vec![Err(KeyError::NotMade(spec))]));
        made.flatten().collect()
    })
}

fn publish(directory: &Path, now: UnixTime) -> Result<(), FederationError> {
    let trust = directory.join("trust");
    let central = Central::open(&trust.join("configuration"))?;
    let state = central.apply(&trust.join("instance.toml"), &made(now))?;
    let edition = Edition::new(&state, now)?;
    let publication = edition.sign(&central.signers(&state)?, now)?;
    publication.write(&edition, &trust.join("public"))?;
    write(&directory.join("anchor-external.xml"), &central.anchor(Audience::External)?)?;
    write(&directory.join("anchor.xml"), &central.anchor(Audience::Internal)?)
}

/// Who stands in the history.
const fn made(now: UnixTime) -> By<'static> {
    By { actor: "federation", at: now, why: "the instance's file was applied" }
}

fn instance_file(
    plan: &Plan,
    places: &[Place],
    certificates: &[Arc<Certificate>],
) -> Result<String, FederationError> {
    use crate::instance::v1;
    let ocsp = || vec![v1::Ocsp { url: plan.url("/ocsp"), certificate: None, cost: Some("FREE".to_owned()) }];
    let issuing = v1::Intermediate { certificate: "issuing/ca.cert.pem".to_owned(), ocsp: ocsp() };
    let first = plan.members.first();
    let provider = first.map(|member| plan.member_id(member).subsystem("MANAGEMENT").to_path());
    let management = v1::Management {
        url: plan.url("/managementservice/"),
        certificate: None,
        provider: provider.unwrap_or_default(),
    };
    let mut file = v1::File::new(&plan.instance, plan.host(), management);
    file.validity = plan.validity;
    file.renewal = Span(plan.validity.0 / 10);
    file.ocsp_freshness = plan.ocsp_freshness;
    file.timestamping_interval = plan.timestamping_interval;
    file.cas.push(v1::Ca {
        name: format!("{} CA", plan.instance),
        certificate: "ca/ca.cert.pem".to_owned(),
        profile: plan.profile.class_name().to_owned(),
        authentication_only: false,
        csr_format: None,
        ocsp: ocsp(),
        intermediates: if plan.has_intermediate { vec![issuing] } else { Vec::new() },
        acme: None,
    });
    file.tsas.push(v1::Tsa {
        name: format!("{} TSA", plan.instance),
        url: plan.url("/tsa"),
        certificate: "tsa/tsa.cert.pem".to_owned(),
        cost: Some("FREE".to_owned()),
    });
    file.continuity.clone_from(&plan.continuity);
    for member in &plan.members {
        if !file.classes.iter().any(|class| class.code == member.class) {
            let description = format!("Members of class {}", member.class);
            file.classes.push(v1::Class { code: member.class.clone(), description });
        }
        let subsystem = |code: &String| v1::Subsystem { code: code.clone(), name: None };
        file.members.push(v1::Member {
            id: plan.member_id(member).client().to_path(),
            name: member.name.clone(),
            subsystems: member.subsystems.iter().map(subsystem).collect(),
        });
    }
    for (place, certificate) in places.iter().zip(certificates) {
        file.servers.push(v1::Server {
            id: place.id.to_path(),
            address: place.address.clone(),
            certificates: vec![pem::encode(pem::CERTIFICATE, certificate.der())],
            clients: place.clients.iter().map(ClientId::to_path).collect(),
            maintenance: None,
        });
    }
    toml::to_string(&file).map_err(|e| form(Path::new("instance.toml"), &e))
}

fn serve_file(plan: &Plan) -> String {
    let authorities = if plan.has_intermediate { "\"ca\", \"issuing\"" } else { "\"ca\"" };
    format!(
        "version = 1\nlisten = \"{}\"\n\n[ocsp]\nauthorities = [{authorities}]\n\n[tsa]\n\
         certificate = \"tsa/tsa.cert.pem\"\nkey = \"tsa/tsa.key.pem\"\n\n[configuration]\n\
         directory = \"configuration\"\n",
        plan.host()
    )
}

/// The index of a server's keys, in the form of the gateway's room `keys`.
fn keys_file() -> String {
    let key = |usage: &str| {
        format!(
            "\n[[key]]\nuse = \"{usage}\"\nkey = \"{usage}.key.pem\"\ncertificate = \"{usage}.cert.pem\"\n"
        )
    };
    format!("version = 1\n{}{}", key("auth"), key("sign"))
}

fn save(
    directory: &Path,
    name: &str,
    key: &PrivateKey,
    certificate: &Certificate,
) -> Result<(), FederationError> {
    key.save(&directory.join(format!("{name}.key.pem")))?;
    let text = pem::encode(pem::CERTIFICATE, certificate.der());
    write(&directory.join(format!("{name}.cert.pem")), text.as_bytes())
}

fn make_directory(path: &Path) -> Result<(), FederationError> {
    std::fs::create_dir_all(path).map_err(|source| FederationError::File { path: path.to_owned(), source })
}

fn only_owner(path: &Path) -> Result<(), FederationError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        .map_err(|source| FederationError::File { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FederationError> {
    replace_file(path, bytes, 0o644).map_err(|source| FederationError::File { path: path.to_owned(), source })
}

fn form(path: &Path, error: &dyn std::fmt::Display) -> FederationError {
    FederationError::Form { path: path.to_owned(), reason: error.to_string() }
}
