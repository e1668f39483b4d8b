//! The threads that sign: one for each sign key, so that a slow key makes nobody else wait.
//!
//! Messages that wait when the key is free are signed together, in X-Road's hash-chain form; a message that comes
//! alone is signed alone, at once. Spec: message-path §3.3.
//!
//! When messages come faster than the key signs, which shows in that several have come while it signed, what comes
//! shortly after them is waited for as well: for as long as a few signatures take, [`WINDOW_MAX`] at most. More
//! messages then share a signature, and the processor has time for the rest of their way.

use super::{SignError, Signer};
use saatkond_proto::crypto::{EcdsaForm, SignatureAlgorithm, SigningKey};
use saatkond_proto::signature::{PartDigest, SignatureParts, SignerMaterial, prepare};
use saatkond_proto::time::UnixTime;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The longest that messages which wait are let wait for others.
const WINDOW_MAX: Duration = Duration::from_millis(2);
/// How many signatures' time they are let wait.
const WINDOW_SIGNATURES: u32 = 3;

/// Where messages wait for one key. The thread ends when the bench is dropped.
pub(super) struct Bench {
    queue: Sender<Waiting>,
    algorithm: SignatureAlgorithm,
}

struct Waiting {
    parts: Vec<PartDigest>,
    material: Arc<SignerMaterial>,
    at: UnixTime,
    reply: oneshot::Sender<Result<SignatureParts, SignError>>,
}

impl Bench {
    /// Starts the key's thread.
    pub(super) fn start(key: SigningKey, batch_max: usize) -> std::io::Result<Self> {
        let (queue, mut waiting) = channel();
        let algorithm = key.algorithm();
        std::thread::Builder::new()
            .name("signing".to_owned())
            .spawn(move || sign_what_waits(&key, &mut waiting, batch_max.max(1)))?;
        Ok(Self { queue, algorithm })
    }

    /// How the key signs.
    pub(super) const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Waits until one message is signed.
    pub(super) async fn sign(
        &self,
        signer: &Signer,
        parts: Vec<PartDigest>,
        at: UnixTime,
    ) -> Result<SignatureParts, SignError> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { parts, material: Arc::clone(&signer.material), at, reply };
        self.queue.send(waiting).map_err(|_| SignError::Ended)?;
        answer.await.map_err(|_| SignError::Ended)?
    }
}

/// Where a key's messages come from, and how time passes there; tests have their own.
trait Desk {
    /// The next message, however long it takes; `None` when none will come.
    fn next(&mut self) -> Option<Waiting>;
    /// One that has come already.
    fn here(&mut self) -> Option<Waiting>;
    /// One that comes before `until`.
    fn before(&mut self, until: Instant) -> Option<Waiting>;
    /// What time it is.
    fn now(&mut self) -> Instant;
}

impl Desk for Receiver<Waiting> {
    fn next(&mut self) -> Option<Waiting> {
        self.recv().ok()
    }

    fn here(&mut self) -> Option<Waiting> {
        self.try_recv().ok()
    }

    fn before(&mut self, until: Instant) -> Option<Waiting> {
        self.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }

    fn now(&mut self) -> Instant {
        Instant::now()
    }
}

fn sign_what_waits(key: &SigningKey, desk: &mut impl Desk, batch_max: usize) {
    // How long the last batch took, while others may have come.
    let mut took = Duration::ZERO;
    while let Some(batch) = gather(desk, batch_max, took) {
        let began = desk.now();
        sign_each_material(key, batch);
        took = desk.now().saturating_duration_since(began);
    }
}

/// The messages that are signed next; `took` is how long the key has just signed.
fn gather(desk: &mut impl Desk, batch_max: usize, took: Duration) -> Option<Vec<Waiting>> {
    let mut batch: Vec<Waiting> = std::iter::from_fn(|| desk.here()).take(batch_max).collect();
    if batch.is_empty() {
        // Nobody came meanwhile: whoever comes now does not wait.
        batch.push(desk.next()?);
        batch.extend(std::iter::from_fn(|| desk.here()).take(batch_max - 1));
    } else if batch.len() > 1 {
        let until = desk.now() + took.saturating_mul(WINDOW_SIGNATURES).min(WINDOW_MAX);
        while batch.len() < batch_max
            && let Some(next) = desk.before(until)
        {
            batch.push(next);
        }
    }
    Some(batch)
}

/// A batch shares certificates and OCSP responses, so messages that wait with others than the first's go alone.
fn sign_each_material(key: &SigningKey, mut batch: Vec<Waiting>) {
    while let Some(material) = batch.first().map(|w| Arc::clone(&w.material)) {
        let (together, others) = batch.into_iter().partition(|w| Arc::ptr_eq(&w.material, &material));
        sign_together(key, together);
        batch = others;
    }
}

/// Signs messages with one signature; if that cannot be prepared, each alone, so that one bad message fails alone.
fn sign_together(key: &SigningKey, mut batch: Vec<Waiting>) {
    batch.retain(|w| !w.reply.is_closed());
    let Some(first) = batch.first() else { return };
    let messages: Vec<Vec<PartDigest>> = batch.iter().map(|w| w.parts.clone()).collect();
    match sign(key, &messages, &Arc::clone(&first.material), first.at) {
        Ok(signed) => {
            for (one, signed) in batch.into_iter().zip(signed) {
                // Whoever waited may have gone.
                let _ = one.reply.send(Ok(signed));
            }
        }
        Err(error) if batch.len() == 1 => {
            if let Some(one) = batch.pop() {
                let _ = one.reply.send(Err(error));
            }
        }
        Err(_) => batch.into_iter().for_each(|one| sign_together(key, vec![one])),
    }
}

fn sign(
    key: &SigningKey,
    messages: &[Vec<PartDigest>],
    material: &SignerMaterial,
    at: UnixTime,
) -> Result<Vec<SignatureParts>, SignError> {
    let algorithm = key.algorithm();
    let to_sign = prepare(messages, material, algorithm, at)?;
    let value = key.sign(algorithm.digest, to_sign.bytes(), EcdsaForm::Fixed)?;
    Ok(to_sign.finish(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use saatkond_proto::crypto::DigestAlgorithm;
    use saatkond_proto::signature::xades::signature_value;
    use saatkond_proto::trust::Certificate;
    use std::collections::VecDeque;
    use std::future::{Future as _, poll_fn};
    use std::task::Poll;

    fn part(text: &[u8]) -> Vec<PartDigest> {
        let algorithm = DigestAlgorithm::Sha512;
        vec![PartDigest { name: "/message.xml".to_owned(), algorithm, digest: algorithm.digest(text) }]
    }

    fn key_and_material() -> (SigningKey, Arc<SignerMaterial>) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        let certificate = Arc::new(Certificate::from_der(certificate.der()).unwrap());
        let material =
            SignerMaterial { certificate, intermediates: Vec::new(), ocsp: vec![b"response".to_vec()] };
        (SigningKey::from_pkcs8(&pair.serialize_der()).unwrap(), Arc::new(material))
    }

    fn wait(parts: Vec<PartDigest>, material: &Arc<SignerMaterial>) -> (Waiting, Answer) {
        let (reply, answer) = oneshot::channel();
        let at = UnixTime::from_secs(1_700_000_000);
        (Waiting { parts, material: Arc::clone(material), at, reply }, answer)
    }

    type Answer = oneshot::Receiver<Result<SignatureParts, SignError>>;

    /// Signs what waits, the key's thread run on this one.
    fn sign_all(key: &SigningKey, waiting: Vec<Waiting>, batch_max: usize) {
        let (queue, mut waits) = channel();
        waiting.into_iter().for_each(|w| queue.send(w).unwrap());
        drop(queue);
        sign_what_waits(key, &mut waits, batch_max);
    }

    /// Messages that come at moments, in a time that passes only when somebody waits for one, or signs.
    struct Script {
        begun: Instant,
        /// Since it was begun.
        now: Duration,
        coming: VecDeque<(Duration, Waiting)>,
    }

    impl Script {
        /// The answers, and the messages, which come at these times in ms.
        fn new(times: &[u64], material: &Arc<SignerMaterial>) -> (Self, Vec<Answer>) {
            let messages = (0..).zip(times).map(|(n, at): (u8, _)| {
                let (waiting, answer) = wait(part(&[n]), material);
                ((Duration::from_millis(*at), waiting), answer)
            });
            let (coming, answers) = messages.unzip();
            (Self { begun: Instant::now(), now: Duration::ZERO, coming }, answers)
        }

        /// Takes the next one if it comes before `until`; else time passes until then.
        fn take(&mut self, until: Duration) -> Option<Waiting> {
            let comes = self.coming.front().map(|(at, _)| *at).filter(|at| *at <= until);
            self.now = self.now.max(comes.unwrap_or(until));
            comes.and_then(|_| self.coming.pop_front()).map(|(_, waiting)| waiting)
        }

        /// Gathers batches, each of which takes the key `takes` ms, and tells of each when it was begun and how many it has.
        fn batches(mut self, batch_max: usize, takes: u64) -> Vec<(u64, usize)> {
            let (mut batches, mut took) = (Vec::new(), Duration::ZERO);
            while let Some(batch) = gather(&mut self, batch_max, took) {
                batches.push((u64::try_from(self.now.as_micros()).unwrap(), batch.len()));
                took = Duration::from_millis(takes);
                self.now += took;
            }
            batches
        }
    }

    impl Desk for Script {
        fn next(&mut self) -> Option<Waiting> {
            let at = self.coming.front()?.0;
            self.take(at.max(self.now))
        }

        fn here(&mut self) -> Option<Waiting> {
            self.take(self.now)
        }

        fn before(&mut self, until: Instant) -> Option<Waiting> {
            self.take(until - self.begun)
        }

        fn now(&mut self) -> Instant {
            self.begun + self.now
        }
    }

    #[test]
    fn nobody_waits_longer_than_the_key_is_busy_while_it_keeps_up() {
        let (_, material) = key_and_material();
        // Alone; alone; while the key signs for it, another one.
        let (script, _answers) = Script::new(&[0, 10, 20, 23], &material);
        assert_eq!(script.batches(32, 5), [(0, 1), (10_000, 1), (20_000, 1), (25_000, 1)]);
        // Those that come at once when the key is free are signed at once.
        let (script, _answers) = Script::new(&[7, 7, 7], &material);
        assert_eq!(script.batches(32, 5), [(7_000, 3)]);
    }

    #[test]
    fn more_is_waited_for_when_messages_come_faster_than_the_key_signs() {
        let (_, material) = key_and_material();
        // While the key signs for the first two come; the one after 2 ms more is waited for, the one after that is not.
        let (script, _answers) = Script::new(&[0, 1, 2, 7, 8], &material);
        assert_eq!(script.batches(32, 5), [(0, 1), (7_000, 3), (12_000, 1)]);
        // A full batch is not kept waiting.
        let (script, _answers) = Script::new(&[0, 1, 2, 6, 6], &material);
        assert_eq!(script.batches(3, 5), [(0, 1), (6_000, 3), (11_000, 1)]);
        // A fast key makes nobody wait for longer than three of its signatures.
        let (mut script, _answers) = Script::new(&[0, 0, 1], &material);
        let batch = gather(&mut script, 32, Duration::from_micros(50)).unwrap();
        assert_eq!((batch.len(), script.now), (2, Duration::from_micros(150)));
    }

    #[tokio::test]
    async fn a_key_that_is_busy_makes_no_other_wait() {
        let (key, material) = key_and_material();
        let algorithm = key.algorithm();
        // The thread of one key is held; that of the other is not.
        let (queue, mut waiting) = channel();
        let slow = Bench { queue, algorithm };
        let fast = Arc::new(Bench::start(key_and_material().0, 32).unwrap());
        let member = saatkond_proto::id::MemberId::new("DEV", "GOV", "M1");
        let at = UnixTime::from_secs(1_700_000_000);
        let signer = Signer { member, material, algorithm, good_until: at, bench: Arc::clone(&fast) };
        let mut waits = Box::pin(slow.sign(&signer, part(b"slow"), at));
        for n in 0..100u8 {
            let first = poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_ready())).await;
            assert!(!first, "the key that is held signs nothing");
            fast.sign(&signer, part(&[n]), at).await.unwrap();
        }
        let holder = std::thread::spawn(move || sign_what_waits(&key, &mut waiting, 32));
        waits.await.unwrap();
        drop(slow);
        holder.join().unwrap();
    }

    #[test]
    fn a_message_that_comes_alone_is_signed_plainly() {
        let (key, material) = key_and_material();
        let (waiting, mut answer) = wait(part(b"one"), &material);
        sign_all(&key, vec![waiting], 32);
        let signed = answer.try_recv().unwrap().unwrap();
        assert_eq!(signed.hash_chain, None);
    }

    #[test]
    fn messages_that_wait_together_share_one_signature_up_to_the_bound() {
        let (key, material) = key_and_material();
        let (waiting, answers): (Vec<_>, Vec<_>) = (0u8..5).map(|n| wait(part(&[n]), &material)).unzip();
        sign_all(&key, waiting, 3);
        let signed: Vec<SignatureParts> =
            answers.into_iter().map(|mut a| a.try_recv().unwrap().unwrap()).collect();
        let values: Vec<Vec<u8>> = signed.iter().map(|s| signature_value(&s.signature).unwrap()).collect();
        assert!(values[0] == values[1] && values[1] == values[2] && values[3] == values[4]);
        assert_ne!(values[2], values[3]);
        assert!(signed.iter().all(|s| s.hash_chain.is_some()));
    }

    #[test]
    fn a_bad_message_fails_alone() {
        let (key, material) = key_and_material();
        let (good, mut good_answer) = wait(part(b"good"), &material);
        let (bad, mut bad_answer) = wait(Vec::new(), &material);
        sign_all(&key, vec![good, bad], 32);
        assert!(good_answer.try_recv().unwrap().is_ok());
        assert!(matches!(bad_answer.try_recv().unwrap(), Err(SignError::Prepare(_))));
    }

    #[test]
    fn different_material_is_never_mixed() {
        let (key, material) = key_and_material();
        let other = Arc::new(SignerMaterial::clone(&material));
        let (a, mut a_answer) = wait(part(b"a"), &material);
        let (b, mut b_answer) = wait(part(b"b"), &other);
        sign_all(&key, vec![a, b], 32);
        let (a, b) = (a_answer.try_recv().unwrap().unwrap(), b_answer.try_recv().unwrap().unwrap());
        assert_ne!(a.signature, b.signature);
    }
}
