//! Fetches the OCSP responses of our certificates and of the authorities above them.
//!
//! Spec: message-path §5.4, trust-and-configuration §3.7, §4.9. Store: `ocsp/`, one DER file a certificate, named by its
//! SHA-1. Not trusted: every response is verified again before it is used.

use super::globalconf::write_whole;
use super::{Failed, Inner, Next};
use crate::keys::{Statuses, issuer_of};
use crate::net::fetch::{self, Bounds};
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::globalconf::GlobalConf;
use saatkond_proto::limits;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::ocsp::{self, Response};
use saatkond_proto::trust::{ApprovedCa, Certificate, OcspPolicy, path};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A certificate whose status is asked, and whom.
#[derive(Debug, Clone)]
pub struct Question {
    /// The certificate.
    pub certificate: Arc<Certificate>,
    /// The authority that issued it.
    issuer: Arc<Certificate>,
    /// Its responders, in the order to ask them.
    urls: Vec<String>,
}

/// The longest time after which a status is asked again when it was good for less than the usual interval.
const INTERVAL_MIN: Duration = Duration::from_secs(5);

/// All certificates whose status is needed at `at`: ours, and the authorities above them but the topmost.
#[must_use]
pub fn questions(own: &[Arc<Certificate>], conf: &GlobalConf, at: UnixTime) -> Vec<Question> {
    let cas = conf.approved_cas(conf.own_instance());
    let mut questions: Vec<Question> = Vec::new();
    for certificate in own.iter().flat_map(|own| path::own_chain(own, cas)) {
        let is_known = questions.iter().any(|q| q.certificate == certificate);
        if is_known || certificate.is_self_issued() || !certificate.is_valid_at(at) {
            continue;
        }
        let Some(issuer) = issuer_of(&certificate, cas) else { continue };
        let mut urls = responders(issuer, cas);
        urls.extend(certificate.ocsp_urls().iter().cloned());
        questions.push(Question { issuer: Arc::new(issuer.clone()), certificate, urls });
    }
    questions
}

fn responders(issuer: &Certificate, cas: &[ApprovedCa]) -> Vec<String> {
    let services = cas.iter().flat_map(ApprovedCa::services);
    let of_issuer = services.filter(|service| *service.certificate == *issuer);
    of_issuer.flat_map(|service| &service.ocsp).map(|responder| responder.url.clone()).collect()
}

impl Inner {
    pub(super) async fn fetch_ocsp(&self) -> Result<Next, Failed> {
        let gateway = &self.gateway;
        let (world, now, conf) = (gateway.world(), gateway.now(), &gateway.conf);
        let failed = |text| Failed { text, retry: conf.jobs.ocsp_retry };
        if !world.conf.is_valid_at(now) {
            return Err(failed(format!("the global configuration expired at {}", world.conf.expires())));
        }
        let questions = questions(&gateway.keys.certificates(), &world.conf, now);
        let timeouts = &conf.timeouts;
        let bounds = Bounds {
            connect: timeouts.fetch_connect,
            whole: timeouts.fetch,
            bytes_max: limits::OCSP_BYTES_MAX,
        };
        let (mut got, mut reasons) = (Vec::new(), Vec::new());
        for question in &questions {
            match ask(question, &world.conf, now, bounds).await {
                Ok(response) => got.push((Arc::clone(&question.certificate), response)),
                Err(reason) => reasons.push(format!("{}: {reason}", question.certificate.subject_text())),
            }
        }
        let policy = world.conf.ocsp_policy();
        let soonest = got.iter().map(|(_, response)| good_for(response, &policy, now)).min();
        if let Err(error) = store(&conf.ocsp_dir(), &got) {
            tracing::warn!(%error, "OCSP responses not kept for a restart");
        }
        self.paint(|parts| {
            let mut statuses = Statuses::clone(&parts.statuses);
            for (certificate, response) in got {
                statuses.insert(&certificate, Arc::new(response));
            }
            parts.statuses = Arc::new(statuses);
        });
        if !reasons.is_empty() {
            return Err(failed(reasons.join("; ")));
        }
        let usual = if conf.jobs.ocsp.is_zero() { world.conf.ocsp_fetch_interval() } else { conf.jobs.ocsp };
        // A response that ages faster than the usual interval is asked for again at half its time.
        let interval = soonest.map_or(usual, |good| usual.min((good / 2).max(INTERVAL_MIN)));
        Ok(Next::After(interval))
    }
}

/// How long from `now` a response will be taken.
fn good_for(response: &Response, policy: &OcspPolicy, now: UnixTime) -> Duration {
    let fresh = response.this_update().plus(policy.freshness);
    let next = response.next_update().filter(|_| policy.check_next_update);
    next.map_or(fresh, |next| fresh.min(next)).since(now)
}

/// Asks one responder after the other; the first response that holds is taken, whatever it says.
async fn ask(
    question: &Question,
    conf: &GlobalConf,
    now: UnixTime,
    bounds: Bounds,
) -> Result<Response, String> {
    let Question { certificate, issuer, urls } = question;
    let (listed, policy) = (conf.all_cas(), conf.ocsp_policy());
    let mut reasons = Vec::new();
    for url in urls {
        let body = ocsp::request(certificate, issuer);
        let asked =
            fetch::post(url, "application/ocsp-request", body, Some("application/ocsp-response"), bounds);
        let response = match asked.await {
            Ok(answer) if answer.status == 200 => Response::from_der(&answer.body),
            Ok(answer) => {
                reasons.push(format!("{url}: status {}, expected 200", answer.status));
                continue;
            }
            Err(error) => {
                reasons.push(error.to_string());
                continue;
            }
        };
        let verified = response.and_then(|response| {
            ocsp::verify(&response, certificate, issuer, &listed, &policy, now).map(|()| response)
        });
        match verified {
            Ok(response) => return Ok(response),
            Err(error) => reasons.push(format!("{url}: {error}")),
        }
    }
    if reasons.is_empty() {
        reasons.push("no responder is listed for its authority, and it names none".to_owned());
    }
    Err(reasons.join("; "))
}

/// What the authorities say now of these certificates and of those above them; and why of some they say nothing.
pub async fn ask_all(
    own: &[Arc<Certificate>],
    conf: &GlobalConf,
    now: UnixTime,
    bounds: Bounds,
) -> (Statuses, Vec<String>) {
    let (mut statuses, mut reasons) = (Statuses::default(), Vec::new());
    for question in questions(own, conf, now) {
        match ask(&question, conf, now, bounds).await {
            Ok(response) => statuses.insert(&question.certificate, Arc::new(response)),
            Err(reason) => reasons.push(format!("{}: {reason}", question.certificate.subject_text())),
        }
    }
    (statuses, reasons)
}

//------------ the cache on disk ------------------------------------------------

fn file_of(dir: &Path, certificate: &Certificate) -> PathBuf {
    let name = DigestAlgorithm::Sha1.digest(certificate.der());
    let name: String = name.iter().map(|b| format!("{b:02x}")).collect();
    dir.join(format!("{name}.ocsp"))
}

fn store(dir: &Path, got: &[(Arc<Certificate>, Response)]) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    got.iter().try_for_each(|(certificate, response)| write_whole(&file_of(dir, certificate), response.der()))
}

/// The responses kept on disk for certificates that `conf` makes us need; what cannot be read is not there.
#[must_use]
pub fn load(dir: &Path, own: &[Arc<Certificate>], conf: &GlobalConf, at: UnixTime) -> Statuses {
    let mut statuses = Statuses::default();
    for Question { certificate, .. } in questions(own, conf, at) {
        let read = std::fs::read(file_of(dir, &certificate)).ok();
        if let Some(response) = read.and_then(|bytes| Response::from_der(&bytes).ok()) {
            statuses.insert(&certificate, Arc::new(response));
        }
    }
    statuses
}
