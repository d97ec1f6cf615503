//! What a terminal answers to questions about its pictures.
//!
//! | question | answer |
//! | --- | --- |
//! | `ESC _G i=31,…,a=q ESC \` (kitty) | `ESC _Gi=31;OK ESC \`, or `;` and an error |
//! | `ESC ] 11 ; ? ESC \` (background) | `ESC ] 11;rgb:1212/1515/1a1a ESC \`, or with BEL at the end |
//! | `ESC [ 16 t` (size of a cell) | `ESC [ 6 ; height ; width t` |
//! | `ESC [ 14 t` (size of the text area) | `ESC [ 4 ; height ; width t` |
//! | `ESC [ ? 2;1;0 S` (largest sixel picture) | `ESC [ ? 2;0;width;height S` |
//! | `ESC [ c` (device attributes) | `ESC [ ? 62;4;… c`, where a 4 means sixels |
//!
//! Terminals answer in order and ignore what they do not know; all answer the last question.

use crate::cli::theme::ThemeName;

/// The questions.
pub(super) const QUESTIONS: &str =
    "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b]11;?\x1b\\\x1b[16t\x1b[14t\x1b[?2;1;0S\x1b[c";

/// Width and height in pixels.
pub(super) type Pixels = (f64, f64);

/// The answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answers {
    pub(super) kitty: bool,
    pub(super) sixel: bool,
    /// The size of a cell.
    pub(super) cell: Option<Pixels>,
    /// The size of the text area.
    pub(super) area: Option<Pixels>,
    /// The largest sixel picture.
    pub(super) sixel_limit: Option<Pixels>,
    /// The theme that fits the background.
    pub(super) background: Option<ThemeName>,
    /// Whether the last question was answered.
    pub(super) is_complete: bool,
}

impl Answers {
    /// Reads the answers; other input is skipped.
    pub(super) fn read(input: &[u8]) -> Answers {
        let mut answers = Answers::default();
        let mut rest = input;
        while let Some(start) = rest.iter().position(|byte| *byte == 0x1b) {
            rest = &rest[start + 1..];
            match rest.first() {
                Some(b'[') => rest = answers.read_control(&rest[1..]),
                Some(kind @ (b'_' | b']')) => {
                    let text = &rest[1..];
                    let end = text.iter().position(|byte| matches!(byte, 0x07 | 0x1b));
                    let (text, after) = text.split_at(end.unwrap_or(text.len()));
                    // An answer without its end is not one yet.
                    if let Some(text) = end.and_then(|_| std::str::from_utf8(text).ok()) {
                        answers.read_text(*kind, text);
                    }
                    rest = after;
                }
                _ => {}
            }
        }
        answers
    }

    /// Reads what follows `ESC [`; returns what follows it.
    fn read_control<'i>(&mut self, input: &'i [u8]) -> &'i [u8] {
        let is_parameter = |byte: &u8| (b'0'..=b'?').contains(byte);
        let end = input.iter().position(|byte| !is_parameter(byte)).unwrap_or(input.len());
        let (parameters, after) = input.split_at(end);
        let Some((last, after)) = after.split_first() else { return after };
        let parameters = std::str::from_utf8(parameters).unwrap_or_default();
        let (is_private, parameters) = match parameters.strip_prefix('?') {
            Some(parameters) => (true, parameters),
            None => (false, parameters),
        };
        let numbers: Vec<u32> = parameters.split(';').map(|n| n.parse().unwrap_or(0)).collect();
        let pixels = |width: u32, height: u32| {
            (width > 0 && height > 0).then(|| (f64::from(width), f64::from(height)))
        };
        match (is_private, last, &numbers[..]) {
            (true, b'c', attributes) => {
                self.is_complete = true;
                // The first number is the kind of the terminal.
                self.sixel = attributes.iter().skip(1).any(|attribute| *attribute == 4);
            }
            (true, b'S', [2, 0, width, height]) => self.sixel_limit = pixels(*width, *height),
            (false, b't', [6, height, width]) => self.cell = pixels(*width, *height),
            (false, b't', [4, height, width]) => self.area = pixels(*width, *height),
            _ => {}
        }
        after
    }

    /// Reads the text between `ESC _` or `ESC ]` and its end.
    fn read_text(&mut self, kind: u8, text: &str) {
        match kind {
            b'_' => {
                self.kitty |=
                    text.starts_with('G') && text.contains("i=31") && text.ends_with(";OK")
            }
            _ => {
                let colour = text.strip_prefix("11;rgb:").or_else(|| text.strip_prefix("11;rgba:"));
                self.background = colour.and_then(background).or(self.background);
            }
        }
    }
}

/// The theme that fits a background `rrrr/gggg/bbbb`, of one to four hexadecimal digits each.
fn background(colour: &str) -> Option<ThemeName> {
    let share = |digits: &str| {
        let number = u16::from_str_radix(digits, 16).ok()?;
        Some(f64::from(number) / (16_f64.powi(digits.len() as i32) - 1.0))
    };
    let mut channels = colour.split('/').map(share);
    let (r, g, b) = (channels.next()??, channels.next()??, channels.next()??);
    let brightness = 0.299 * r + 0.587 * g + 0.114 * b;
    Some(if brightness > 0.5 { ThemeName::Light } else { ThemeName::Dark })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kitty_answers_with_sizes_and_its_background() {
        let answers = Answers::read(
            b"\x1b_Gi=31;OK\x1b\\\x1b]11;rgb:ffff/ffff/dddd\x1b\\\x1b[6;36;18t\x1b[4;900;1600t\x1b[?62;c",
        );
        let expected = Answers {
            kitty: true,
            sixel: false,
            cell: Some((18.0, 36.0)),
            area: Some((1600.0, 900.0)),
            sixel_limit: None,
            background: Some(ThemeName::Light),
            is_complete: true,
        };
        assert_eq!(answers, expected);
    }

    #[test]
    fn xterm_answers_with_sixels_and_their_limit() {
        let answers =
            Answers::read(b"\x1b]11;rgb:00/2b/36\x07\x1b[?2;0;1000;1000S\x1b[?63;1;2;4;6;9;15;22c");
        assert!(answers.sixel && answers.is_complete && !answers.kitty);
        assert_eq!(answers.sixel_limit, Some((1000.0, 1000.0)));
        assert_eq!(answers.background, Some(ThemeName::Dark));
    }

    #[test]
    fn refusals_kinds_of_terminals_and_cut_answers_mean_nothing() {
        let refused = Answers::read(b"\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\\x1b[?4;6c");
        assert_eq!(refused, Answers { is_complete: true, ..Answers::default() });
        let nothing: [&[u8]; 9] = [
            b"",
            b"\x1b",
            b"\x1b[",
            b"\x1b[?62;4",
            b"\x1b_Gi=31;OK",
            b"\x1b]11;rgb:zz/00/00\x07",
            b"\x1b]11;rgb:00/00\x07\x1b[6;0;0t",
            b"ls -l\r\x03\x1b[A\x1bOP\xff\xfe",
            b"\x1b[99999999999999999999;4t\x1b[c",
        ];
        for input in nothing {
            assert_eq!(Answers::read(input), Answers::default(), "{input:?}");
        }
    }

    #[test]
    fn keys_between_answers_are_skipped() {
        let answers = Answers::read(b"x\x1b[A\x1b_Gi=31;OK\x1b\\q\x1b[?62;4c");
        assert!(answers.kitty && answers.sixel && answers.is_complete);
    }
}
