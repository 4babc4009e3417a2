//! What people see of names that others chose: files, classes, studies.

use std::borrow::Cow;

/// `text` with everything escaped that a terminal would obey, or that would let a line look like another one: control characters, line
/// breaks among them, and marks that turn the direction of writing.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    escaped(text, is_obeyed)
}

/// The same of whole lines, which keep their ends. An escape is that of JSON, so that JSON still says the same.
pub(crate) fn clean_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| is_obeyed(letter) && !matches!(letter, '\n' | '\t'))
}

fn escaped(text: &str, is_meant: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_meant) {
        return Cow::Borrowed(text);
    }
    let escaped = |letter: char| match is_meant(letter) {
        true => format!("\\u{:04x}", u32::from(letter)),
        false => letter.into(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Whether a terminal does something else with it than to show it.
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(clean("cat é 猫 👍"), "cat é 猫 👍");
        assert_eq!(clean("a\x1b[31mb\nc"), "a\\u001b[31mb\\u000ac");
        assert_eq!(clean("\u{9b}31m\u{7f}\u{202e}gpj"), "\\u009b31m\\u007f\\u202egpj");
        assert_eq!(clean_lines("a\x1b\tb\nc"), "a\\u001b\tb\nc");
    }

    #[test]
    fn json_says_the_same() {
        let value = serde_json::json!({ "class": "a\u{9b}\u{7f}\u{202e}\n" });
        let shown = clean_lines(&value.to_string()).into_owned();
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
