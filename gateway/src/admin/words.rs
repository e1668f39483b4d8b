//! How lengths of time, sizes and strangers' text are told to people.

use std::borrow::Cow;
use std::time::Duration;

/// A length of time as a person says it: its two largest units, `3 h 12 min`; whole seconds.
pub(super) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(place) = units.iter().position(|(size, _)| secs >= *size) else { return "0 s".to_owned() };
    let mut rest = secs;
    let mut words = Vec::new();
    for (size, unit) in units.iter().skip(place).take(2) {
        if rest / size > 0 {
            words.push(format!("{} {unit}", rest / size));
        }
        rest %= size;
    }
    words.join(" ")
}

/// A number of bytes: whole below one KiB, else with one decimal.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64, name: &str| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        1 => "1 byte".to_owned(),
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => tenths(1024, "KiB"),
        _ => tenths(1_048_576, "MiB"),
    }
}

/// So many of something: `1 message`, `3 messages`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Text from a stranger, in which nothing commands the terminal or turns the direction of reading.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let commands = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
                | '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if commands(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_told_in_two_units() {
        let told = |secs| span(Duration::from_secs(secs));
        let all = [0, 1, 59, 60, 61, 3600, 11_520, 3601, 86_400, 90_061, 31_536_000].map(told);
        assert_eq!(
            all,
            [
                "0 s",
                "1 s",
                "59 s",
                "1 min",
                "1 min 1 s",
                "1 h",
                "3 h 12 min",
                "1 h",
                "1 d",
                "1 d 1 h",
                "365 d"
            ]
        );
        assert_eq!(span(Duration::from_millis(999)), "0 s");
    }

    #[test]
    fn sizes_have_units() {
        let all = [0, 1, 1023, 1024, 1536, 1_048_576, 5_400_000_000].map(size);
        assert_eq!(all, ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5149.8 MiB"]);
        assert_eq!(count(1, "message", "messages"), "1 message");
        assert_eq!(count(0, "message", "messages"), "0 messages");
    }

    #[test]
    fn a_stranger_commands_no_terminal() {
        assert_eq!(plain("a \u{1b}[31mb\r\n\u{9b}c\u{202e}d"), "a \\u{1b}[31mb\\r\\n\\u{9b}c\\u{202e}d");
        assert!(matches!(plain("Äriregister/päring"), Cow::Borrowed(_)));
    }
}
