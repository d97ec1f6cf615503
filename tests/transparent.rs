//! `--theme transparent`: no chart has a background, in no file type.

use std::fs;

use crate::common::{files, fixture, run, stderr};

/// Runs a command in a new directory and returns its pictures.
fn pictures(arguments: &[&str], fixtures: &[&str]) -> Vec<(String, Vec<u8>)> {
    let tmp = tempfile::tempdir().unwrap();
    let paths = fixtures.iter().map(|path| fixture(path).to_str().unwrap().to_owned());
    let paths: Vec<String> = paths.collect();
    let command: Vec<&str> =
        arguments.iter().copied().chain(paths.iter().map(String::as_str)).collect();
    let output = run(tmp.path(), &command);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    let read = |name: String| {
        let bytes = fs::read(tmp.path().join(&name)).unwrap();
        (name, bytes)
    };
    files(tmp.path()).into_iter().map(read).collect()
}

#[test]
fn no_chart_has_a_background() {
    let transparent = ["--theme", "transparent", "-o", "a.svg"];
    let law = ["--reward", "reward"];
    let cases: [(&str, &[&str], &str, usize); 5] = [
        ("plot", &["--with-stats"], "models", 2),
        ("plot", &["--facet", "questioner|solver"], "models", 1),
        ("stats", &["--comparison-plot", "b.svg"], "models", 2),
        ("law", &law, "trainer_state/qwen3-tiny_questioner_s1", 1),
        ("tokens", &[], "tokens/run.jsonl", 5),
    ];
    for (command, flags, path, count) in cases {
        let arguments = [&[command][..], &transparent, flags].concat();
        let drawn = pictures(&arguments, &[path]);
        assert!(drawn.len() >= count, "{arguments:?}: {} pictures", drawn.len());
        for (name, svg) in drawn {
            let svg = String::from_utf8(svg).unwrap();
            let background = svg.lines().find(|line| line.starts_with("<rect")).unwrap();
            let is_seen_through = background.contains("fill-opacity=\"0\"");
            assert!(is_seen_through, "{arguments:?}: {name}: {background}");
            // Grid lines are mixed with the background, so they are translucent without it. Heat maps have none.
            let has_grid = !name.contains("heat-map");
            assert!(!has_grid || svg.contains("stroke-opacity=\"0."), "{arguments:?}: {name}");
        }
    }
}

#[test]
fn png_has_opacity_only_without_a_background() {
    // Byte 25 of a PNG is its colour type: 6 is RGB with opacity, 2 is RGB (ISO/IEC 15948, 11.2.2).
    for (theme, kind) in [("transparent", 6), ("light", 2)] {
        let arguments = ["plot", "--theme", theme, "--dpi", "60", "-o", "a.png"];
        let drawn = pictures(&arguments, &["models"]);
        assert_eq!(drawn[0].1[25], kind, "{theme}");
    }
    let pdf = pictures(&["plot", "--theme", "transparent", "-o", "a.pdf"], &["models"]);
    assert!(pdf[0].1.starts_with(b"%PDF"));
}
