//! Tests of the room, and the small instance they are made with.

mod directory;
mod disk;
mod params;
mod picture;
mod vectors;

use super::{
    Acme, Anchor, AnchorSource, Authority, CertificationService, Content, CostType, CsrFormat, Draft,
    GlobalGroup, ManagementService, Member, MemberClass, Options, Part, PrivateParams, Responder,
    SecurityServer, SharedParams, Source, Subsystem, TimestampingService,
};
use crate::id::{ClientId, MemberId, ServerId};
use crate::time::UnixTime;
use crate::trust::profile::Profile;
use crate::trust::testing::{self, Party};
use std::sync::OnceLock;
use std::time::Duration;

/// When the tests play.
fn now() -> UnixTime {
    testing::now()
}

fn member(code: &str) -> MemberId {
    MemberId::new("ZZ", "GOV", code)
}

fn client(path: &str) -> ClientId {
    ClientId::from_path(path).unwrap()
}

/// What signs the directories of these tests.
fn signer(name: &str) -> Party {
    testing::Draft::new(name).self_signed()
}

/// An instance with something of everything, in the newest version; the same each time.
fn shared() -> SharedParams {
    static ONCE: OnceLock<SharedParams> = OnceLock::new();
    ONCE.get_or_init(new_shared).clone()
}

fn new_shared() -> SharedParams {
    let ca = testing::Draft::ca("CA").self_signed();
    let lower = testing::Draft::ca("Lower CA").issued_by(&ca);
    let responder = testing::Draft::responder("OCSP").issued_by(&ca);
    let tsa = testing::Draft::new("TSA").issued_by(&ca);
    let mut server = SecurityServer {
        id: ServerId { owner: member("M1"), code: "SS1".to_owned() },
        address: "ss1.example".to_owned(),
        auth_cert_hashes: Vec::new(),
        clients: vec![member("M1").subsystem("A"), member("M2").client(), member("M2").subsystem("B & <C>")],
        maintenance: Some("back at noon".to_owned()),
    };
    server.register(b"certificate of SS1");
    SharedParams {
        members: members(),
        version: 6,
        instance: "ZZ".to_owned(),
        sources: vec![Source {
            address: "cs.example".to_owned(),
            internal: vec![vec![1, 2, 3], vec![4]],
            external: vec![vec![5]],
        }],
        cas: vec![CertificationService {
            name: "CA \"one\"".to_owned(),
            authentication_only: true,
            top: Authority {
                certificate: ca.certificate.der().to_vec(),
                ocsp: vec![Responder {
                    url: "http://ocsp.example".to_owned(),
                    certificate: Some(responder.certificate.der().to_vec()),
                    cost: Some(CostType::Free),
                }],
            },
            intermediates: vec![Authority {
                certificate: lower.certificate.der().to_vec(),
                ocsp: Vec::new(),
            }],
            profile: Profile::Basic.class_name().to_owned(),
            csr_format: Some(CsrFormat::Der),
            acme: Some(Acme {
                directory_url: "https://acme.example".to_owned(),
                ip_address: Some("192.0.2.1".to_owned()),
                authentication_profile: Some("auth".to_owned()),
                signing_profile: Some("sign".to_owned()),
            }),
        }],
        tsas: vec![TimestampingService {
            name: "TSA".to_owned(),
            url: "http://tsa.example".to_owned(),
            certificate: tsa.certificate.der().to_vec(),
            cost: Some(CostType::Undefined),
        }],
        servers: vec![
            server,
            SecurityServer {
                id: ServerId { owner: member("M2"), code: "SS2".to_owned() },
                address: String::new(),
                auth_cert_hashes: Vec::new(),
                clients: vec![member("M1").subsystem("A")],
                maintenance: None,
            },
        ],
        groups: vec![GlobalGroup {
            code: "group".to_owned(),
            description: "a group".to_owned(),
            members: vec![member("M1").client(), member("M9").subsystem("GONE")],
        }],
        member_classes: vec![MemberClass { code: "GOV".to_owned(), description: "Government".to_owned() }],
        ocsp_freshness: Duration::from_secs(1800),
    }
}

fn members() -> Vec<Member> {
    vec![
        Member {
            id: member("M1"),
            name: "Member\u{a0}one".to_owned(),
            subsystems: vec![Subsystem { code: "A".to_owned(), name: Some("Subsystem A".to_owned()) }],
        },
        Member {
            id: member("M2"),
            name: "two".to_owned(),
            subsystems: vec![Subsystem { code: "B & <C>".to_owned(), name: None }],
        },
    ]
}

fn anchor() -> Anchor {
    Anchor {
        generated_at: Some(UnixTime::from_rfc3339("2026-01-02T03:04:05.678Z").unwrap()),
        instance: "YY".to_owned(),
        sources: vec![
            AnchorSource {
                url: "http://cs.yy.example/externalconf".to_owned(),
                certificates: vec![vec![1], vec![2, 3]],
            },
            AnchorSource {
                url: "https://cs.yy.example/externalconf".to_owned(),
                certificates: vec![vec![1]],
            },
        ],
    }
}

fn private() -> PrivateParams {
    PrivateParams {
        instance: "ZZ".to_owned(),
        anchors: vec![anchor()],
        management: ManagementService {
            registration_url: "https://cs.example:4001/managementservice/".to_owned(),
            registration_certificate: Some(vec![9, 8, 7]),
            provider: member("M1").subsystem("MGMT"),
        },
        timestamping_interval: Duration::from_secs(77),
    }
}

/// A directory's draft with everything in it, and the bytes of its parts.
fn draft(version: u8) -> (Draft, Vec<Vec<u8>>) {
    let options = Options {
        monitoring_client: Some(member("M1").client()),
        check_next_update: false,
        continuity: None,
        ..Options::default()
    };
    let mut documents =
        vec![(Content::Shared, shared().to_xml(version).unwrap()), (Content::Private, private().to_xml())];
    documents.extend(options.to_parts());
    let part = |(content, bytes): &(Content, Vec<u8>)| {
        let file = match content {
            Content::Shared => "shared-params.xml",
            Content::Private => "private-params.xml",
            Content::Other(word) => Options::FILES.iter().find(|(w, _)| w == word).unwrap().1,
        };
        let location = format!("/V{version}/20260102030405000000000/{file}");
        Part::of(content.clone(), "ZZ", &location, bytes)
    };
    let parts = documents.iter().map(part).collect();
    let expires = now().plus(Duration::from_secs(600));
    (Draft { expires, version, parts }, documents.into_iter().map(|(_, bytes)| bytes).collect())
}
