//! What the keys mean.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::view::{Act, View};

/// What a key means.
#[derive(Debug, PartialEq)]
pub(super) enum Key {
    Act(Act),
    Leave,
    Interrupt,
    Suspend,
}

pub(super) fn meaning(key: KeyEvent, view: &View) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Key::Interrupt),
            KeyCode::Char('z') => Some(Key::Suspend),
            _ => None,
        };
    }
    let act = match key.code {
        KeyCode::Esc | KeyCode::Char('q') if view.help => Act::Help,
        KeyCode::Esc | KeyCode::Char('q') => return Some(Key::Leave),
        KeyCode::Char('?' | 'h') => Act::Help,
        KeyCode::Char('s') => Act::Smoother,
        KeyCode::Char('S') => Act::Rougher,
        KeyCode::Char('l') => Act::Scale,
        KeyCode::Char('+' | '=') => Act::ZoomIn,
        KeyCode::Char('-') => Act::ZoomOut,
        KeyCode::Left => Act::Left,
        KeyCode::Right => Act::Right,
        KeyCode::Up | KeyCode::Char('k') => Act::Select(-1),
        KeyCode::Down | KeyCode::Char('j') => Act::Select(1),
        KeyCode::PageUp => Act::Select(-10),
        KeyCode::PageDown => Act::Select(10),
        KeyCode::Char(' ') => Act::Toggle,
        KeyCode::Char(digit @ '1'..='9') => {
            Act::ToggleNumber(digit.to_digit(10).map_or(0, |digit| digit as usize - 1))
        }
        KeyCode::Char('o') => Act::Only,
        KeyCode::Char('a') => Act::All,
        KeyCode::Char('r') => Act::Reset,
        _ => return None,
    };
    Some(Key::Act(act))
}
