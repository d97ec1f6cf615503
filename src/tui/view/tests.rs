use super::*;

const RUNS: [&str; 3] = ["a", "b", "c"];
const ALL: (f64, f64) = (0.0, 100.0);

fn after(actions: &[ViewAction]) -> View {
    let limits = (f64::NEG_INFINITY, f64::INFINITY);
    let mut view = View::new(Smoothing::None, ValueScale::Linear, limits);
    actions.iter().for_each(|action| view.apply(*action, &RUNS, ALL));
    view
}

fn shown(actions: &[ViewAction]) -> Vec<&'static str> {
    let view = after(actions);
    RUNS.into_iter().filter(|label| view.is_shown(label)).collect()
}

#[test]
fn zoom_follows_the_newest_step_until_it_is_moved() {
    let view = after(&[ViewAction::ZoomIn, ViewAction::ZoomIn]);
    assert_eq!(view.visible_steps(ALL), (75.0, 100.0));
    assert_eq!(view.visible_steps((0.0, 140.0)), (115.0, 140.0));
    let moved = after(&[ViewAction::ZoomIn, ViewAction::ZoomIn, ViewAction::Left]);
    assert_eq!(moved.visible_steps((0.0, 140.0)), (68.75, 93.75));
    assert_eq!(
        after(&[ViewAction::ZoomIn, ViewAction::Left, ViewAction::Right])
            .visible_steps((0.0, 140.0)),
        (90.0, 140.0)
    );
}

#[test]
fn zoom_keeps_the_middle_and_is_limited_to_all_steps() {
    let actions = [
        ViewAction::ZoomIn,
        ViewAction::ZoomIn,
        ViewAction::Left,
        ViewAction::Left,
        ViewAction::ZoomIn,
    ];
    assert_eq!(after(&actions[..4]).visible_steps(ALL), (62.5, 87.5));
    assert_eq!(after(&actions).visible_steps(ALL), (68.75, 81.25));
    assert_eq!(after(&[ViewAction::ZoomIn, ViewAction::ZoomOut]).visible_steps(ALL), ALL);
    assert!(!after(&[ViewAction::ZoomIn, ViewAction::ZoomOut, ViewAction::ZoomOut]).is_zoomed());
    assert_eq!(
        after(&[[ViewAction::ZoomIn; 1].as_slice(), &[ViewAction::Left; 7]].concat())
            .visible_steps(ALL),
        (0.0, 50.0)
    );
    let deep = after(&[ViewAction::ZoomIn; 60]).visible_steps(ALL);
    assert!(deep.1 - deep.0 > 0.0);
}

#[test]
fn zoom_at_a_step_keeps_it_in_place() {
    let at = |by, step| after(&[ViewAction::ZoomAt(by, step)]).visible_steps(ALL);
    assert_eq!(at(0.5, 20.0), (10.0, 60.0)); // before and after, it is at a fifth
    assert_eq!(at(0.5, 100.0), (50.0, 100.0));
    assert_eq!(at(2.0, 20.0), ALL);
    let back = [ViewAction::ZoomAt(0.25, 8.0), ViewAction::ZoomAt(2.0, 8.0)];
    assert_eq!(after(&back).visible_steps(ALL), (4.0, 54.0));
}

#[test]
fn second_click_on_a_step_points_at_none() {
    assert_eq!(after(&[ViewAction::PointAt(3.0)]).pointer, Some(3.0));
    assert_eq!(after(&[ViewAction::PointAt(3.0); 2]).pointer, None);
    for clear in [ViewAction::ClearPointer, ViewAction::Reset] {
        assert_eq!(after(&[ViewAction::PointAt(3.0), clear]).pointer, None);
    }
}

#[test]
fn runs_can_be_hidden_and_shown_again() {
    let (down, up) = (ViewAction::Select(1), ViewAction::Select(-1));
    assert_eq!(shown(&[down, ViewAction::ToggleSelected]), ["b", "c"]);
    assert_eq!(shown(&[up, ViewAction::ToggleSelected]), ["a", "b"]);
    assert_eq!(shown(&[down, down, ViewAction::SelectedOnly]), ["b"]);
    assert_eq!(shown(&[down, down, ViewAction::SelectedOnly, ViewAction::SelectedOnly]), RUNS);
    assert_eq!(shown(&[ViewAction::ToggleNth(1), ViewAction::ToggleNth(7)]), ["a", "c"]);
    assert_eq!(shown(&[ViewAction::AllOrNone]), [""; 0]);
    assert_eq!(shown(&[ViewAction::AllOrNone, ViewAction::AllOrNone]), RUNS);
    assert_eq!(
        shown(&[ViewAction::ToggleSelected, ViewAction::SelectedOnly]),
        RUNS,
        "nothing is selected"
    );
}

#[test]
fn filter_hides_runs_until_it_is_cleared() {
    let typed = [ViewAction::EditFilter, ViewAction::Type('B')];
    assert!(after(&typed).is_typing);
    assert_eq!(shown(&typed), ["b"]);
    let kept = after(&[&typed[..], &[ViewAction::KeepFilter]].concat());
    assert!(!kept.is_typing && !kept.is_shown("a") && !kept.is_hidden("a"));
    assert_eq!(shown(&[&typed[..], &[ViewAction::Erase, ViewAction::Erase]].concat()), RUNS);
    for clear in [ViewAction::ClearFilter, ViewAction::Reset] {
        assert_eq!(shown(&[&typed[..], &[clear]].concat()), RUNS);
    }
}

#[test]
fn panels_that_do_not_fit_are_shown_in_turn() {
    let panels = |turns, fitting| after(&vec![ViewAction::NextPanel; turns]).panels(4, fitting);
    assert_eq!([panels(0, 1), panels(1, 1), panels(4, 1)], [[0], [1], [0]]);
    assert_eq!([panels(0, 3), panels(1, 3), panels(2, 3)], [[0, 1, 2], [0, 2, 3], [0, 3, 1]]);
    assert_eq!([panels(1, 4), panels(2, 9)], [[0, 1, 2, 3]; 2]);
    assert_eq!(panels(3, 0), [0; 0]);
}

#[test]
fn smoothing_levels_include_the_initial_one() {
    assert_eq!(
        after(&[ViewAction::MoreSmoothing, ViewAction::MoreSmoothing]).smoothing(),
        Smoothing::Ema(0.8)
    );
    assert_eq!(after(&[ViewAction::LessSmoothing]).smoothing(), Smoothing::None);
    assert_eq!(after(&[ViewAction::MoreSmoothing; 20]).smoothing(), Smoothing::Ema(0.99));
    let mut view = View::new(Smoothing::Mean(5), ValueScale::Linear, ALL);
    assert_eq!(view.smoothing(), Smoothing::Mean(5));
    view.apply(ViewAction::LessSmoothing, &RUNS, ALL);
    view.apply(ViewAction::MoreSmoothing, &RUNS, ALL);
    assert_eq!(view.smoothing(), Smoothing::Mean(5));
}
