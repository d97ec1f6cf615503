//! The figure of `explain`: the parts of the change, as the page shows them.

use super::document::{heading, thin};
use crate::cli::tokens::cells::{fixed, number};
use entropy_plot::{ChartOptions, PartBar, PartSection, Parts};
use entropy_tokens::{Changes, Interval};

/// The parts of the change; `None` without any.
pub(super) fn parts(changes: &Changes, run: &str) -> Option<Parts> {
    let main = changes.main.as_ref()?;
    let change = main.change.value;
    let bar = |name: &str, part: &Interval, share: &Interval, tokens: Option<f64>| PartBar {
        name: name.to_owned(),
        value: part.value,
        interval: part.low.zip(part.high),
        even: tokens.map(|tokens| tokens * change),
        words: [fixed(part.value, 3), format!("{} %", fixed(100.0 * share.value, 0))],
    };
    let sections: Vec<PartSection> = changes
        .splits
        .iter()
        .map(|split| {
            let rows = split.rows.iter();
            let mut rows: Vec<PartBar> = rows
                .map(|row| bar(&row.name, &row.within, &row.within_share, Some(row.token_share)))
                .collect();
            rows.push(bar("changed mix", &split.mix, &split.mix_share, None));
            let note = thin(split).map_or_else(String::new, |thin| format!(" ({thin})"));
            PartSection { heading: format!("{}{note}", heading(split.by)), rows }
        })
        .collect();
    (!sections.is_empty()).then(|| Parts {
        title: format!("Where the entropy of {run} changed"),
        subtitle: vec![
            format!(
                "{} nats per token from step {} to {}",
                number(change),
                main.from.step,
                main.to.step
            ),
            "line: 95 % interval".to_owned(),
            "upright mark: in proportion to the tokens".to_owned(),
        ],
        axis_name: "part of the change (nats per token)".to_owned(),
        sections,
    })
}

/// All texts that may be drawn.
pub(super) fn texts(data: &Parts, options: &ChartOptions) -> Vec<String> {
    let given = [&options.title, &options.footer, &options.x_label, &options.y_label];
    let mut texts: Vec<String> = given.into_iter().flatten().cloned().collect();
    texts.extend([data.title.clone(), data.axis_name.clone()]);
    texts.extend(data.subtitle.iter().cloned());
    for section in &data.sections {
        texts.push(section.heading.clone());
        texts.extend(section.rows.iter().flat_map(|row| [row.name.clone(), row.words.concat()]));
    }
    texts
}
