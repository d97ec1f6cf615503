//! Checks the size of Parquet columns before their rows are read: a page of a kilobyte can unpack to two gigabytes, and
//! a dictionary can repeat a long text for every value.
//!
//! The headers of the pages are walked first, as the library allocates what they claim. Then each column of texts is
//! read without copying its values, and their lengths are added.

use std::io::{BufRead, BufReader, Read};

use ::parquet::column::reader::ColumnReader;
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};

/// Memory in bytes that the rows of any file may take, however small the file is.
const ALWAYS_ALLOWED: u64 = 512 << 20;
/// Rows of a larger file may take its size times this; real data sets reach about 20.
const MAX_RATIO: u64 = 50;
/// Maximum size of an unpacked page; writers make pages of about 1 MB.
const MAX_PAGE: u64 = 256 << 20;
/// Memory per value, without its text.
const VALUE_SIZE: u64 = 64;
/// Maximum length of a page header.
const MAX_HEADER: u64 = 1 << 20;
/// Records per read of a column.
const BATCH: usize = 1024;

/// Checks that the rows of the columns with these names fit in a memory that is in proportion to the file.
pub(super) fn check<R: ChunkReader + 'static>(
    file: &R,
    reader: &SerializedFileReader<R>,
    is_selected: impl Fn(&str) -> bool,
) -> Result<()> {
    let size = file.len();
    let mut budget = Budget { left: ALWAYS_ALLOWED.max(size.saturating_mul(MAX_RATIO)), size };
    for (index, group) in reader.metadata().row_groups().iter().enumerate() {
        let columns = group.columns().iter().enumerate();
        let root = |column: &ColumnChunkMetaData| column.column_path().parts().first().cloned();
        let selected =
            columns.filter(|(_, column)| root(column).is_some_and(|name| is_selected(&name)));
        for (at, column) in selected {
            check_pages(file, column, &mut budget)?;
            let text = reader.get_row_group(index)?.get_column_reader(at)?;
            if let ColumnReader::ByteArrayColumnReader(mut text) = text {
                loop {
                    let (mut levels, mut repetitions, mut values) = (vec![], vec![], vec![]);
                    let (records, _, _) = text.read_records(
                        BATCH,
                        Some(&mut levels),
                        Some(&mut repetitions),
                        &mut values,
                    )?;
                    budget.take(values.iter().map(|value| value.len() as u64).sum())?;
                    if records == 0 {
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The memory that is left for the rows of a file.
struct Budget {
    left: u64,
    size: u64,
}

impl Budget {
    fn take(&mut self, bytes: u64) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                return Err(ParquetError::General(format!(
                    "its {} bytes unpack to more than {} MiB",
                    self.size,
                    ALWAYS_ALLOWED.max(self.size.saturating_mul(MAX_RATIO)) >> 20
                )));
            }
        }
        Ok(())
    }
}

/// Checks the sizes in the page headers of a column chunk.
fn check_pages<R: ChunkReader>(
    file: &R,
    column: &ColumnChunkMetaData,
    budget: &mut Budget,
) -> Result<()> {
    let (start, length) = column.byte_range();
    let (mut at, end) = (start, start.saturating_add(length));
    while at < end {
        let page = PageHeader::read(&mut BufReader::new(file.get_read(at)?))?;
        if page.unpacked > MAX_PAGE {
            let mib = page.unpacked >> 20;
            let limit = MAX_PAGE >> 20;
            let column = column.column_path();
            return Err(ParquetError::General(format!(
                "a page of the column {column} unpacks to {mib} MiB, more than {limit} MiB"
            )));
        }
        budget.take(page.values.saturating_mul(VALUE_SIZE))?;
        at = at.saturating_add(page.length).saturating_add(page.packed);
    }
    Ok(())
}

/// The fields of a page header that sizes depend on.
#[derive(Debug, Default, PartialEq)]
struct PageHeader {
    /// Length of the header itself.
    length: u64,
    packed: u64,
    unpacked: u64,
    /// Number of values, nulls included.
    values: u64,
}

impl PageHeader {
    /// Reads a `PageHeader` of parquet.thrift, in Thrift's compact protocol.
    fn read(file: &mut impl BufRead) -> Result<PageHeader> {
        let mut header = PageHeader::default();
        let mut thrift = Thrift { file: file.take(MAX_HEADER) };
        thrift.structure(0, &mut |path, number| {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            match path {
                [2] => header.unpacked = number,
                [3] => header.packed = number,
                // num_values of data pages (both versions) and of dictionary pages.
                [5 | 7 | 8, 1] => header.values = number,
                _ => {}
            }
        })?;
        header.length = MAX_HEADER - thrift.file.limit();
        Ok(header)
    }
}

/// A reader of Thrift's compact protocol.
struct Thrift<R> {
    file: std::io::Take<R>,
}

/// Field ids from the outermost structure inwards, and a number.
type Visit<'a> = dyn FnMut(&[i64], i64) + 'a;

impl<R: Read> Thrift<R> {
    /// Reads a structure and visits its numbers, those of inner structures too.
    fn structure(&mut self, depth: usize, visit: &mut Visit<'_>) -> Result<()> {
        let mut field = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            field = match byte >> 4 {
                0 => self.number()?,
                step => field + i64::from(step),
            };
            let mut inner = |path: &[i64], number: i64| visit(&[&[field], path].concat(), number);
            self.value(byte & 15, depth + 1, &mut inner)?;
        }
    }

    fn value(&mut self, kind: u8, depth: usize, visit: &mut Visit<'_>) -> Result<()> {
        if depth > 8 {
            return Err(ParquetError::General("a page header is nested too deep".to_owned()));
        }
        match kind {
            1 | 2 => {} // a Boolean, which is its type
            3 => drop(self.byte()?),
            4..=6 => visit(&[], self.number()?),
            7 => self.skip(8)?,
            8 => {
                let length = self.varint()?;
                self.skip(length)?;
            }
            9 | 10 => {
                let byte = self.byte()?;
                let length = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                for _ in 0..length {
                    match byte & 15 {
                        1 | 2 => drop(self.byte()?), // in lists, a Boolean has a byte
                        kind => self.value(kind, depth + 1, &mut |_, _| {})?,
                    }
                }
            }
            12 => self.structure(depth, visit)?,
            _ => return Err(ParquetError::General("a page header is damaged".to_owned())),
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.file.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(number);
            }
        }
        Err(ParquetError::General("a page header is damaged".to_owned()))
    }

    fn number(&mut self) -> Result<i64> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64)) // zigzag
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        match std::io::copy(&mut self.file.by_ref().take(bytes), &mut std::io::sink())? {
            skipped if skipped == bytes => Ok(()),
            _ => Err(ParquetError::EOF("a page header is cut off".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Seek, SeekFrom};
    use std::sync::Arc;

    use ::parquet::arrow::ArrowWriter;
    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, Int32Array, ListArray, RecordBatch, StringArray};
    use arrow_schema::Field;

    use super::*;

    /// Writes a column `prompt`: one dictionary entry of a mebibyte for every key.
    fn repeated_text(
        column: impl FnOnce(DictionaryArray<Int32Type>) -> ArrayRef,
        times: i32,
    ) -> File {
        let keys = Int32Array::from_iter_values((0..times).map(|_| 0));
        let text = StringArray::from(vec!["a".repeat(1 << 20)]);
        let column = column(DictionaryArray::new(keys, Arc::new(text)));
        let batch = RecordBatch::try_from_iter([("prompt", column)]).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(&file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    fn checked(file: &File) -> std::result::Result<(), String> {
        let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
        check(file, &reader, |name| name == "prompt").map_err(|error| error.to_string())
    }

    #[test]
    fn text_repeated_by_a_dictionary_is_counted_each_time() {
        let file = repeated_text(|column| Arc::new(column), 10);
        assert_eq!(checked(&file), Ok(()));
        let file = repeated_text(|column| Arc::new(column), 600);
        let size = file.metadata().unwrap().len();
        assert!(size < 2 << 20, "{size}");
        assert_eq!(
            checked(&file),
            Err(format!("Parquet error: its {size} bytes unpack to more than 512 MiB"))
        );
        // All of them in one row.
        let in_one_row = |column: DictionaryArray<Int32Type>| -> ArrayRef {
            let field = Arc::new(Field::new(
                "element",
                arrow_array::Array::data_type(&column).clone(),
                false,
            ));
            let rows =
                ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(0); 600])]);
            Arc::new(ListArray::new(field, rows.offsets().clone(), Arc::new(column), None))
        };
        assert!(checked(&repeated_text(in_one_row, 600)).unwrap_err().contains("512 MiB"));
    }

    #[test]
    fn page_headers_cover_their_columns() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/compute/prompts/verl-snappy.parquet"
        );
        let file = File::open(path).unwrap();
        let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
        for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            let (start, length) = column.byte_range();
            let mut file = BufReader::new(file.try_clone().unwrap());
            let (mut at, mut values, mut unpacked) = (start, 0, 0);
            while at < start + length {
                file.seek(SeekFrom::Start(at)).unwrap();
                let page = PageHeader::read(&mut file).unwrap();
                at += page.length + page.packed;
                unpacked += page.length + page.unpacked;
                values = page.values; // the last page has the values, one before it the dictionary
            }
            // Written by pyarrow, which has its own reader of page headers.
            assert_eq!(at, start + length);
            assert_eq!(unpacked as i64, column.uncompressed_size());
            assert_eq!(values as i64, column.num_values());
        }
    }

    #[test]
    fn page_that_claims_gigabytes_is_rejected_before_it_is_read() {
        // i32 fields 1 to 3: type 0, 2^30 bytes unpacked, 10 bytes packed.
        let header = [0x15, 0, 0x15, 0x80, 0x80, 0x80, 0x80, 0x08, 0x15, 20, 0];
        let page = PageHeader::read(&mut &header[..]).unwrap();
        let expected = PageHeader { length: 11, packed: 10, unpacked: 1 << 30, values: 0 };
        assert_eq!(page, expected);
        for cut in 0..header.len() {
            assert!(PageHeader::read(&mut &header[..cut]).is_err());
        }
        let deep = [0x1c; 100];
        assert!(PageHeader::read(&mut &deep[..]).unwrap_err().to_string().contains("too deep"));
    }
}
