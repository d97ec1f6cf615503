//! Writes the Parquet table of `convert`: one row per point, all runs in one file.
//!
//! The columns are those of a long data frame: `run` and `metric` (text, dictionary-encoded), `step`
//! (integer if all steps are) and `entropy` in nats (double). No value is null.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::formats::integer_step::integer_step;
use crate::formats::table::TableSeries;

/// Rows per row group, the unit that readers load at a time.
const GROUP: usize = 1 << 17;

/// The steps of all rows, which have one type.
enum StepColumn {
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
}

impl StepColumn {
    fn of(series: &[TableSeries<'_>]) -> StepColumn {
        let steps = || series.iter().flat_map(|one| one.points).map(|point| point.step);
        match steps().map(integer_step).collect() {
            Some(integers) => StepColumn::Integers(integers),
            None => StepColumn::Numbers(steps().collect()),
        }
    }

    fn physical_type(&self) -> &'static str {
        match self {
            StepColumn::Integers(_) => "INT64",
            StepColumn::Numbers(_) => "DOUBLE",
        }
    }
}

/// The whole file, the series one after another in the given order. Equal input gives equal bytes.
///
/// # Errors
/// Only errors of the encoder, which are not expected when writing to memory.
pub fn table(series: &[TableSeries<'_>]) -> Result<Vec<u8>, ParquetError> {
    let steps = StepColumn::of(series);
    let runs = repeated(series, |one| one.run);
    let metrics = repeated(series, |one| one.metric);
    let points = series.iter().flat_map(|one| one.points);
    let entropies: Vec<f64> = points.map(|point| point.entropy).collect();

    let schema = parse_message_type(&format!(
        "message entropy {{
            REQUIRED BYTE_ARRAY run (STRING);
            REQUIRED {} step;
            REQUIRED BYTE_ARRAY metric (STRING);
            REQUIRED DOUBLE entropy;
        }}",
        steps.physical_type()
    ))?;
    let properties = WriterProperties::builder()
        .set_created_by(concat!("entropy-viz version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false) // numbers hardly repeat
        .set_column_dictionary_enabled("run".into(), true)
        .set_column_dictionary_enabled("metric".into(), true)
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;

    for from in (0..entropies.len()).step_by(GROUP) {
        let rows = from..entropies.len().min(from + GROUP);
        let mut group = file.next_row_group()?;
        write_column::<ByteArrayType>(&mut group, &runs[rows.clone()])?;
        match &steps {
            StepColumn::Integers(steps) => {
                write_column::<Int64Type>(&mut group, &steps[rows.clone()])?;
            }
            StepColumn::Numbers(steps) => {
                write_column::<DoubleType>(&mut group, &steps[rows.clone()])?;
            }
        }
        write_column::<ByteArrayType>(&mut group, &metrics[rows.clone()])?;
        write_column::<DoubleType>(&mut group, &entropies[rows])?;
        group.close()?;
    }
    file.into_inner()
}

/// A text of each series, repeated for each of its points; the copies share their bytes.
fn repeated<'a>(
    series: &[TableSeries<'a>],
    text: fn(&TableSeries<'a>) -> &'a str,
) -> Vec<ByteArray> {
    let of_one =
        |one: &TableSeries<'a>| std::iter::repeat_n(ByteArray::from(text(one)), one.points.len());
    series.iter().flat_map(of_one).collect()
}

fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect("BUG: the schema has a column for each call");
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use crate::history::Point;
    use std::fs::File;
    use std::io::Write;

    use parquet::basic::Type;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    fn at(step: f64, entropy: f64) -> Point {
        Point { step, entropy }
    }

    fn read(bytes: &[u8]) -> SerializedFileReader<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        SerializedFileReader::new(file).unwrap()
    }

    #[test]
    fn rows_come_back_in_order() {
        let series = [
            TableSeries {
                run: "a",
                metric: "policy/entropy",
                points: &[at(1.0, 2.5), at(2.0, 0.1)],
            },
            TableSeries { run: "名前 <b>", metric: "entropy", points: &[at(-7.0, -0.0)] },
        ];
        let file = read(&table(&series).unwrap());
        let rows: Vec<_> = file
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                let row = row.unwrap();
                let text = |column| row.get_string(column).unwrap().clone();
                (text(0), row.get_long(1).unwrap(), text(2), row.get_double(3).unwrap().to_bits())
            })
            .collect();
        let expected = [
            ("a", 1, "policy/entropy", 2.5f64),
            ("a", 2, "policy/entropy", 0.1),
            ("名前 <b>", -7, "entropy", -0.0),
        ];
        assert_eq!(rows, expected.map(|(r, s, m, e)| (r.to_owned(), s, m.to_owned(), e.to_bits())));
    }

    #[test]
    fn fractional_step_makes_step_column_double() {
        let whole = TableSeries { run: "a", metric: "m", points: &[at(1.0, 2.5)] };
        let broken = TableSeries { run: "b", metric: "m", points: &[at(0.5, 2.5)] };
        let type_of_steps = |series: &[TableSeries<'_>]| {
            let file = read(&table(series).unwrap());
            file.metadata().file_metadata().schema_descr().column(1).physical_type()
        };
        assert_eq!(type_of_steps(&[whole]), Type::INT64);
        assert_eq!(type_of_steps(&[whole, broken]), Type::DOUBLE);
    }

    #[test]
    fn output_is_deterministic_and_names_its_creator() {
        let series = [TableSeries { run: "a", metric: "m", points: &[at(1.0, 2.5)] }];
        let bytes = table(&series).unwrap();
        assert_eq!(bytes, table(&series).unwrap());
        let file = read(&bytes);
        let by = file.metadata().file_metadata().created_by().unwrap();
        assert!(by.starts_with("entropy-viz version "), "{by}");
    }

    #[test]
    fn empty_table_has_all_columns() {
        for series in [&[][..], &[TableSeries { run: "a", metric: "m", points: &[] }]] {
            let file = read(&table(series).unwrap());
            let metadata = file.metadata().file_metadata();
            assert_eq!((metadata.num_rows(), metadata.schema_descr().num_columns()), (0, 4));
        }
    }

    #[test]
    fn many_rows_are_several_groups() {
        let points: Vec<_> = (0..GROUP + 3).map(|i| at(i as f64, 1.0)).collect();
        let bytes = table(&[TableSeries { run: "a", metric: "m", points: &points }]).unwrap();
        let groups: Vec<_> =
            read(&bytes).metadata().row_groups().iter().map(|g| g.num_rows()).collect();
        assert_eq!(groups, [GROUP as i64, 3]);
    }
}
