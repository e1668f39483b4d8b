//! The threads that sign: one for each sign key, so that a slow key makes nobody else wait.
//!
//! Messages that wait when the key is free are signed together, in X-Road's hash-chain form; a message that comes
//! alone is signed alone, at once. Spec: message-path §3.3.

use super::{SignError, Signer};
use saatkond_proto::crypto::{EcdsaForm, SignatureAlgorithm, SigningKey};
use saatkond_proto::signature::{PartDigest, SignatureParts, SignerMaterial, prepare};
use saatkond_proto::time::UnixTime;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

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
        let (queue, waiting) = channel();
        let algorithm = key.algorithm();
        std::thread::Builder::new()
            .name("signing".to_owned())
            .spawn(move || sign_what_waits(&key, &waiting, batch_max.max(1)))?;
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

fn sign_what_waits(key: &SigningKey, waiting: &Receiver<Waiting>, batch_max: usize) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(batch_max - 1));
        // A batch shares certificates and OCSP responses, so messages that wait with others than the first's go alone.
        while let Some(material) = batch.first().map(|w| Arc::clone(&w.material)) {
            let (together, others) = batch.into_iter().partition(|w| Arc::ptr_eq(&w.material, &material));
            sign_together(key, together);
            batch = others;
        }
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
        let (queue, waits) = channel();
        waiting.into_iter().for_each(|w| queue.send(w).unwrap());
        drop(queue);
        sign_what_waits(key, &waits, batch_max);
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
