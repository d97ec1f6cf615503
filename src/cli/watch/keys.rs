//! The key bindings of the screen.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::view::{View, ViewAction};

/// The effect of a key.
#[derive(Debug, PartialEq)]
pub(super) enum Key {
    View(ViewAction),
    Quit,
    /// Write the command of the view.
    Write,
    Interrupt,
    Suspend,
}

/// The effect of a key in the current view; `None` for a key without one.
pub(super) fn key_action(key: KeyEvent, view: &View) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Key::Interrupt),
            KeyCode::Char('z') => Some(Key::Suspend),
            _ => None,
        };
    }
    if view.is_typing {
        return typed(key.code).map(Key::View);
    }
    let action = match key.code {
        KeyCode::Esc if !view.help && !view.filter().is_empty() => ViewAction::ClearFilter,
        KeyCode::Esc if !view.help && view.pointer.is_some() => ViewAction::ClearPointer,
        KeyCode::Esc | KeyCode::Char('q') if view.help => ViewAction::ToggleHelp,
        KeyCode::Esc | KeyCode::Char('q') => return Some(Key::Quit),
        KeyCode::Char('w') => return Some(Key::Write),
        KeyCode::Char('?' | 'h') => ViewAction::ToggleHelp,
        KeyCode::Char('s') => ViewAction::MoreSmoothing,
        KeyCode::Char('S') => ViewAction::LessSmoothing,
        KeyCode::Char('l') => ViewAction::ToggleScale,
        KeyCode::Char('+' | '=') => ViewAction::ZoomIn,
        KeyCode::Char('-') => ViewAction::ZoomOut,
        KeyCode::Left => ViewAction::Left,
        KeyCode::Right => ViewAction::Right,
        KeyCode::Up | KeyCode::Char('k') => ViewAction::Select(-1),
        KeyCode::Down | KeyCode::Char('j') => ViewAction::Select(1),
        KeyCode::PageUp => ViewAction::Select(-10),
        KeyCode::PageDown => ViewAction::Select(10),
        KeyCode::Char(' ') => ViewAction::ToggleSelected,
        KeyCode::Char(digit @ '1'..='9') => {
            ViewAction::ToggleNth(digit.to_digit(10).map_or(0, |digit| digit as usize - 1))
        }
        KeyCode::Char('o') => ViewAction::SelectedOnly,
        KeyCode::Char('a') => ViewAction::AllOrNone,
        KeyCode::Char('/') => ViewAction::EditFilter,
        KeyCode::Char('t') => ViewAction::NextSort,
        KeyCode::Char('T') => ViewAction::ReverseSort,
        KeyCode::Tab => ViewAction::NextPanel,
        KeyCode::Char('r') => ViewAction::Reset,
        _ => return None,
    };
    Some(Key::View(action))
}

/// The effect of a key while a filter is typed.
fn typed(code: KeyCode) -> Option<ViewAction> {
    Some(match code {
        KeyCode::Char(character) => ViewAction::Type(character),
        KeyCode::Backspace => ViewAction::Erase,
        KeyCode::Enter => ViewAction::KeepFilter,
        KeyCode::Esc => ViewAction::ClearFilter,
        KeyCode::Up => ViewAction::Select(-1),
        KeyCode::Down => ViewAction::Select(1),
        _ => return None,
    })
}
