//! What time does: configuration, certificates and their status lapse and are renewed; files change under a gateway.

use crate::Pair;
use rustls::HandshakeKind;
use saatkond::jobs::Job;
use saatkond::net::listen::stop;
use saatkond::net::tls;
use saatkond_tests::federation::{FRESHNESS, RENEWAL, VALIDITY};
use saatkond_tests::peer::Told;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::wire::Wire;
use saatkond_tests::{Answer, Ask, Asker, Federation, Post, Service, patiently};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const SECOND: Duration = Duration::from_secs(1);

/// Spec: message-path §1.2, §4.1 step 3.
#[tokio::test]
async fn a_configuration_that_has_expired_stops_both_paths_until_it_is_renewed() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home, service, federation } = Pair::answering(answer).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    federation.clock.advance(VALIDITY);
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200, "to its last second");
    federation.clock.advance(SECOND);
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.code()), (500, "server.clientproxy.global_conf_outdated"), "{heard:?}");
    let told = Asker::of(&federation, "TAX").ask(&federation, "HOME", &Ask::get("land")).await;
    assert_eq!(told.code(), "global_conf_outdated");
    tax.run(Job::GlobalConf).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.serverproxy.global_conf_outdated", "{heard:?}");
    assert_eq!(service.asked.len(), 2);
    home.run(Job::GlobalConf).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
}

/// Spec: message-path §5.3 step 6; what our own responses are good for ends, and what we keep of others'.
#[tokio::test]
async fn a_status_that_is_too_old_counts_no_more() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home, service, federation } = Pair::answering(answer).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    federation.clock.advance(FRESHNESS + SECOND);
    tax.run(Job::GlobalConf).await;
    home.run(Job::GlobalConf).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(
        (heard.status(), heard.code()),
        (500, "server.clientproxy.ssl_authentication_failed"),
        "{heard:?}"
    );
    tax.run(Job::Ocsp).await;
    // The connection is kept, and what its other end tells of itself is too old.
    let heard = tax.ask(&Ask::get("land")).await;
    let code = "server.clientproxy.ssl_authentication_failed.invalid_cert_path.incorrect_validation_info";
    assert_eq!((heard.status(), heard.code()), (500, code), "{heard:?}");
    // A new one is not made: the provider's gateway has no key that it could show.
    tax.stop().await;
    let tax = federation.open("TAX", ASKING).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(
        (heard.status(), heard.code()),
        (500, "server.clientproxy.ssl_authentication_failed"),
        "{heard:?}"
    );
    assert_eq!(service.asked.len(), 1);
    home.run(Job::Ocsp).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!((heard.status(), heard.code()), (200, ""), "its status is fetched anew: {heard:?}");
}

/// Spec: message-path §4.1 step 9; a revocation counts with the next status.
#[tokio::test]
async fn a_revoked_certificate_stops_what_it_was_for() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home, service, federation } = Pair::answering(answer).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    federation.revoke(&federation.sign("HOME").certificate);
    home.run(Job::Ocsp).await;
    let heard = tax.ask(&Ask::get("land")).await;
    let code = "server.serverproxy.service_failed.cannot_create_signature";
    assert_eq!((heard.status(), heard.code()), (500, code), "{heard:?}");
    federation.revoke(&federation.sign("TAX").certificate);
    tax.run(Job::Ocsp).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.clientproxy.cannot_create_signature", "{heard:?}");
    federation.revoke(&federation.auth("TAX").certificate);
    tax.run(Job::Ocsp).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.clientproxy.ssl_authentication_failed", "{heard:?}");
    assert_eq!(
        (service.asked.len(), tax.log().len()),
        (1, 3),
        "what was signed and refused is evidence, too"
    );
}

/// A gateway whose certificate is registered no more is let in no more, though its connections are kept.
#[tokio::test]
async fn a_server_that_is_registered_no_more_is_refused_on_kept_connections() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home, service, federation } = Pair::answering(answer).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    federation.change_server("TAX", |server| server.certificates.clear());
    home.run(Job::GlobalConf).await;
    let heard = tax.ask(&Ask::get("land")).await;
    let code = "server.serverproxy.service_failed.ssl_authentication_failed";
    assert_eq!((heard.status(), heard.code()), (500, code), "{heard:?}");
    tax.run(Job::GlobalConf).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.clientproxy.ssl_authentication_failed", "{heard:?}");
    assert_eq!(service.asked.len(), 1);
}

/// What is looked up for a resumed session is looked up with its messages: the handshake asks for no certificate.
/// Seen: message-path §2.2.
#[tokio::test]
async fn a_server_that_is_registered_no_more_resumes_its_session_and_is_refused() {
    let Pair { tax: _tax, home, service, federation } = Pair::answering(|_: &_| Answer::json("{}")).await;
    let asker = Asker::of(&federation, "TAX");
    let post = Post::of(&asker.draft(&Ask::get("land")).letter());
    let config = tls::to_gateways(federation.auth("TAX").certified(&[]), tls::Peers::Modern);
    let say = async |config: &Arc<rustls::ClientConfig>| -> std::io::Result<(HandshakeKind, Told)> {
        let to = SocketAddr::from((federation.address("HOME"), federation.port));
        let name = tls::server_name(&to.ip().to_string())?;
        let tcp = TcpStream::connect(to).await?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?;
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        let mut wire = Wire::new(stream);
        post.say(&mut wire).await?;
        Ok((kind, Told::hear(&mut wire, "POST").await?))
    };
    let (kind, told) = say(&config).await.unwrap();
    assert_eq!((kind, told.code().as_str()), (HandshakeKind::Full, ""), "{told:?}");
    let (kind, told) = say(&config).await.unwrap();
    assert_eq!((kind, told.code().as_str()), (HandshakeKind::Resumed, ""), "{told:?}");
    federation.change_server("TAX", |server| server.certificates.clear());
    home.run(Job::GlobalConf).await;
    let (kind, told) = say(&config).await.unwrap();
    let refused = "service_failed.ssl_authentication_failed";
    assert_eq!((kind, told.code().as_str()), (HandshakeKind::Resumed, refused), "{told:?}");
    let anew = tls::to_gateways(federation.auth("TAX").certified(&[]), tls::Peers::Modern);
    let error = say(&anew).await.unwrap_err();
    assert!(error.to_string().contains("CertificateUnknown"), "{error}");
    assert_eq!(service.asked.len(), 2);
}

/// The same of the provider's: nothing is sent to who is registered no more.
#[tokio::test]
async fn a_provider_that_is_registered_no_more_is_sent_nothing() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home: _home, service, federation } = Pair::answering(answer).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    federation.change_server("HOME", |server| server.certificates.clear());
    tax.run(Job::GlobalConf).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.clientproxy.ssl_authentication_failed", "{heard:?}");
    federation.change_server("HOME", |server| server.clients.clear());
    tax.run(Job::GlobalConf).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.clientproxy.network_error", "the embassy alone is left: {heard:?}");
    federation.change_server("TAX", |server| server.clients.clear());
    tax.run(Job::GlobalConf).await;
    let heard = tax.ask(&Ask::get("land")).await;
    assert_eq!(heard.code(), "server.clientproxy.unknown_member", "{heard:?}");
    assert_eq!((service.asked.len(), tax.log().len()), (1, 2));
}

#[tokio::test]
async fn the_server_file_is_taken_over_without_a_restart() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home, service, federation: _federation } = Pair::answering(answer).await;
    let code = async |path: &str| tax.ask(&Ask::get(path)).await.code().to_owned();
    let before = answering(&service.url("/api"));
    assert_eq!(code("land").await, "");
    home.change_server(&before.replace("code = \"land\"", "code = \"soil\"")).await;
    assert_eq!(
        (code("land").await, code("soil").await),
        ("server.serverproxy.unknown_service".to_owned(), String::new())
    );
    home.change_server(&before.replace("GOV/M1/TAX", "GOV/M1/OTHER")).await;
    assert_eq!(code("land").await, "server.serverproxy.access_denied");
    // A file that is refused leaves the earlier one in force, whole.
    home.change_server(&format!("{before}nonsense = true\n")).await;
    assert_eq!(code("land").await, "server.serverproxy.access_denied");
    home.change_server("version = 1\n").await;
    assert_eq!(code("land").await, "server.serverproxy.service_failed.unknown_member");
    home.change_server(&before).await;
    assert_eq!(code("land").await, "");
    tax.change_server("version = 1\n").await;
    assert_eq!(code("land").await, "server.clientproxy.unknown_member");
    tax.change_server(ASKING).await;
    assert_eq!((code("land").await, service.asked.len()), (String::new(), 4));
}

/// The same with the jobs' own loop: it looks when the clock says that it is time.
#[tokio::test]
async fn the_jobs_look_at_files_and_configuration_by_the_clock() {
    let answer = |_: &_| Answer::json("{}");
    let often = "[jobs]\nserver_file = \"200 ms\"\n";
    let Pair { tax, home, service, federation } = Pair::with(answer, often, often).await;
    let (stopper, stopped) = stop();
    let loops: Vec<_> = [&tax, &home]
        .map(|site| {
            let (jobs, stopped) = (site.jobs.clone(), stopped.clone());
            tokio::spawn(async move { jobs.run_until(stopped).await })
        })
        .into();
    // What failed is tried again after a while, and time goes only as the test winds it.
    let until = async |expected: &str| {
        let asking = async {
            while tax.ask(&Ask::get("land")).await.code() != expected {
                federation.clock.advance(SECOND);
            }
        };
        patiently(expected, asking).await;
    };
    until("").await;
    let file = home.directory().join("server.toml");
    std::fs::write(&file, answering(&service.url("")).replace("GOV/M1/TAX", "GOV/M1/OTHER")).unwrap();
    federation.clock.advance(SECOND);
    until("server.serverproxy.access_denied").await;
    std::fs::write(&file, answering(&service.url(""))).unwrap();
    federation.clock.advance(SECOND);
    until("").await;
    // Past what every status and configuration is good for: the loops fetch all of it anew.
    federation.clock.advance(FRESHNESS + VALIDITY);
    until("").await;
    stopper.stop();
    for running in loops {
        assert_eq!(patiently("the loop ended", running).await.unwrap(), Ok(()));
    }
}

/// What was fetched is kept: a gateway that starts while nobody tells it anything goes on with what it had.
#[tokio::test]
async fn a_gateway_restarts_with_what_it_had() {
    let answer = |_: &_| Answer::json("{}");
    let Pair { tax, home, service, federation } = Pair::answering(answer).await;
    assert_eq!(tax.ask(&Ask::get("land")).await.status(), 200);
    let server_toml = answering(&service.url("/api"));
    let directory = home.stop().await;
    let federation = federation.without_trust_services().await;
    federation.clock.advance(RENEWAL);
    let home = federation.open("HOME", &server_toml).await;
    let heard = tax.ask(&Ask::post("land", "{}")).await;
    assert_eq!((heard.status(), heard.code()), (200, ""), "{heard:?}");
    assert_eq!((saatkond_tests::site::log(&directory).len(), home.log().len()), (4, 4), "the log goes on");
}

/// Spec: message-path §5.1; a gateway of ours tells the status of its certificates to whoever asks.
#[tokio::test]
async fn a_gateway_tells_the_status_of_its_certificates() {
    let federation = Federation::new().await;
    let service = Service::start(|_| Answer::json("{}")).await;
    let _home = federation.open("HOME", &answering(&service.url(""))).await;
    let to = std::net::SocketAddr::from((federation.address("HOME"), federation.ocsp_port));
    use saatkond_proto::crypto::DigestAlgorithm::{Sha1, Sha256};
    let hash = |name: &str, algorithm: saatkond_proto::crypto::DigestAlgorithm| {
        let holder = if name == "auth" { federation.auth("HOME") } else { federation.sign("HOME") };
        saatkond_tests::federation::hex(&algorithm.digest(holder.certificate.der()))
    };
    let (auth, sign) = (hash("auth", Sha1), hash("sign", Sha1));
    let ask = |method: &str, target: &str| Ask::new(method, "").target(target);
    let mut caller = saatkond_tests::Caller::connect(to).await;
    for (target, count) in [
        (format!("/?cert={auth}"), 1),
        (format!("/?cert={auth}&cert_hash={}", hash("auth", Sha256)), 1),
        (format!("/?cert_hash={}", hash("auth", Sha256)), 1),
        (format!("/any?cert={auth}&cert={sign}"), 2),
    ] {
        let heard = caller.ask(&ask("GET", &target)).await;
        assert_eq!(heard.status(), 200, "{target} {heard:?}");
        let kind = heard.line("content-type").unwrap();
        let told = saatkond_proto::transport::read::ocsp_answer(kind, &heard.body).unwrap();
        assert_eq!(told.len(), count, "{target}");
        let first = saatkond_proto::trust::ocsp::Response::from_der(&told[0]).unwrap();
        assert!(first.covers(&federation.auth("HOME").certificate, &federation.authority().certificate));
    }
    assert_eq!(caller.ask(&ask("HEAD", "/")).await.status(), 200);
    let none = "0".repeat(40);
    for (method, target) in [
        ("GET", "/".to_owned()),
        ("GET", format!("/?cert={none}")),
        ("GET", format!("/?cert={auth}&cert={none}")),
        ("GET", format!("/?cert={}", auth.to_uppercase())),
        ("POST", format!("/?cert={auth}")),
    ] {
        assert_eq!(caller.ask(&ask(method, &target)).await.status(), 500, "{method} {target}");
    }
}
