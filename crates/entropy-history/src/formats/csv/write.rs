//! Writes the CSV table of `convert`: one row per point, all runs in one file.

use crate::formats::integer_step::integer_step;
use crate::formats::table::TableSeries;
use crate::label::as_cell;

/// The whole file, with the header `run,step,metric,entropy`. Numbers are written so that they read
/// back unchanged. A name that a spreadsheet would run as a formula gets an apostrophe in front.
pub fn table(series: &[TableSeries<'_>]) -> Vec<u8> {
    // Many readers, including this program, take a line that begins with # as a comment: it is quoted.
    let mut writer = csv::WriterBuilder::new().comment(Some(b'#')).from_writer(Vec::new());
    let full = "BUG: writing to memory cannot fail";
    writer.write_record(["run", "step", "metric", "entropy"]).expect(full);
    for one in series {
        for point in one.points {
            let step = match integer_step(point.step) {
                Some(integer) => integer.to_string(),
                None => format!("{:?}", point.step),
            };
            let entropy = format!("{:?}", point.entropy);
            let (run, metric) = (as_cell(one.run), as_cell(one.metric));
            writer.write_record([&*run, &step, &*metric, &entropy]).expect(full);
        }
    }
    writer.into_inner().expect(full)
}
