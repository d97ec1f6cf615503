//! Columns of Parquet: which are read, and their values row by row.

use std::borrow::Cow;
use std::ops::Range;

use ::parquet::basic::{Repetition, Type as Physical};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::ColumnDescriptor;
use entropy_history::framing::parquet::error_text;

use super::cells::Cell;
use super::error::ReadError;
use crate::json::Scalar;
use crate::names::REPEATED;

/// Items for which memory is reserved at most: a damaged file may announce any number.
const MAX_RESERVED: usize = 1 << 18;

pub(super) fn damaged() -> ReadError {
    ReadError::Damaged("the table is damaged".to_owned())
}

pub(super) fn broken(error: ParquetError) -> ReadError {
    ReadError::Damaged(format!("the table is damaged: {}", error_text(error)))
}

/// A column of single values or of lists.
pub(super) struct Leaf {
    name: String,
    /// Whether it is a key of the column `dump`.
    is_repeated: bool,
    max_definition: i16,
    is_list: bool,
    /// Whether an item of a list may be null.
    has_null_items: bool,
}

impl Leaf {
    /// The column, if it is wanted and of a type that is read.
    pub(super) fn of(column: &ColumnDescriptor, is_wanted: impl Fn(&str) -> bool) -> Option<Leaf> {
        let path = column.path().parts();
        let (is_repeated, parts) = match path {
            [first, rest @ ..] if first == REPEATED && !rest.is_empty() => (true, rest),
            _ => (false, path),
        };
        let is_list = column.max_rep_level() == 1;
        let name = if is_list { parts[0].clone() } else { parts.join(".") };
        let is_read = matches!(
            column.physical_type(),
            Physical::BOOLEAN
                | Physical::INT32
                | Physical::INT64
                | Physical::FLOAT
                | Physical::DOUBLE
                | Physical::BYTE_ARRAY
        );
        let is_flat = column.max_rep_level() == 0 || (is_list && parts.len() <= 3);
        let has_null_items =
            is_list && column.self_type().get_basic_info().repetition() == Repetition::OPTIONAL;
        (is_read && is_flat && is_wanted(&name)).then(|| Leaf {
            name,
            is_repeated,
            max_definition: column.max_def_level(),
            is_list,
            has_null_items,
        })
    }

    /// Reads the values of the next `rows` rows.
    ///
    /// `items` is how many items of lists there may be: vectors of this size need not grow with each page.
    pub(super) fn decode(
        &self,
        column: &mut ColumnReader,
        rows: usize,
        items: usize,
    ) -> Result<Column<'_>, ReadError> {
        let (values, levels) = match column {
            ColumnReader::BoolColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows, items)?;
                (Values::Ints(values.into_iter().map(i64::from).collect()), levels)
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows, items)?;
                (Values::Ints(values.into_iter().map(i64::from).collect()), levels)
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows, items)?;
                (Values::Ints(values), levels)
            }
            ColumnReader::FloatColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows, items)?;
                (Values::Floats(values.into_iter().map(f64::from).collect()), levels)
            }
            ColumnReader::DoubleColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows, items)?;
                (Values::Floats(values), levels)
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows, items)?;
                (Values::Texts(values), levels)
            }
            _ => return Err(damaged()),
        };
        let is_flag = matches!(column, ColumnReader::BoolColumnReader(_));
        let (places, nulls) = self.places(&levels, rows)?;
        let filled = spread(values, &nulls);
        Ok(Column {
            name: &self.name,
            is_repeated: self.is_repeated,
            is_list: self.is_list,
            is_flag,
            values: filled,
            nulls,
            places,
        })
    }

    fn records<T: DataType>(
        &self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
        items: usize,
    ) -> Result<(Vec<T::T>, Levels), ReadError> {
        let items = if self.is_list { items } else { rows }.min(MAX_RESERVED);
        let mut values = Vec::with_capacity(items);
        let mut levels = Levels {
            definitions: Vec::with_capacity(if self.max_definition > 0 { items } else { 0 }),
            repetitions: Vec::with_capacity(if self.is_list { items } else { 0 }),
        };
        let mut done = 0;
        while done < rows {
            let definitions = (self.max_definition > 0).then_some(&mut levels.definitions);
            let repetitions = self.is_list.then_some(&mut levels.repetitions);
            let (records, _, _) = reader
                .read_records(rows - done, definitions, repetitions, &mut values)
                .map_err(broken)?;
            if records == 0 {
                return Err(damaged());
            }
            done += records;
        }
        Ok((values, levels))
    }

    /// Where the items of each row are among all items, and which items are null (none: an empty vector).
    fn places(&self, levels: &Levels, rows: usize) -> Result<(Places, Vec<bool>), ReadError> {
        let (definitions, full) = (&levels.definitions, self.max_definition);
        if !self.is_list {
            let nulls: Vec<bool> = definitions.iter().map(|level| *level < full).collect();
            let place = |row: usize| {
                let is_null = nulls.get(row).is_some_and(|null| *null);
                (!is_null).then_some((row as u32, row as u32 + 1))
            };
            return Ok(((0..rows).map(place).collect(), nulls));
        }
        // Vector instructions count faster than a search that stops.
        if definitions.iter().filter(|level| **level != full).count() == 0 {
            return Ok((starts_of_rows(&levels.repetitions, rows)?, Vec::new()));
        }
        let null_item = if self.has_null_items { full - 1 } else { full };
        let (mut places, mut nulls, mut items) = (Vec::with_capacity(rows), Vec::new(), 0u32);
        let mut has_nulls = false;
        for (repetition, definition) in levels.repetitions.iter().zip(definitions) {
            if *repetition == 0 {
                places.push(Some((items, items)));
            }
            if *definition >= null_item {
                let is_null = *definition < full;
                has_nulls |= is_null;
                nulls.push(is_null);
                items += 1;
                if let Some(Some(place)) = places.last_mut() {
                    place.1 = items;
                }
            } else if *definition < null_item - 1 // below the level of an empty list
                && let Some(place) = places.last_mut()
            {
                *place = None;
            }
        }
        if places.len() != rows {
            return Err(damaged());
        }
        if !has_nulls {
            nulls.clear();
        }
        Ok((places, nulls))
    }
}

/// The first item of each row and the one after its last; `None` for a row without a value.
type Places = Vec<Option<(u32, u32)>>;

/// The places of rows that all have items, none of which is null.
fn starts_of_rows(repetitions: &[i16], rows: usize) -> Result<Places, ReadError> {
    let mut starts: Vec<u32> = Vec::with_capacity(rows + 1);
    // Most rows have many items: a chunk without a start is passed over at once.
    for (chunk, from) in repetitions.chunks(64).zip((0..).step_by(64)) {
        if chunk.iter().filter(|level| **level == 0).count() > 0 {
            let at_start = |(_, level): &(u32, &i16)| **level == 0;
            starts.extend((from..).zip(chunk).filter(at_start).map(|(at, _)| at));
        }
    }
    if starts.len() != rows || starts.first() != Some(&0) {
        return Err(damaged());
    }
    starts.push(repetitions.len() as u32);
    Ok(starts.windows(2).map(|ends| Some((ends[0], ends[1]))).collect())
}

struct Levels {
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

pub(super) enum Values {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<ByteArray>),
}

/// Puts a value in the place of each null, so that indices of items are those of values.
fn spread(values: Values, nulls: &[bool]) -> Values {
    fn fill<T: Clone + Default>(values: Vec<T>, nulls: &[bool]) -> Vec<T> {
        if !nulls.contains(&true) {
            return values;
        }
        let mut values = values.into_iter();
        let item = |null: &bool| if *null { None } else { values.next() }.unwrap_or_default();
        nulls.iter().map(item).collect()
    }
    match values {
        Values::Ints(values) => Values::Ints(fill(values, nulls)),
        Values::Floats(values) => Values::Floats(fill(values, nulls)),
        Values::Texts(values) => Values::Texts(fill(values, nulls)),
    }
}

/// Decoded values of some rows.
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    /// Whether it is a key of the column `dump`.
    pub(super) is_repeated: bool,
    pub(super) is_list: bool,
    pub(super) is_flag: bool,
    pub(super) values: Values,
    pub(super) nulls: Vec<bool>,
    places: Places,
}

impl Column<'_> {
    /// The items of a row among all; `None` if it has none.
    pub(super) fn range(&self, row: usize) -> Option<Range<usize>> {
        let (from, to) = (*self.places.get(row)?)?;
        let length = match &self.values {
            Values::Ints(values) => values.len(),
            Values::Floats(values) => values.len(),
            Values::Texts(values) => values.len(),
        };
        (to as usize <= length).then_some(from as usize..to as usize)
    }
}

impl<'a> Column<'a> {
    /// The single value of a row; also that of a list of one.
    pub(super) fn scalar(&'a self, range: Range<usize>) -> Option<Scalar<'a>> {
        let at = range.start;
        match &self.values {
            _ if self.is_list && range.len() != 1 => Some(Scalar::Nested),
            Values::Ints(values) if self.is_flag => Some(Scalar::Flag(values[at] != 0)),
            Values::Ints(values) => Some(Scalar::Whole(values[at])),
            Values::Floats(values) => Some(Scalar::Number(values[at])),
            Values::Texts(values) => {
                let text = std::str::from_utf8(values[at].data()).ok()?;
                Some(Scalar::Text(Cow::Borrowed(text)))
            }
        }
    }

    /// The numbers of a range; `missing` stands for null.
    pub(super) fn floats(&'a self, range: Range<usize>, missing: f64) -> Cell<Cow<'a, [f64]>> {
        let mut floats: Cow<'_, [f64]> = match &self.values {
            Values::Floats(values) => Cow::Borrowed(&values[range.clone()]),
            Values::Ints(values) => {
                values[range.clone()].iter().map(|value| *value as f64).collect()
            }
            Values::Texts(_) => return Cell::Bad,
        };
        let nulls = self.nulls.get(range).unwrap_or_default();
        if nulls.contains(&true) {
            for (value, _) in floats.to_mut().iter_mut().zip(nulls).filter(|(_, null)| **null) {
                *value = missing;
            }
        }
        Cell::List(floats)
    }
}
