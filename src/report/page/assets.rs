//! The scripts and styles of the page.

pub(in crate::report) static STYLE: &str = concat!(
    include_str!("../../../assets/uplot/uPlot.min.css"),
    "\n",
    include_str!("../../../templates/report.css")
);
pub(super) static UPLOT: &str = include_str!("../../../assets/uplot/uPlot.iife.min.js");
/// The files share one scope.
pub(super) static SCRIPT: &str = concat!(
    "(() => {\n'use strict';\n",
    include_str!("../../../templates/elements.js"),
    include_str!("../../../templates/report/data.js"),
    include_str!("../../../templates/report/format.js"),
    include_str!("../../../templates/report/bands.js"),
    include_str!("../../../templates/report/tables.js"),
    include_str!("../../../templates/report/raster.js"),
    include_str!("../../../templates/report/axes.js"),
    include_str!("../../../templates/report/painter.js"),
    include_str!("../../../templates/report/run_list.js"),
    include_str!("../../../templates/report/cursor.js"),
    include_str!("../../../templates/report/figure.js"),
    include_str!("../../../templates/report/downloads.js"),
    include_str!("../../../templates/report/describe.js"),
    include_str!("../../../templates/report/chart.js"),
    include_str!("../../../templates/report/readout.js"),
    include_str!("../../../templates/report/curves.js"),
    include_str!("../../../templates/report/sections.js"),
    include_str!("../../../templates/report/state.js"),
    include_str!("../../../templates/report/page.js"),
    "})();\n"
);
pub(in crate::report) static TOKENS_STYLE: &str = include_str!("../../../templates/tokens.css");
/// The files share one scope.
pub(in crate::report) static TOKENS_SCRIPT: &str = concat!(
    "(() => {\n'use strict';\n",
    include_str!("../../../templates/elements.js"),
    include_str!("../../../templates/tokens/data.js"),
    include_str!("../../../templates/tokens/charts.js"),
    include_str!("../../../templates/tokens/lines.js"),
    include_str!("../../../templates/tokens/heat_map.js"),
    include_str!("../../../templates/tokens/reader.js"),
    include_str!("../../../templates/tokens/sections.js"),
    include_str!("../../../templates/tokens/page.js"),
    "})();\n"
);

pub(super) static EXPLAIN_STYLE: &str = include_str!("../../../templates/explain.css");
/// The files share one scope.
pub(super) static EXPLAIN_SCRIPT: &str = concat!(
    "(() => {\n'use strict';\n",
    include_str!("../../../templates/elements.js"),
    include_str!("../../../templates/explain.js"),
    "})();\n"
);

pub(super) static LIVE_STYLE: &str = include_str!("../../../templates/live.css");
pub(super) static LIVE_SCRIPT: &str = include_str!("../../../templates/live.js");

/// A script or a style without comments that fill whole lines, and without indentation. No text in these files spans
/// lines.
pub(super) fn packed(text: &str) -> String {
    let mut packed = String::with_capacity(text.len());
    let mut is_comment = false;
    for line in text.lines().map(str::trim) {
        is_comment |= line.starts_with("/*");
        if !(is_comment || line.is_empty() || line.starts_with("//")) {
            packed.push_str(line);
            packed.push('\n');
        }
        is_comment &= !line.ends_with("*/");
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_scripts_have_no_comments_and_all_code() {
        let text = "/** Says\n * what.\n */\nconst a = 1; // one\n\n  // two\n  f(`/* ${a} */`);\n/* one line */\ng();\n";
        assert_eq!(packed(text), "const a = 1; // one\nf(`/* ${a} */`);\ng();\n");
        for script in [SCRIPT, TOKENS_SCRIPT, EXPLAIN_SCRIPT, LIVE_SCRIPT] {
            // A text in backquotes that spans lines would lose its indentation.
            let odd = script
                .lines()
                .filter(|line| !line.trim().starts_with(['/', '*']))
                .find(|line| line.replace("'`'", "").matches('`').count() % 2 == 1);
            assert_eq!(odd, None);
            assert!(packed(script).len() < script.len() * 9 / 10, "{}", script.len());
        }
    }
}
