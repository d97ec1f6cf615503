//! Reads Parquet column by column: all columns of some rows at once, then these rows, on all cores.
//!
//! Lists of numbers and of texts, and columns of single values are read; other nested columns are not. `dump` is JSON.

use std::borrow::Cow;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use ::parquet::basic::{Repetition, Type as Physical};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use ::parquet::schema::types::ColumnDescriptor;
use bytes::Bytes;
use entropy_history::framing::parquet::{catch_panics, error_text};
use rayon::prelude::*;

use super::cells::{Cell, Cells, Texts, scalar_at, scalar_names, unknown_mask};
use super::error::ReadError;
use super::row::BatchBuilder;
use super::shared_file::SharedFile;
use crate::columns::Columns;
use crate::json::{self, Entries, Scalar};
use crate::names::{
    ADVANTAGES, ANSWERS, ENTROPIES, GROUPS, MASKS, PROMPT_LENGTHS, PROMPT_TEXTS, REPEATED,
    RESPONSE_LENGTHS, RESPONSE_TEXTS, REWARDS, SAMPLER, SCORED, SEQUENCE_IDS, SEQUENCE_LENGTHS,
    STEPS, TEXTS, TOKEN_COLUMNS, looks_like_mask, prompt_ids, response_ids,
};
use crate::table::{Batch, TokenTable};

/// Items of lists that are decoded at once, and built into a batch by a thread.
const BLOCK_ITEMS: usize = 1 << 19;
const PART_ITEMS: usize = 1 << 17;

/// Reads a file.
pub(super) fn read_file(
    path: &Path,
    columns: &Columns,
    step: Option<u64>,
    table: &mut TokenTable,
) -> Result<usize, ReadError> {
    read(SharedFile::new(File::open(path)?)?, columns, step, table)
}

/// Reads a file that is in memory.
pub(super) fn read_bytes(
    bytes: Vec<u8>,
    columns: &Columns,
    step: Option<u64>,
    table: &mut TokenTable,
) -> Result<usize, ReadError> {
    read(Bytes::from(bytes), columns, step, table)
}

fn damaged() -> ReadError {
    ReadError::Damaged("the table is damaged".to_owned())
}

fn broken(error: ParquetError) -> ReadError {
    ReadError::Damaged(format!("the table is damaged: {}", error_text(error)))
}

fn read(
    source: impl ChunkReader + 'static,
    columns: &Columns,
    step: Option<u64>,
    table: &mut TokenTable,
) -> Result<usize, ReadError> {
    let file = catch_panics(|| SerializedFileReader::new(source));
    let file = file.ok_or_else(damaged)?.map_err(broken)?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let wanted = WantedColumns::of(columns, |name| {
        schema.columns().iter().any(|column| column.path().parts()[0] == name)
    });
    let scalars: Vec<String> = schema
        .columns()
        .iter()
        .filter(|column| column.max_rep_level() == 0)
        .map(|column| column.path().parts().join("."))
        .filter(|name| name != REPEATED)
        .collect();
    let leaves: Vec<(usize, Leaf)> = (0..schema.num_columns())
        .filter_map(|index| Some((index, Leaf::of(&schema.column(index), &wanted)?)))
        .collect();
    let mut add = |block: Option<Block<'_>>| {
        if let Some(block) = block {
            let batches = block.build(columns, step, &scalars);
            batches.into_iter().for_each(|batch| table.append(batch));
        }
    };
    let (mut before, mut done) = (None, 0);
    for group in 0..file.num_row_groups() {
        let reader =
            catch_panics(|| file.get_row_group(group)).ok_or_else(damaged)?.map_err(broken)?;
        let rows = usize::try_from(reader.metadata().num_rows()).map_err(|_| damaged())?;
        let mut readers = Vec::new();
        for (index, leaf) in &leaves {
            let column = catch_panics(|| reader.get_column_reader(*index)).ok_or_else(damaged)?;
            readers.push((leaf, column.map_err(broken)?));
        }
        let items = leaves.iter().map(|(index, _)| reader.metadata().column(*index).num_values());
        let items = usize::try_from(items.max().unwrap_or(0)).unwrap_or(0);
        let of_items = |limit: usize| (limit * rows / items.max(1)).clamp(1, rows.max(1));
        let (block, part) = (of_items(BLOCK_ITEMS), of_items(PART_ITEMS));
        let mut left = rows;
        while left > 0 {
            let count = block.min(left);
            // While the columns of this block are decoded, the rows of the block before it are added.
            let (columns, ()) = rayon::join(|| decode(&mut readers, count), || add(before.take()));
            before = Some(Block { columns: columns?, rows: count, first: done, part });
            done += count;
            left -= count;
        }
    }
    add(before);
    match done {
        0 => Err(ReadError::Nothing("the table has no rows")),
        _ => Ok(done),
    }
}

/// Decodes the next `rows` rows of all columns.
fn decode<'a>(
    readers: &mut [(&'a Leaf, ColumnReader)],
    rows: usize,
) -> Result<Vec<Column<'a>>, ReadError> {
    let decode = |(leaf, reader): &mut (&'a Leaf, ColumnReader)| {
        catch_panics(|| leaf.decode(reader, rows)).unwrap_or_else(|| Err(damaged()))
    };
    readers.par_iter_mut().map(decode).collect()
}

/// Some rows, decoded.
struct Block<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
    /// Number of rows before it.
    first: usize,
    /// Number of rows of a batch.
    part: usize,
}

impl Block<'_> {
    fn build(&self, columns: &Columns, step: Option<u64>, scalars: &[String]) -> Vec<Batch> {
        let starts: Vec<usize> = (0..self.rows).step_by(self.part).collect();
        let build = |start: &usize| {
            let mut builder = BatchBuilder::new(columns, step);
            for row in *start..(start + self.part).min(self.rows) {
                let cells = ParquetRow::new(&self.columns, row, scalars);
                builder.add(&cells, &|| format!("row {}", self.first + row + 1));
            }
            builder.finish()
        };
        starts.par_iter().map(build).collect()
    }
}

/// The names of the columns to read; a path has its keys joined by points.
struct WantedColumns {
    names: Vec<String>,
}

impl WantedColumns {
    fn of(columns: &Columns, has: impl Fn(&str) -> bool) -> WantedColumns {
        let lists: [&[&str]; 12] = [
            &TOKEN_COLUMNS,
            &SEQUENCE_IDS,
            &TEXTS,
            &MASKS,
            &ENTROPIES,
            &SCORED,
            &SAMPLER,
            &ADVANTAGES,
            &STEPS,
            &RESPONSE_LENGTHS,
            &SEQUENCE_LENGTHS,
            &PROMPT_LENGTHS,
        ];
        let mut names: Vec<&str> = lists.concat();
        response_ids().chain(prompt_ids()).for_each(|name| names.push(name));
        names.extend([REPEATED, "id", "sample_id", "sample", "turn", "role"]);
        names.extend(["finish_reason", "rank", "export_sequence_idx"]);
        let by = columns.by.as_ref().map(|by| by.column());
        names.extend(by);
        let chosen: [(Option<&str>, &[&str]); 3] = [
            (columns.reward.as_deref(), &REWARDS),
            (columns.answer.as_deref(), &ANSWERS),
            (columns.prompt.as_deref(), &GROUPS),
        ];
        for (column, known) in chosen {
            match column {
                Some(column) => names.push(column),
                None => names.extend(known),
            }
        }
        if columns.answer_regex.is_some() {
            names.extend(RESPONSE_TEXTS);
        }
        if !prompt_ids().chain(SEQUENCE_IDS).any(has) {
            names.extend(PROMPT_TEXTS);
        }
        WantedColumns { names: names.into_iter().map(str::to_owned).collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|wanted| wanted == name) || looks_like_mask(name)
    }
}

/// A column of single values or of lists.
struct Leaf {
    name: String,
    max_definition: i16,
    is_list: bool,
    /// Whether an item of a list may be null.
    has_null_items: bool,
}

impl Leaf {
    /// The column, if it is wanted and of a type that is read.
    fn of(column: &ColumnDescriptor, wanted: &WantedColumns) -> Option<Leaf> {
        let parts = column.path().parts();
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
        (is_read && is_flat && wanted.has(&name)).then(|| Leaf {
            name,
            max_definition: column.max_def_level(),
            is_list,
            has_null_items,
        })
    }

    /// Reads the values of the next `rows` rows.
    fn decode(&self, column: &mut ColumnReader, rows: usize) -> Result<Column<'_>, ReadError> {
        let (values, levels) = match column {
            ColumnReader::BoolColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows)?;
                (Values::Ints(values.into_iter().map(i64::from).collect()), levels)
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows)?;
                (Values::Ints(values.into_iter().map(i64::from).collect()), levels)
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows)?;
                (Values::Ints(values), levels)
            }
            ColumnReader::FloatColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows)?;
                (Values::Floats(values.into_iter().map(f64::from).collect()), levels)
            }
            ColumnReader::DoubleColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows)?;
                (Values::Floats(values), levels)
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                let (values, levels) = self.records(reader, rows)?;
                (Values::Texts(values), levels)
            }
            _ => return Err(damaged()),
        };
        let is_flag = matches!(column, ColumnReader::BoolColumnReader(_));
        let (places, nulls) = self.places(&levels, rows)?;
        let filled = spread(values, &nulls);
        Ok(Column {
            name: &self.name,
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
    ) -> Result<(Vec<T::T>, Levels), ReadError> {
        let (mut values, mut levels) = (Vec::new(), Levels::default());
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
        let null_item = if self.has_null_items { full - 1 } else { full };
        let (mut places, mut nulls, mut items) = (Vec::with_capacity(rows), Vec::new(), 0u32);
        let mut has_nulls = false;
        for (repetition, definition) in levels.repetitions.iter().zip(definitions) {
            if *repetition == 0 {
                // An absent list is like an empty one; both end where the next row begins.
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
            } else if *definition == 0
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

#[derive(Default)]
struct Levels {
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

enum Values {
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
struct Column<'a> {
    name: &'a str,
    is_list: bool,
    is_flag: bool,
    values: Values,
    nulls: Vec<bool>,
    places: Places,
}

impl Column<'_> {
    fn range(&self, row: usize) -> Option<Range<usize>> {
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
    /// The numbers of a range; `missing` stands for null.
    fn floats(&'a self, range: Range<usize>, missing: f64) -> Cell<Cow<'a, [f64]>> {
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

/// A row of decoded columns.
struct ParquetRow<'a> {
    columns: &'a [Column<'a>],
    row: usize,
    repeated: Option<Entries<'a>>,
    /// The names of all columns of single values, also of those that are not read.
    scalars: &'a [String],
}

impl<'a> ParquetRow<'a> {
    fn new(columns: &'a [Column<'a>], row: usize, scalars: &'a [String]) -> ParquetRow<'a> {
        let mut cells = ParquetRow { columns, row, repeated: None, scalars };
        if let Some((column, range)) = cells.column(REPEATED)
            && let Values::Texts(texts) = &column.values
            && !column.is_list
        {
            cells.repeated = Entries::new(texts[range.start].data()).ok();
        }
        cells
    }

    fn column(&self, name: &str) -> Option<(&'a Column<'a>, Range<usize>)> {
        let column = self.columns.iter().find(|column| column.name == name)?;
        Some((column, column.range(self.row)?))
    }

    fn list(&self, name: &str) -> Option<(&'a Column<'a>, Range<usize>)> {
        self.column(name).filter(|(column, _)| column.is_list)
    }

    fn repeated_numbers(
        &self,
        name: &str,
        read: impl FnOnce(&[u8]) -> Option<Vec<f64>>,
    ) -> Cell<Cow<'_, [f64]>> {
        let list = self.repeated.as_ref().and_then(|repeated| repeated.get(name));
        match list.filter(|text| text.starts_with(b"[")) {
            None => Cell::Missing,
            Some(text) => read(text).map_or(Cell::Bad, |numbers| Cell::List(Cow::Owned(numbers))),
        }
    }
}

impl Cells for ParquetRow<'_> {
    fn ids(&self, name: &str) -> Cell<Cow<'_, [u32]>> {
        let Some((column, range)) = self.list(name) else { return Cell::Missing };
        let Values::Ints(values) = &column.values else { return Cell::Bad };
        if column.nulls.get(range.clone()).is_some_and(|nulls| nulls.contains(&true)) {
            return Cell::Bad;
        }
        let ids: Option<Vec<u32>> =
            values[range].iter().map(|id| u32::try_from(*id).ok()).collect();
        ids.map_or(Cell::Bad, |ids| Cell::List(Cow::Owned(ids)))
    }

    fn floats(&self, name: &str, missing: f64) -> Cell<Cow<'_, [f64]>> {
        match self.list(name) {
            Some((column, _)) if column.is_flag => Cell::Bad,
            Some((column, range)) => column.floats(range, missing),
            None => self.repeated_numbers(name, |text| json::floats(text, missing)),
        }
    }

    fn mask(&self, name: &str) -> Cell<Cow<'_, [f64]>> {
        match self.list(name) {
            Some((column, range)) => column.floats(range, f64::NAN),
            None => self.repeated_numbers(name, json::mask),
        }
    }

    fn texts(&self, name: &str) -> Cell<Texts<'_>> {
        let Some((column, range)) = self.list(name) else { return Cell::Missing };
        let Values::Texts(values) = &column.values else { return Cell::Bad };
        Cell::List(Texts::Plain(values[range].iter().map(ByteArray::data).collect()))
    }

    fn scalar(&self, name: &str) -> Option<Scalar<'_>> {
        if let Some((column, range)) = self.column(name) {
            let at = range.start;
            return match &column.values {
                _ if column.is_list && range.len() != 1 => Some(Scalar::Nested),
                Values::Ints(values) if column.is_flag => Some(Scalar::Flag(values[at] != 0)),
                Values::Ints(values) => Some(Scalar::Whole(values[at])),
                Values::Floats(values) => Some(Scalar::Number(values[at])),
                Values::Texts(values) => {
                    let text = std::str::from_utf8(values[at].data()).ok()?;
                    Some(Scalar::Text(Cow::Borrowed(text)))
                }
            };
        }
        let repeated = self.repeated.as_ref()?;
        scalar_at(name, &|key| repeated.get(key))
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
            || self.repeated.as_ref().is_some_and(|repeated| repeated.has(name))
    }

    fn scalar_names(&self) -> Vec<String> {
        let mut names = self.scalars.to_vec();
        names.extend(self.repeated.iter().flat_map(scalar_names));
        names
    }

    fn unknown_mask(&self) -> Option<&str> {
        let mut columns = self.columns.iter();
        let found = columns.find(|column| column.is_list && looks_like_mask(column.name));
        match found.filter(|column| column.range(self.row).is_some()) {
            Some(column) => Some(column.name),
            None => unknown_mask(self.repeated.as_ref()?),
        }
    }
}
