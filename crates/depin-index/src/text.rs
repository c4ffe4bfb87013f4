//! Text that came from a device, made safe to show.

use std::fmt::Write;

/// Longest cleaned text, in characters.
pub const MAX_TEXT: usize = 512;

/// `text` with every character that hides, reorders or controls written out as an escape such as `\u{202e}`, cut to [`MAX_TEXT`] characters.
///
/// What is cut ends in `…`. Escapes are never cut in half. Cleaning twice changes nothing.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(MAX_TEXT));
    let mut used = 0_usize;
    let mut last_fit = 0;
    for character in text.chars() {
        let before = clean.len();
        if hostile(character) {
            // Writing to a string cannot fail.
            let _ = write!(clean, "{}", character.escape_unicode());
        } else {
            clean.push(character);
        }
        used = used.saturating_add(clean.get(before..).map_or(0, |added| added.chars().count()));
        if used < MAX_TEXT {
            last_fit = clean.len();
        }
        if used > MAX_TEXT {
            clean.truncate(last_fit);
            clean.push('…');
            break;
        }
    }
    clean
}

/// Control characters, and the format characters of Unicode that turn the reading direction, join words invisibly or carry tags.
fn hostile(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_hides_is_written_out() {
        assert_eq!(clean("pay \u{202e}evil\u{7}\n"), "pay \\u{202e}evil\\u{7}\\u{a}");
        assert_eq!(clean("a\u{200b}b\u{2066}c\u{feff}"), "a\\u{200b}b\\u{2066}c\\u{feff}");
        assert_eq!(clean("<script>'; DROP TABLE events; --"), "<script>'; DROP TABLE events; --");
        assert_eq!(clean("日本 é"), "日本 é");
    }

    #[test]
    fn what_is_long_is_cut_between_escapes() {
        assert_eq!(clean(&"x".repeat(MAX_TEXT)), "x".repeat(MAX_TEXT));
        assert_eq!(clean(&"x".repeat(MAX_TEXT + 1)), format!("{}…", "x".repeat(MAX_TEXT - 1)));
        let cut = clean(&"\u{202e}".repeat(MAX_TEXT));
        assert!(cut.ends_with("\\u{202e}…") && cut.chars().count() <= MAX_TEXT, "{cut}");
    }

    proptest! {
        #[test]
        fn cleaning_is_bounded_and_idempotent(text in any::<String>(), repeat in 1usize..40) {
            let once = clean(&text.repeat(repeat));
            prop_assert!(once.chars().count() <= MAX_TEXT);
            prop_assert!(!once.chars().any(hostile));
            prop_assert_eq!(clean(&once), once);
        }
    }
}
