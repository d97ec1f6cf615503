//! The directory of a zip archive whose entries are not compressed, as `torch.save` writes them. Only positions are
//! read: the entries stay where they are.
//!
//! The `zip` crate allocates memory for as many entries as an archive claims to have; here the claim counts nothing.
//! Layout: PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 to 4.3.16, 4.5.3. Numbers are little-endian.

use std::ops::Range;

/// Maximum number of entries. A checkpoint has one per tensor.
const MAX_ENTRIES: usize = 4 << 20;
/// Length of the end record, and of the longest comment that may follow it.
const END_RECORD: usize = 22;
const MAX_COMMENT: usize = 0xffff;

/// An entry: its name and the position of its data in the archive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: Range<usize>,
}

/// Why an archive cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ZipError {
    #[error("it has no end of a zip archive: it is cut off, or not a zip archive")]
    NoEnd,
    #[error("its zip directory is damaged")]
    Damaged,
    #[error("its entry {0:?} is compressed or encrypted")]
    Compressed(String),
    #[error("its entry {0:?} does not end within it: it is cut off")]
    Truncated(String),
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// The entries of an archive, in the order of its directory.
///
/// # Errors
/// If the archive is damaged, or an entry is compressed.
pub(crate) fn entries(bytes: &[u8]) -> Result<Vec<Entry<'_>>, ZipError> {
    let directory = directory(bytes)?;
    let mut rest = bytes.get(directory).ok_or(ZipError::Damaged)?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        if entries.len() == MAX_ENTRIES {
            return Err(ZipError::TooMany);
        }
        let (entry, length) = central_entry(bytes, rest)?;
        rest = rest.get(length..).ok_or(ZipError::Damaged)?;
        entries.push(entry);
    }
    Ok(entries)
}

/// A number of `N` bytes at a position, if the bytes are there.
fn number<const N: usize>(bytes: &[u8], position: usize) -> Result<usize, ZipError> {
    let field = bytes.get(position..).and_then(|rest| rest.get(..N)).ok_or(ZipError::Damaged)?;
    let number = field.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(number).map_err(|_| ZipError::Damaged)
}

fn has_signature(bytes: &[u8], position: usize, signature: &[u8; 4]) -> bool {
    bytes.get(position..).is_some_and(|rest| rest.starts_with(signature))
}

/// The position of the central directory.
fn directory(bytes: &[u8]) -> Result<Range<usize>, ZipError> {
    let first = bytes.len().saturating_sub(END_RECORD + MAX_COMMENT);
    let last = bytes.len().checked_sub(END_RECORD).ok_or(ZipError::NoEnd)?;
    let mut ends = (first..=last).rev();
    let end = ends.find(|end| has_signature(bytes, *end, b"PK\x05\x06")).ok_or(ZipError::NoEnd)?;
    // A larger archive has a second end record, to which a locator before the first one points.
    let locator = end.checked_sub(20).filter(|at| has_signature(bytes, *at, b"PK\x06\x07"));
    let (size, start) = match locator {
        Some(locator) => {
            let end = number::<8>(bytes, locator + 8)?;
            if !has_signature(bytes, end, b"PK\x06\x06") {
                return Err(ZipError::Damaged);
            }
            (number::<8>(bytes, end + 40)?, number::<8>(bytes, end + 48)?)
        }
        None => (number::<4>(bytes, end + 12)?, number::<4>(bytes, end + 16)?),
    };
    let directory_end = start.checked_add(size).filter(|directory_end| *directory_end <= end);
    Ok(start..directory_end.ok_or(ZipError::Damaged)?)
}

/// The entry of the first header in `rest`, and the length of that header.
fn central_entry<'a>(bytes: &'a [u8], rest: &'a [u8]) -> Result<(Entry<'a>, usize), ZipError> {
    const FIXED: usize = 46;
    if !has_signature(rest, 0, b"PK\x01\x02") {
        return Err(ZipError::Damaged);
    }
    let (flags, method) = (number::<2>(rest, 8)?, number::<2>(rest, 10)?);
    let mut sizes = [number::<4>(rest, 20)?, number::<4>(rest, 24)?, number::<4>(rest, 42)?];
    let name_length = number::<2>(rest, 28)?;
    let (extra_length, comment_length) = (number::<2>(rest, 30)?, number::<2>(rest, 32)?);
    let name = rest.get(FIXED..FIXED + name_length).ok_or(ZipError::Damaged)?;
    let name = std::str::from_utf8(name).map_err(|_| ZipError::Damaged)?;
    let extra = rest.get(FIXED + name_length..FIXED + name_length + extra_length);
    read_zip64(extra.ok_or(ZipError::Damaged)?, &mut sizes)?;
    let [compressed, size, header] = sizes;
    if flags & 1 != 0 || method != 0 || compressed != size {
        return Err(ZipError::Compressed(name.to_owned()));
    }
    if !has_signature(bytes, header, b"PK\x03\x04") {
        return Err(ZipError::Damaged);
    }
    let start = header + 30 + number::<2>(bytes, header + 26)? + number::<2>(bytes, header + 28)?;
    let end = start.checked_add(size).filter(|end| *end <= bytes.len());
    let end = end.ok_or_else(|| ZipError::Truncated(name.to_owned()))?;
    Ok((Entry { name, data: start..end }, FIXED + name_length + extra_length + comment_length))
}

/// Replaces the sizes that do not fit 32 bits by those of the zip64 field: size, compressed size, position.
fn read_zip64(mut extra: &[u8], sizes: &mut [usize; 3]) -> Result<(), ZipError> {
    const ABSENT: usize = 0xffff_ffff;
    while extra.len() >= 4 {
        let (id, length) = (number::<2>(extra, 0)?, number::<2>(extra, 2)?);
        let field = extra.get(4..4 + length).ok_or(ZipError::Damaged)?;
        extra = &extra[4 + length..];
        if id != 1 {
            continue;
        }
        let mut position = 0;
        for i in [1, 0, 2] {
            if sizes[i] == ABSENT {
                sizes[i] = number::<8>(field, position)?;
                position += 8;
            }
        }
    }
    Ok(())
}
