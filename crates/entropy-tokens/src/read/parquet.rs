//! Reads Parquet column by column: all columns of some rows at once, then these rows, on all cores.
//!
//! Lists of numbers and of texts, and columns of single values are read; other nested columns are not. `dump` is JSON.

use std::borrow::Cow;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use ::parquet::column::reader::ColumnReader;
use ::parquet::data_type::ByteArray;
use ::parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use bytes::Bytes;
use entropy_history::framing::parquet::catch_panics;
use rayon::prelude::*;

use super::cells::{Cell, Cells, Texts, scalar_at, scalar_names, unknown_mask};
use super::error::ReadError;
use super::parquet_column::{Column, Leaf, Values, broken, damaged};
use super::row::BatchBuilder;
use super::shared_file::SharedFile;
use crate::columns::Columns;
use crate::floats::Precision;
use crate::json::{self, Entries, Scalar};
use crate::names::{
    ADVANTAGES, ANSWERS, ENTROPIES, GROUPS, MASKS, OF_SLIME_SAMPLE, PROMPT_LENGTHS, PROMPT_TEXTS,
    REPEATED, RESPONSE_LENGTHS, RESPONSE_TEXTS, REWARDS, SAMPLER, SCORED, SEQUENCE_IDS,
    SEQUENCE_LENGTHS, STEPS, TEXTS, TOKEN_COLUMNS, looks_like_mask, prompt_ids, response_ids,
};
use crate::table::{Batch, TokenTable};

/// What the paths of columns in `dump` begin with.
const IN_REPEATED: &str = "dump.";

/// Items of lists that are decoded at once, and built into a batch by a thread. A block stays in the processor's caches.
const BLOCK_ITEMS: usize = 1 << 17;
const PART_ITEMS: usize = 1 << 15;

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
        .map(|name| name.strip_prefix(IN_REPEATED).map_or(name.clone(), str::to_owned))
        .collect();
    let leaves: Vec<(usize, Leaf)> = (0..schema.num_columns())
        .filter_map(|index| {
            Some((index, Leaf::of(&schema.column(index), |name| wanted.has(name))?))
        })
        .collect();
    let mut add = |block: Option<Block<'_>>| {
        if let Some(block) = block {
            let batches = block.build(columns, step, table.precision(), &scalars);
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
        let per_row = items.div_ceil(rows.max(1));
        let (block, part) = (of_items(BLOCK_ITEMS), of_items(PART_ITEMS));
        let mut left = rows;
        while left > 0 {
            let count = block.min(left);
            // While the columns of this block are decoded, the rows of the block before it are added.
            let (columns, ()) = rayon::join(
                || decode(&mut readers, count, count.saturating_mul(per_row)),
                || add(before.take()),
            );
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
    items: usize,
) -> Result<Vec<Column<'a>>, ReadError> {
    let decode = |(leaf, reader): &mut (&'a Leaf, ColumnReader)| {
        catch_panics(|| leaf.decode(reader, rows, items)).unwrap_or_else(|| Err(damaged()))
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
    fn build(
        &self,
        columns: &Columns,
        step: Option<u64>,
        precision: Precision,
        scalars: &[String],
    ) -> Vec<Batch> {
        let starts: Vec<usize> = (0..self.rows).step_by(self.part).collect();
        let build = |start: &usize| {
            let mut builder = BatchBuilder::new(columns, step, precision);
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
        names.extend(["finish_reason", "rank", "export_sequence_idx", OF_SLIME_SAMPLE]);
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
        let is_wanted =
            |wanted: &String| wanted == name || wanted.strip_prefix(IN_REPEATED) == Some(name);
        self.names.iter().any(is_wanted) || looks_like_mask(name)
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

    /// A column of the row, else one in `dump`, that has a value in this row.
    fn column(&self, name: &str) -> Option<(&'a Column<'a>, Range<usize>)> {
        let in_repeated = || match name.strip_prefix(IN_REPEATED) {
            Some(inner) => self.column_of(inner, true),
            None => self.column_of(name, true),
        };
        self.column_of(name, false).or_else(in_repeated)
    }

    fn column_of(&self, name: &str, is_repeated: bool) -> Option<(&'a Column<'a>, Range<usize>)> {
        let is_it = |column: &&Column<'_>| column.name == name && column.is_repeated == is_repeated;
        let column = self.columns.iter().find(is_it)?;
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
        let values = &values[range];
        // All are looked at before one is converted, which takes vector instructions.
        let bits = values.iter().fold(0, |bits, id| bits | *id);
        match u32::try_from(bits) {
            Ok(_) => Cell::List(values.iter().map(|id| *id as u32).collect()),
            Err(_) => Cell::Bad,
        }
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
            return column.scalar(range);
        }
        let repeated = self.repeated.as_ref()?;
        scalar_at(name, &|key| repeated.get(key))
    }

    fn own_scalar(&self, name: &str) -> Option<Scalar<'_>> {
        let (column, range) = self.column_of(name, false)?;
        column.scalar(range)
    }

    fn has_own(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name && !column.is_repeated)
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
