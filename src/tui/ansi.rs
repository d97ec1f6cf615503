//! A frame as lines of text, for a pipe, the log of a CI job, or a terminal outside the alternate screen.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Whether lines contain ANSI escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    /// Escape sequences for colours and bold text.
    Ansi,
    /// Plain text.
    None,
}

/// The lines of a frame, each with a line break at its end.
pub fn lines(buffer: &Buffer, escapes: Escapes) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let cells: Vec<&Cell> =
            (buffer.area.left()..buffer.area.right()).map(|x| &buffer[(x, y)]).collect();
        let codes = |cell: &Cell| match escapes {
            Escapes::Ansi => sgr_codes(cell),
            Escapes::None => String::new(),
        };
        let is_blank = |cell: &&Cell| cell.symbol() == " " && codes(cell).is_empty();
        let end = cells.iter().rposition(|cell| !is_blank(cell)).map_or(0, |at| at + 1);
        let mut style = String::new();
        let mut skip = 0;
        for cell in &cells[..end] {
            if skip > 0 {
                skip -= 1; // the second half of a wide character
                continue;
            }
            skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            let codes = codes(cell);
            if codes != style {
                if !style.is_empty() {
                    text.push_str("\x1b[0m");
                }
                if !codes.is_empty() {
                    text.push_str(&format!("\x1b[{codes}m"));
                }
                style = codes;
            }
            text.push_str(cell.symbol());
        }
        if !style.is_empty() {
            text.push_str("\x1b[0m");
        }
        text.push('\n');
    }
    text
}

/// The SGR parameters (ECMA-48) of the style of a cell.
fn sgr_codes(cell: &Cell) -> String {
    let mut codes: Vec<String> = Vec::new();
    for (modifier, code) in [(Modifier::BOLD, "1"), (Modifier::DIM, "2"), (Modifier::REVERSED, "7")]
    {
        if cell.modifier.contains(modifier) {
            codes.push(code.to_owned());
        }
    }
    const NAMED: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    match cell.fg {
        Color::Rgb(r, g, b) => codes.push(format!("38;2;{r};{g};{b}")),
        Color::Indexed(index) => codes.push(format!("38;5;{index}")),
        named => codes.extend(NAMED.iter().position(|c| *c == named).map(|i| {
            let base = if i < 8 { 30 + i } else { 90 + i - 8 };
            base.to_string()
        })),
    }
    codes.join(";")
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn escapes_surround_the_coloured_text() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 2));
        buffer.set_string(0, 0, "a", Style::new());
        buffer.set_string(1, 0, "bc", Style::new().fg(Color::LightRed));
        buffer.set_string(3, 0, "实d", Style::new().fg(Color::Rgb(1, 2, 3)));
        assert_eq!(lines(&buffer, Escapes::None), "abc实d\n\n");
        let lines = lines(&buffer, Escapes::Ansi);
        assert_eq!(lines, "a\x1b[91mbc\x1b[0m\x1b[38;2;1;2;3m实d\x1b[0m\n\n");
    }
}
