//! What a click and the wheel do, by the place of the pointer.

use ratatui::layout::Position;

use super::frame::Layout;
use super::view::ViewAction;

/// How much one notch of the wheel zooms.
const NOTCH: f64 = 0.8;

/// What was done with the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gesture {
    /// A click with the left button.
    Click,
    /// A notch of the wheel away from the user.
    WheelUp,
    /// A notch of the wheel towards the user.
    WheelDown,
}

/// What a gesture at a place of the frame does; `None` if it does nothing there.
pub fn mouse_action(gesture: Gesture, at: Position, layout: &Layout) -> Option<ViewAction> {
    if let Some(plot) = layout.plots.iter().find(|plot| plot.area.contains(at)) {
        let step = plot.step_at(at.x);
        return Some(match gesture {
            Gesture::Click => ViewAction::PointAt(step),
            Gesture::WheelUp => ViewAction::ZoomAt(NOTCH, step),
            Gesture::WheelDown => ViewAction::ZoomAt(1.0 / NOTCH, step),
        });
    }
    let table = layout.table.filter(|table| table.area.contains(at))?;
    match gesture {
        Gesture::Click => {
            let row = usize::from(at.y - table.area.y);
            (row < table.rows).then_some(ViewAction::SelectNth(table.first + row))
        }
        Gesture::WheelUp => Some(ViewAction::Select(-1)),
        Gesture::WheelDown => Some(ViewAction::Select(1)),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;
    use crate::tui::chart::PlotPlace;
    use crate::tui::table::TablePlace;

    fn action(gesture: Gesture, x: u16, y: u16) -> Option<ViewAction> {
        // 50 columns are 100 columns of dots, one for each step from 1 to 100.
        let plot = PlotPlace { area: Rect::new(5, 2, 50, 10), steps: (1.0, 100.0) };
        let table = TablePlace { area: Rect::new(0, 15, 60, 4), first: 7, rows: 3 };
        let layout = Layout { plots: vec![plot], table: Some(table) };
        mouse_action(gesture, Position { x, y }, &layout)
    }

    #[test]
    fn click_points_at_a_step_or_selects_a_run() {
        // The first column has the steps 1 and 2, the last one 99 and 100.
        assert_eq!(action(Gesture::Click, 5, 2), Some(ViewAction::PointAt(1.5)));
        assert_eq!(action(Gesture::Click, 54, 11), Some(ViewAction::PointAt(99.5)));
        assert_eq!(action(Gesture::Click, 3, 15), Some(ViewAction::SelectNth(7)));
        assert_eq!(action(Gesture::Click, 3, 17), Some(ViewAction::SelectNth(9)));
        for (x, y) in [(3, 18), (55, 5), (4, 5), (5, 12), (3, 14)] {
            assert_eq!(action(Gesture::Click, x, y), None, "{x} {y}");
        }
    }

    #[test]
    fn wheel_zooms_in_the_chart_and_moves_in_the_table() {
        assert_eq!(action(Gesture::WheelUp, 5, 3), Some(ViewAction::ZoomAt(0.8, 1.5)));
        assert_eq!(action(Gesture::WheelDown, 5, 3), Some(ViewAction::ZoomAt(1.25, 1.5)));
        assert_eq!(action(Gesture::WheelUp, 0, 15), Some(ViewAction::Select(-1)));
        assert_eq!(action(Gesture::WheelDown, 0, 18), Some(ViewAction::Select(1)));
        assert_eq!(action(Gesture::WheelDown, 70, 18), None);
    }
}
