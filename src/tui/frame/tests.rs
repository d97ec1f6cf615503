use std::time::{Duration, SystemTime};

use super::*;
use crate::tui::palette::ColourDepth;
use crate::tui::quantity::Quantity;
use crate::tui::run_status::{RunStatus, StatusConfig};
use crate::tui::scene::Listing;
use crate::tui::view::{View, ViewAction};
use entropy_history::history::{History, Point, Run};
use entropy_history::quantity::EntropyKind;
use entropy_history::stats::check::Rules;
use entropy_history::stats::health::Thresholds;
use entropy_plot::theme::DARK;

const CONFIG: StatusConfig = StatusConfig {
    rules: Rules::NONE,
    thresholds: Thresholds { collapse_ratio: 0.25, explode_ratio: 2.0 },
    stale_after: Some(Duration::from_secs(600)),
    change_steps: 20.0,
};

fn run(label: &str, value: impl Fn(f64) -> f64) -> Run {
    let at = |i: i32| Point { step: f64::from(i), entropy: value(f64::from(i)) };
    let points = (1..=100).map(at).collect();
    let (history, _) = History::from_raw(label, EntropyKind::TokenMean, points).unwrap();
    Run::new(history, format!("{label}.json"), "rzero", "entropy")
}

fn view() -> View {
    View::new(Smoothing::None, ValueScale::Linear, (f64::NEG_INFINITY, f64::INFINITY))
}

/// A row of the screen as text, without the empty cell after each wide character.
fn row(buffer: &Buffer, y: u16) -> String {
    let mut text = String::new();
    let mut x = 0;
    while x < buffer.area.width {
        let symbol = buffer[(x, y)].symbol();
        text.push_str(symbol);
        x += symbol.width().max(1) as u16;
    }
    text
}

/// The rows of a frame, each as wide as the screen.
fn frame(runs: &[Run], view: &View, width: u16, height: u16, depth: ColourDepth) -> Vec<String> {
    frame_with(runs, &[], view, (width, height), depth)
}

/// [`frame`] with these quantities.
fn frame_with(
    runs: &[Run],
    quantities: &[Quantity],
    view: &View,
    (width, height): (u16, u16),
    depth: ColourDepth,
) -> Vec<String> {
    drawn(runs, quantities, view, (width, height), (depth, true))
}

/// The frame without keys, as it is printed.
fn printed(runs: &[Run], (width, height): (u16, u16)) -> Vec<String> {
    drawn(runs, &[], &view(), (width, height), (ColourDepth::True, false))
}

fn drawn(
    runs: &[Run],
    quantities: &[Quantity],
    view: &View,
    (width, height): (u16, u16),
    (depth, keys): (ColourDepth, bool),
) -> Vec<String> {
    let now = SystemTime::now();
    let statuses: Vec<RunStatus> =
        runs.iter().map(|run| RunStatus::of(run, None, &CONFIG, now)).collect();
    let scene = Scene {
        runs,
        statuses: &statuses,
        listing: &Listing::default().updated(runs, &statuses, view),
        quantities,
        levels: &[],
        view,
        palette: Palette { depth, theme: &DARK },
        change_steps: 20.0,
        message: None,
        waiting: "waiting",
        keys,
    };
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    render(&scene, area, &mut buffer);
    (0..height).map(|y| row(&buffer, y)).collect()
}

/// Quantities that all runs but the first have.
fn quantities(runs: &[Run], names: &[&str]) -> Vec<Quantity> {
    let history = |at: usize| Some(runs[at].history.clone()).filter(|_| at > 0);
    let quantity = |name: &&str| Quantity {
        name: (*name).to_owned(),
        title: format!("{name} · actor/{name}"),
        histories: (0..runs.len()).map(history).collect(),
    };
    names.iter().map(quantity).collect()
}

#[test]
fn each_quantity_has_a_panel_with_the_steps_of_the_others() {
    let runs = [run("a", |x| 2.0 + 0.01 * x), run("b", |x| 20.0 - 0.01 * x)];
    let with = quantities(&runs, &["kl", "reward", "lr"]);
    let rows = frame_with(&runs, &with, &view(), (100, 30), ColourDepth::Plain);
    let all = rows.join("\n");
    for title in ["entropy · nats", "kl · actor/kl", "reward · actor/reward", "lr · actor/lr"] {
        assert!(all.contains(title), "{title}: {all}");
    }
    assert!(!all.contains("more"), "{all}");
    // The plots of a column begin at the same place, and the lowest has the steps of all.
    let corners: Vec<usize> =
        rows.iter().filter_map(|row| row.chars().position(|symbol| symbol == '└')).collect();
    assert_eq!(corners.len(), 2, "{all}");
    assert_eq!(corners[0], corners[1], "{all}");
    let labels = |text: &str| rows.iter().filter(|row| row.contains(text)).count();
    assert_eq!(labels(" 50 "), 1, "{all}");
    // The first run has no other quantity.
    let marked = rows.iter().skip_while(|row| !row.contains("kl · "));
    assert!(marked.take(9).all(|row| !row.chars().take(48).any(|symbol| symbol == 'A')), "{all}");
}

#[test]
fn quantities_that_do_not_fit_are_named_and_come_in_turn() {
    let runs = [run("a", |_| 2.0), run("b", |_| 1.0)];
    let with = quantities(&runs, &["kl", "reward"]);
    let mut view = view();
    let rows =
        |view: &View| frame_with(&runs, &with, view, (60, 14), ColourDepth::Plain).join("\n");
    let first = rows(&view);
    assert!(first.contains("entropy · nats") && first.contains("2 more (Tab: next): kl, reward"));
    view.apply(ViewAction::NextPanel, &[], (0.0, 1.0));
    let second = rows(&view);
    assert!(second.contains("kl · actor/kl") && second.contains("entropy, reward"), "{second}");
}

#[test]
fn draws_any_size_and_number_of_runs() {
    for count in [0, 1, 7, 60, 200] {
        let runs: Vec<Run> =
            (0..count).map(|i| run(&format!("实验_{i}_α"), |x| 3.0 - 0.02 * x)).collect();
        let mut all = view();
        all.apply(ViewAction::ToggleHelp, &[], (0.0, 1.0));
        for (width, height) in [(1, 1), (20, 3), (24, 8), (80, 24), (119, 9), (120, 5), (200, 50)] {
            let with = quantities(&runs, &["kl", "reward", "length"]);
            for (view, with) in [(&view(), &[][..]), (&all, &[]), (&view(), &with)] {
                let size = (width, height);
                let rows = frame_with(&runs, with, view, size, ColourDepth::True);
                assert_eq!(rows.len(), usize::from(height));
            }
        }
    }
}

#[test]
fn table_counts_the_runs_that_do_not_fit() {
    let runs: Vec<Run> = (0..60).map(|i| run(&format!("run_{i}"), |_| 2.0)).collect();
    let mut view = view();
    let rows = frame(&runs, &view, 80, 24, ColourDepth::True).join("\n");
    assert!(rows.contains("run_0") && rows.contains("↓ 53 more"), "{rows}");
    let labels: Vec<&str> = runs.iter().map(|run| run.history.label()).collect();
    view.apply(ViewAction::Select(-1), &labels, (0.0, 100.0));
    let rows = frame(&runs, &view, 80, 24, ColourDepth::True).join("\n");
    assert!(rows.contains("run_59") && rows.contains("↑ 53 more"), "{rows}");
    let wide = frame(&runs, &view, 200, 70, ColourDepth::True).join("\n");
    assert!(!wide.contains("more"), "{wide}");
}

/// Healthy runs, then one that falls, one that explodes and two that collapse.
fn mixed(healthy: usize) -> Vec<Run> {
    let name = |i: usize| format!("grpo_seed{i}");
    let mut runs: Vec<Run> = (0..healthy).map(|i| run(&name(i), |_| 2.0)).collect();
    runs.push(run(&name(healthy), |x| 2.0 - 0.012 * x));
    runs.push(run(&name(healthy + 1), |x| if x > 30.0 { 9.0 } else { 2.0 }));
    runs.extend([2, 3].map(|i| run(&name(healthy + i), |x| if x > 60.0 { 0.1 } else { 2.0 })));
    runs
}

#[test]
fn printed_table_that_is_cut_begins_with_the_runs_in_trouble() {
    let runs = mixed(196);
    for size in [(80, 24), (120, 40), (200, 60), (40, 10)] {
        let rows = printed(&runs, size);
        let at = |word: &str| rows[1..].iter().position(|row| row.contains(word));
        let all = rows.join("\n");
        assert!(at("collapsed") < at("falling") && at("falling") < at("healthy"), "{all}");
        assert!(at("exploded").is_some() && at("exploded") < at("falling"), "{all}");
        assert!(all.contains("state▴") && all.contains('↓'), "{all}");
    }
    // With keys, and where all rows fit, they have the order of the inputs.
    let live = frame(&runs, &view(), 80, 24, ColourDepth::True).join("\n");
    assert!(live.contains("↓ 193 more") && live.find("grpo_seed0 ") < live.find("grpo_seed1 "));
    assert!(!live.contains("state▴"), "{live}");
    let few = printed(&mixed(2), (80, 24)).join("\n");
    assert!(!few.contains("state▴") && few.find("seed0 ") < few.find("seed5 "), "{few}");
}

#[test]
fn small_screen_keeps_the_states_and_says_that_it_has_no_chart() {
    let rows = printed(&mixed(8), (40, 10));
    let all = rows.join("\n");
    assert!(rows[0].starts_with("12 runs · 1 exploded · 2 collapsed …"), "{all}");
    assert!(rows[1].contains("the screen is too low for a chart"), "{all}");
    assert!(all.contains("seed10 ") && all.contains("collapsed") && all.contains("↓5"), "{all}");
    assert!(!all.contains("Δ20"), "the change is left out first: {all}");
    // One run leaves room for a chart.
    let one = printed(&mixed(0)[..1], (40, 10)).join("\n");
    assert!(one.contains('└') && one.contains("falling") && !one.contains("too low"), "{one}");
    let low = printed(&mixed(8), (130, 6)).join("\n");
    assert!(low.contains("too low for a chart"), "{low}");
}

#[test]
fn panels_beside_each_other_have_the_table_below_where_it_would_leave_one_column() {
    let runs = mixed(0);
    let with = quantities(&runs, &["kl", "reward", "lr"]);
    let rows = frame_with(&runs, &with, &view(), (120, 40), ColourDepth::True);
    let all = rows.join("\n");
    assert!(
        rows[1].contains("entropy · nats") && rows[1].contains("reward · actor/reward"),
        "{all}"
    );
    assert!(rows[38].trim_start().starts_with('━') && rows[38].contains("grpo_seed3"), "{all}");
    // One panel has the table at its side.
    let one = frame(&runs, &view(), 120, 40, ColourDepth::True);
    assert!(one[2].contains("grpo_seed0"), "{}", one.join("\n"));
}

#[test]
fn filter_and_order_choose_the_rows() {
    let mut runs: Vec<Run> = (1..=9).map(|i| run(&format!("solver_s{i}"), |_| 2.0)).collect();
    runs.push(run("solver_s10", |x| 2.0 - 0.01 * x));
    runs.push(run("questioner", |_| 3.0));
    let mut view = view();
    let press = |view: &mut View, actions: &[ViewAction]| {
        actions.iter().for_each(|action| view.apply(*action, &[], (0.0, 1.0)));
        frame(&runs, view, 80, 24, ColourDepth::True)
    };
    let typed = ['S', '1'].map(ViewAction::Type);
    let rows = press(&mut view, &[&[ViewAction::EditFilter], &typed[..]].concat());
    assert!(rows[0].starts_with("2 of 11 runs · 1 healthy · 1 falling"), "{}", rows.join("\n"));
    assert!(rows[23].starts_with("/S1▏  2 of 11 runs   Enter keep  Esc clear"), "{}", rows[23]);
    let sorted = [ViewAction::KeepFilter, ViewAction::NextSort, ViewAction::NextSort];
    let rows = press(&mut view, &sorted);
    assert!(rows[0].trim_end().ends_with("“S1”") && rows[23].starts_with("q quit"));
    let at = |name: &str| rows.iter().position(|row| row.contains(name)).unwrap();
    assert!(rows.iter().any(|row| row.contains("last▴")) && at("solver_s10") < at("solver_s1 "));
    let none = press(&mut view, &[ViewAction::Type('!')]).join("\n");
    assert!(
        none.contains("no run matches the filter") && none.starts_with("0 of 11 runs"),
        "{none}"
    );
}

#[test]
fn of_many_runs_few_have_a_colour_and_the_selected_one_stands_out() {
    let run = |i: u32| run(&format!("r{i}"), |_| 1.0 + 0.1 * f64::from(i));
    let runs: Vec<Run> = (0..20).map(run).collect();
    let now = SystemTime::now();
    let statuses: Vec<RunStatus> =
        runs.iter().map(|run| RunStatus::of(run, None, &CONFIG, now)).collect();
    let listing = Listing::default().updated(&runs, &statuses, &view());
    let coloured: Vec<usize> =
        (0..20).filter(|i| listing.styles.of(&format!("r{i}")).is_some()).collect();
    assert_eq!(coloured, [0, 1, 2, 3, 16, 17, 18, 19], "the highest and the lowest");
    let mut view = view();
    let rows = frame(&runs, &view, 80, 44, ColourDepth::True).join("\n");
    assert!(rows.contains("━━ r0") && rows.contains("── r10"), "{rows}");
    // All of the few runs that are left have a colour.
    for character in "r1".chars() {
        view.apply(ViewAction::Type(character), &[], (0.0, 1.0));
    }
    let few = listing.updated(&runs, &statuses, &view);
    assert_eq!(few.rows.len(), 11);
    assert!(few.rows.iter().all(|row| few.styles.of(&format!("r{row}")).is_some()));
    assert_eq!(few.styles.of("r16"), listing.styles.of("r16"));
}

#[test]
fn control_characters_are_escaped_and_wide_names_stay_aligned() {
    let runs = [run("\u{1b}]0;owned\u{7}x", |_| 2.0), run("实验实验", |_| 1.0), run("q", |_| 3.0)];
    let rows = frame(&runs, &view(), 100, 24, ColourDepth::True);
    let all = rows.join("\n");
    assert!(!all.contains('\u{1b}') && all.contains(r"\u{1b}]0;owned\u{7}x"), "{all}");
    let column = |name: &str| {
        let row = rows.iter().find(|row| row.contains(name)).unwrap();
        row.split("healthy").next().unwrap().width()
    };
    assert_eq!(column("实验实验"), column("q  "));
}

#[test]
fn curves_have_letters_without_colour() {
    let runs = [run("a", |_| 2.0), run("b", |_| 1.0)];
    let rows = frame(&runs, &view(), 80, 24, ColourDepth::Plain);
    let marked = |mark: char| rows.iter().position(|row| row.contains(mark)).unwrap();
    assert!(marked('A') < marked('B') && marked('B') < 18, "{}", rows.join("\n"));
    assert!(rows.iter().any(|row| row.starts_with(" A  a")), "{}", rows.join("\n"));
}

#[test]
fn states_are_counted_and_have_a_step() {
    let falls = run("falls", |x| if x > 60.0 { 0.1 } else { 2.0 });
    let rows = frame(&[run("a", |_| 2.0), falls], &view(), 80, 24, ColourDepth::True).join("\n");
    assert!(rows.starts_with("2 runs · 1 healthy · 1 collapsed"), "{rows}");
    // The median of five is low from step 63 on, the fifth time at step 67.
    assert!(rows.contains("collapsed @ 67"), "{rows}");
}

#[test]
fn help_counts_the_keys_that_do_not_fit() {
    let mut view = view();
    view.apply(ViewAction::ToggleHelp, &[], (0.0, 1.0));
    let rows =
        |height| frame(&[run("a", |_| 2.0)], &view, 80, height, ColourDepth::True).join("\n");
    let all = HELP.len() as u16 + 2;
    assert!(rows(all).contains("q  Esc  Ctrl-C") && !rows(all).contains("taller"), "{}", rows(all));
    assert!(rows(all - 2).contains(" 2 more keys in a taller window "), "{}", rows(all - 2));
}

#[test]
fn help_and_keys_are_not_cut() {
    let key_width = HELP.iter().map(|(key, _)| key.width()).max().unwrap();
    for (_, effect) in HELP {
        assert!(key_width + 2 + effect.width() + 4 <= 80, "{effect}");
    }
    let keys = |width| {
        let rows = frame(&[run("a", |_| 2.0)], &view(), width, 24, ColourDepth::True);
        rows[23].trim_end().to_owned()
    };
    assert!(keys(80).ends_with("↑ ↓ run  / filter  t sort"), "{}", keys(80));
    assert_eq!(keys(60), "q quit  ? help  s S smooth  l log  + − zoom  ← → pan");
    // So are the settings in the first line.
    let mut view = view();
    let actions = [ViewAction::ZoomIn, ViewAction::MoreSmoothing, ViewAction::ToggleScale];
    actions.iter().for_each(|action| view.apply(*action, &[], (0.0, 100.0)));
    let first = |width| frame(&[run("a", |_| 2.0)], &view, width, 24, ColourDepth::True)[0].clone();
    assert!(first(60).ends_with("zoomed · EMA 0.5 · log"), "{}", first(60));
    assert!(first(36).ends_with(" zoomed · EMA 0.5"), "{}", first(36));
}

#[test]
fn long_names_stay_distinct_in_a_narrow_table() {
    let names = ["1e-5", "1e-6"]
        .map(|rate| format!("the_same_run_for_all_{rate}_of_a_model_that_is_large"));
    let runs = names.map(|name| run(&name, |x| if x > 60.0 { 0.1 } else { 2.0 }));
    let rows = frame(&runs, &view(), 60, 24, ColourDepth::True).join("\n");
    assert!(rows.contains("the_same…") && rows.contains("collapsed @ 67"), "{rows}");
    assert!(rows.contains(" all_1e-5 ") && rows.contains(" all_1e-6 "), "{rows}");
}
