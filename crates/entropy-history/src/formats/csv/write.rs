//! The CSV table of `convert`: a row a point, all runs in one file, as a long data frame.

use crate::formats::integer_step::integer_step;
use crate::formats::table::TableSeries;
use crate::label::as_cell;

/// The whole file, with a header `run,step,metric,entropy`; numbers read back as the same ones. A name
/// that a spreadsheet would run as a formula has an apostrophe in front.
pub fn table(series: &[TableSeries<'_>]) -> Vec<u8> {
    // What begins with # is a comment to many readers, this program's included: then it is quoted.
    let mut writer = csv::WriterBuilder::new().comment(Some(b'#')).from_writer(Vec::new());
    let full = "BUG: memory takes all";
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
