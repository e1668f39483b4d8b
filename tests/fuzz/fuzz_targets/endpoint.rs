#![no_main]
//! Path patterns against the simplest matcher there is; paths; identifiers. The input is pattern, NUL, path.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::id::{ClientId, ServerId, ServiceId};
use saatkond_proto::message::endpoint::{PathGlob, normal_path};

/// By definition: `**` is anything, `*` anything without a slash, a backslash takes the meaning of the next.
fn matches(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['\\', c @ ('*' | '\\'), rest @ ..] => path.first() == Some(c) && matches(rest, &path[1..]),
        ['*', '*', '*', ..] => matches(&pattern[1..], path),
        ['*', '*', rest @ ..] => (0..=path.len()).any(|n| matches(rest, &path[n..])),
        ['*', rest @ ..] => {
            let segment = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            (0..=segment).any(|n| matches(rest, &path[n..]))
        }
        [c, rest @ ..] => path.first() == Some(c) && matches(rest, &path[1..]),
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, path) = text.split_once('\0').unwrap_or(("**", text));
    let stars = pattern.chars().filter(|c| *c == '*').count();
    if stars <= 5 && pattern.len() <= 32 && path.len() <= 32 {
        let (p, s): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
        assert_eq!(PathGlob::new(pattern).matches(path), matches(&p, &s), "{pattern:?} on {path:?}");
    } else {
        let _ = PathGlob::new(pattern).matches(path);
    }
    if let Ok(normal) = normal_path(path) {
        assert!(normal.is_empty() || normal.starts_with('/'));
        assert!(!normal.contains("//") && !normal.contains(['\\', '%']), "{normal:?}");
        assert!(normal.split('/').all(|s| s != "." && s != ".."), "{normal:?}");
    }
    if let Ok(id) = ClientId::from_path(path) {
        assert_eq!(ClientId::from_path(&id.to_path()), Ok(id));
    }
    if let Ok(id) = ServiceId::from_path(path) {
        assert_eq!(ServiceId::from_path(&id.to_path()), Ok(id));
    }
    if let Ok(id) = ServerId::from_path(path) {
        assert_eq!(ServerId::from_path(&id.to_path()), Ok(id));
    }
});
