//! The figures of `tokens` of the distribution of entropies, and of entropies by position.

use super::figures::{Figures, subject};
use entropy_plot::{AxisBase, HeatMap, LineShape, Panel, PanelLine, Panels, Xy};
use entropy_tokens::StepAnalysis;

/// Positions of fewer responses are not drawn in a profile: their intervals span the picture.
const MIN_RESPONSES: u64 = 3;

impl Figures<'_> {
    pub(super) fn histogram(&self) -> Result<Panels, String> {
        let steps = self.some_steps(|step| step.entropy.is_some());
        if steps.is_empty() {
            return Err("no entropies".to_owned());
        }
        let max = if self.analysis.histogram_max > 0.0 { self.analysis.histogram_max } else { 1.0 };
        let lines = steps.iter().filter_map(|step| {
            let stats = step.entropy.as_ref()?;
            let width = max / stats.histogram.len() as f64;
            let share = |count: &u64| 100.0 * *count as f64 / stats.tokens as f64;
            // The outline ends at the bottom after the last bin with a token.
            let used =
                stats.histogram.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
            let mut points: Vec<Xy> = stats.histogram[..used]
                .iter()
                .enumerate()
                .map(|(at, count)| (at as f64 * width, share(count)))
                .collect();
            points.push((used as f64 * width, 0.0));
            let shape = LineShape::Steps;
            let name = format!("step {}", step.step);
            Some(PanelLine { name, points, band: Vec::new(), shape, style: None })
        });
        let panel =
            Panel { name: String::new(), base: AxisBase::NotNegative, lines: lines.collect() };
        let bins = format!(
            "{} bins of {} nats",
            entropy_tokens::HISTOGRAM_BINS,
            super::cells::number(max / entropy_tokens::HISTOGRAM_BINS as f64)
        );
        let subtitle = ["share of tokens in each bin, % (log scale)", &bins];
        Ok(self.panels("Token entropies", &subtitle, "entropy of a token (nats)", vec![panel]))
    }

    pub(super) fn profile(&self) -> Result<Panels, String> {
        let steps = self.some_steps(|step| !step.positions.is_empty());
        let lines = steps.iter().map(|step| {
            let bins = || step.positions.iter().filter(|bin| bin.responses >= MIN_RESPONSES);
            let middle = |from: u64, to: u64| (from + to - 1) as f64 / 2.0;
            let points =
                bins().filter_map(|bin| Some((middle(bin.from, bin.to), bin.entropy?.mean)));
            let band = bins().filter_map(|bin| {
                let mean = bin.entropy?;
                Some((middle(bin.from, bin.to), mean.low?, mean.high?))
            });
            let name = format!("step {}", step.step);
            PanelLine {
                name,
                points: points.collect(),
                band: band.collect(),
                shape: LineShape::Straight,
                style: None,
            }
        });
        let lines: Vec<PanelLine> = lines.filter(|line| line.points.len() > 1).collect();
        if lines.is_empty() {
            return Err("no positions with entropies of three responses".to_owned());
        }
        let width = self.analysis.position_width;
        let bins = format!(
            "mean of {} with at least {MIN_RESPONSES} responses",
            match width {
                1 => "each token position".to_owned(),
                _ => format!("bins of {width} tokens"),
            }
        );
        let band = self.band_note(|step| !step.positions.is_empty());
        let subtitle = [band.as_str(), bins.as_str()];
        let base = AxisBase::NotNegative;
        let panel = Panel { name: "entropy (nats)".to_owned(), base, lines };
        let panels =
            self.panels("Entropy by position", &subtitle, "token of the response", vec![panel]);
        Ok(Panels { x_from: Some(0.0), ..panels })
    }

    fn map(
        &self,
        rows: Vec<f64>,
        cells: Vec<Vec<Option<f64>>>,
        y_name: &str,
        what: &str,
    ) -> HeatMap {
        HeatMap {
            title: "Entropy by position and step".to_owned(),
            subject: subject(self.source),
            subtitle: vec![
                format!("mean entropy of {what}"),
                "grey: no token".to_owned(),
                self.size(),
            ],
            columns: self.steps_with_positions().map(|step| step.step.to_string()).collect(),
            rows,
            cells,
            x_name: "step".to_owned(),
            y_name: y_name.to_owned(),
            value_name: "nats".to_owned(),
        }
    }

    fn steps_with_positions(&self) -> impl Iterator<Item = &StepAnalysis> {
        self.steps.iter().copied().filter(|step| !step.positions.is_empty())
    }

    pub(super) fn heat_map(&self) -> Result<HeatMap, String> {
        self.several("entropies", |step| !step.positions.is_empty())?;
        let most = self.steps_with_positions().map(|step| step.positions.len()).max().unwrap_or(0);
        let width = self.analysis.position_width;
        let rows = (1..=most).map(|row| (row * width) as f64).collect();
        let column = |step: &StepAnalysis| {
            (0..most).map(|at| Some(step.positions.get(at)?.entropy?.mean)).collect()
        };
        let cells = self.steps_with_positions().map(column).collect();
        let what = if width == 1 {
            "a token position".to_owned()
        } else {
            format!("{width} token positions")
        };
        Ok(self.map(rows, cells, "token of the response", &what))
    }

    pub(super) fn heat_map_tenths(&self) -> Result<HeatMap, String> {
        self.several("entropies", |step| !step.tenths.is_empty())?;
        let rows = (1..=10).map(|row| f64::from(row) * 10.0).collect();
        let column = |step: &StepAnalysis| {
            (0..10).map(|at| Some(step.tenths.get(at)?.entropy?.mean)).collect()
        };
        let cells = self.steps_with_positions().map(column).collect();
        Ok(self.map(rows, cells, "position in the response (%)", "a tenth of the response"))
    }
}
