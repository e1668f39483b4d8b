//! Ids and boundaries that nobody can guess.

use ring::rand::{SecureRandom, SystemRandom};

/// The system's random generator gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator gave nothing")]
pub struct NoRandomness;

/// Random bytes.
///
/// # Errors
/// [`NoRandomness`].
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut out = [0; N];
    SystemRandom::new().fill(&mut out).map_err(|_| NoRandomness)?;
    Ok(out)
}

/// A random UUID (version 4), lower case. Spec: RFC 9562 §5.4.
///
/// # Errors
/// [`NoRandomness`].
pub fn uuid() -> Result<String, NoRandomness> {
    let value = u128::from_be_bytes(bytes()?);
    let value = value & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{value:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    Ok(groups.into_iter().filter_map(|g| digits.get(g)).collect::<Vec<_>>().join("-"))
}

/// A boundary for a multipart message, such as X-Road makes. Spec: message-path §2.7.
///
/// # Errors
/// [`NoRandomness`].
pub fn boundary() -> Result<String, NoRandomness> {
    Ok(saatkond_proto::transport::write::boundary("xtop", &bytes::<30>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        let one = uuid().unwrap();
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
        assert_ne!(one, uuid().unwrap());
    }
}
