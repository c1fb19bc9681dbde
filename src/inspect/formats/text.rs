//! Plain text check of a stream of bytes: UTF-8 with no control, invisible or bidirectional characters but tab, line
//! feed and carriage return.

use bundle::paths::is_invisible;

/// State of the bytes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextState {
    /// Plain text.
    #[default]
    Plain,
    /// UTF-8 with a character that does not belong in a text.
    Control,
    /// Not UTF-8.
    NotUtf8,
}

/// Follows a stream. The first fault decides; nothing after it is looked at.
#[derive(Default)]
pub struct TextCheck {
    state: TextState,
    line_feeds: u64,
    /// The beginning of a character cut by the end of the last piece.
    cut: Vec<u8>,
}

impl TextCheck {
    /// Takes the next bytes in.
    pub fn take(&mut self, bytes: &[u8]) {
        if self.state != TextState::Plain {
            return;
        }
        if self.cut.is_empty() {
            self.look(bytes);
        } else {
            // At most three bytes were cut: finish that character, then go on without copying.
            let whole: Vec<u8> = self.cut.iter().chain(bytes.iter().take(4)).copied().collect();
            let (cut, few) = (std::mem::take(&mut self.cut).len(), bytes.len() <= 4);
            let width = match whole.first() {
                Some(0xc0..=0xdf) => 2,
                Some(0xe0..=0xef) => 3,
                _ => 4,
            };
            if few {
                return self.look(&whole);
            }
            self.look(whole.get(..width).unwrap_or(&whole));
            if self.cut.is_empty() {
                self.take(bytes.get(width - cut..).unwrap_or_default());
            }
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        let good = match simdutf8::compat::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                let (good, rest) = bytes.split_at_checked(e.valid_up_to()).unwrap_or_default();
                match e.error_len() {
                    None => self.cut = rest.to_vec(),
                    Some(_) => self.state = TextState::NotUtf8,
                }
                str::from_utf8(good).unwrap_or_default()
            }
        };
        if let Some(at) = find_control(good) {
            self.line_feeds += count_lines(good.as_bytes().get(..at).unwrap_or_default());
            self.state = TextState::Control;
        } else {
            self.line_feeds += count_lines(good.as_bytes());
        }
    }

    /// State of the bytes so far, where more may come: a character that is cut may still be finished.
    pub fn state_so_far(&self) -> TextState {
        self.state
    }

    /// State of all the bytes. A character that was never finished makes them no UTF-8.
    pub fn state(&self) -> TextState {
        if self.state == TextState::Plain && !self.cut.is_empty() { TextState::NotUtf8 } else { self.state }
    }

    /// The line of the first fault, counted from 1.
    pub fn fault_line(&self) -> Option<u64> {
        (self.state() != TextState::Plain).then_some(self.line_feeds + 1)
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    // Sums of at most 255 ones fit a byte, which lets the compiler count sixteen or more at a time.
    bytes.chunks(255).map(|c| u64::from(c.iter().map(|b| u8::from(*b == b'\n')).sum::<u8>())).sum()
}

/// Offset of the first character that does not belong in a text.
fn find_control(text: &str) -> Option<usize> {
    let suspicious = |b: &u8| (*b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) || *b >= 0x7f;
    let mut at = 0;
    // Whole pieces of ordinary ASCII, which is nearly all there is, are passed over without a branch a byte.
    for piece in text.as_bytes().chunks(512) {
        if piece.iter().fold(false, |any, b| any | suspicious(b)) {
            break;
        }
        at += piece.len();
    }
    // `at` may lie inside no character: all bytes before it are ASCII.
    let rest = text.get(at..)?;
    let wrong = |c: char| (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || is_invisible(c);
    if rest.len() <= 1024 || !rest.is_ascii() {
        return rest.char_indices().find(|(_, c)| wrong(*c)).map(|(i, _)| at + i);
    }
    rest.bytes().position(|b| wrong(char::from(b))).map(|i| at + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(bytes: &[u8], piece: usize) -> (TextState, Option<u64>) {
        let mut text = TextCheck::default();
        bytes.chunks(piece).for_each(|piece| text.take(piece));
        (text.state(), text.fault_line())
    }

    #[test]
    fn however_it_is_cut() {
        let long = "é".repeat(2000) + "\n" + &"x".repeat(3000) + "\u{1f600}\n";
        let bidi = format!("{long}ab\u{202e}c");
        let control = format!("{long}\x1b[2J");
        let latin = [long.as_bytes(), b"\n\xe9\xe9 "].concat();
        let unfinished = [long.as_bytes(), &[0xf0, 0x9f]].concat();
        for piece in [1, 2, 3, 5, 7, 511, 1 << 20] {
            assert_eq!(state_of(long.as_bytes(), piece), (TextState::Plain, None), "{piece}");
            assert_eq!(state_of(bidi.as_bytes(), piece), (TextState::Control, Some(3)), "{piece}");
            assert_eq!(state_of(control.as_bytes(), piece), (TextState::Control, Some(3)), "{piece}");
            assert_eq!(state_of(&latin, piece), (TextState::NotUtf8, Some(4)), "{piece}");
            assert_eq!(state_of(&unfinished, piece), (TextState::NotUtf8, Some(3)), "{piece}");
        }
    }
}
