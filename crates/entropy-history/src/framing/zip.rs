//! Reads one file of a ZIP archive, found by the directory at the end of the archive.
//!
//! ```text
//! end        "PK\5\6" | … | 10: u16 entries | 12: u32 size | 16: u32 offset of the directory | … | comment
//! directory  "PK\1\2" | 10: u16 method | 16: u32 crc | 20: u32 packed size | 28: u16 name, 30: extra, 32: comment
//!            lengths | 42: u32 offset of the file | 46: name …
//! file       "PK\3\4" | 26: u16 name, 28: extra lengths | 30: name, extra, data
//! ```
//!
//! Files are stored (method 0) or deflated (8). Archives of more than 4 GiB and encrypted ones are not
//! read. (PKWARE's APPNOTE 6.3.10)

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;

/// The first bytes of an archive that holds a file.
pub const MAGIC: &[u8] = b"PK\x03\x04";
const END: &[u8] = b"PK\x05\x06";
/// Size of the end record with the longest comment.
const LONGEST_END: u64 = 22 + 0xffff;
/// The largest directory that is read, in bytes; that of a few logs is far smaller.
const LARGEST_DIRECTORY: u32 = 1 << 24;

/// A file of an archive, decompressed while it is read. At its end, its checksum is verified.
pub struct ZippedFile<'a> {
    data: Box<dyn Read + 'a>,
    crc: crc32fast::Hasher,
    expected_crc: u32,
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the ZIP archive is damaged: {what}"))
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<usize> {
    let found = bytes.get(at..at + 2).ok_or_else(|| invalid("its directory is cut"))?;
    Ok(usize::from(u16::from_le_bytes([found[0], found[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    let found = bytes.get(at..at + 4).ok_or_else(|| invalid("its directory is cut"))?;
    Ok(u32::from_le_bytes([found[0], found[1], found[2], found[3]]))
}

/// Opens the file of this name; `None` if the archive does not have it.
///
/// # Errors
/// When the archive cannot be read or is damaged.
pub fn open<'a, A: Read + Seek>(
    archive: &'a mut A,
    name: &str,
) -> io::Result<Option<ZippedFile<'a>>> {
    let length = archive.seek(SeekFrom::End(0))?;
    archive.seek(SeekFrom::Start(length.saturating_sub(LONGEST_END)))?;
    let mut tail = Vec::new();
    archive.by_ref().take(LONGEST_END).read_to_end(&mut tail)?;
    let end = memchr::memmem::rfind(&tail, END).ok_or_else(|| invalid("its end is missing"))?;
    let (size, offset) = (u32_at(&tail, end + 12)?, u32_at(&tail, end + 16)?);
    if size > LARGEST_DIRECTORY {
        return Err(invalid("its directory is too large"));
    }
    archive.seek(SeekFrom::Start(u64::from(offset)))?;
    let mut directory = Vec::new();
    archive.by_ref().take(u64::from(size)).read_to_end(&mut directory)?;

    let mut rest = &directory[..];
    while rest.starts_with(b"PK\x01\x02") {
        let (name_length, extra) = (u16_at(rest, 28)?, u16_at(rest, 30)?);
        let found =
            rest.get(46..46 + name_length).ok_or_else(|| invalid("its directory is cut"))?;
        if found == name.as_bytes() {
            let (method, crc) = (u16_at(rest, 10)?, u32_at(rest, 16)?);
            let (packed, offset) = (u32_at(rest, 20)?, u32_at(rest, 42)?);
            archive.seek(SeekFrom::Start(u64::from(offset)))?;
            let mut header = [0; 30];
            archive.read_exact(&mut header).map_err(|_| invalid("a file is missing"))?;
            let before = u16_at(&header, 26)? + u16_at(&header, 28)?;
            archive.seek(SeekFrom::Current(before as i64))?;
            let data = archive.take(u64::from(packed));
            let data: Box<dyn Read> = match method {
                0 => Box::new(data),
                8 => Box::new(DeflateDecoder::new(data)),
                _ => return Err(invalid("a file is compressed with an unsupported method")),
            };
            let crc_so_far = crc32fast::Hasher::new();
            return Ok(Some(ZippedFile { data, crc: crc_so_far, expected_crc: crc }));
        }
        let next = 46 + name_length + extra + u16_at(rest, 32)?;
        rest = rest.get(next..).ok_or_else(|| invalid("its directory is cut"))?;
    }
    Ok(None)
}

impl Read for ZippedFile<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.data.read(buf)?;
        self.crc.update(&buf[..n]);
        if n == 0 && !buf.is_empty() && self.crc.clone().finalize() != self.expected_crc {
            return Err(invalid("the checksum of a file is wrong"));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Written by Python 3.11: `zipfile.ZipFile(…)` with `writestr("a.txt", "abc")`, stored, and
    /// `writestr("b.txt", "x" * 1000)`, deflated.
    const ARCHIVE: &[u8] = include_bytes!("../../../../tests/fixtures/compressed/two_files.zip");

    fn read(archive: &[u8], name: &str) -> io::Result<Option<String>> {
        let mut archive = Cursor::new(archive);
        let Some(mut file) = open(&mut archive, name)? else { return Ok(None) };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(Some(text))
    }

    #[test]
    fn stored_and_deflated_files_are_read() {
        assert_eq!(read(ARCHIVE, "a.txt").unwrap().unwrap(), "abc");
        assert_eq!(read(ARCHIVE, "b.txt").unwrap().unwrap(), "x".repeat(1000));
        assert_eq!(read(ARCHIVE, "c.txt").unwrap(), None);
    }

    #[test]
    fn damaged_archive_is_an_error_or_equal() {
        for at in 0..ARCHIVE.len() {
            let mut damaged = ARCHIVE.to_vec();
            damaged[at] ^= 0x10;
            for archive in [&ARCHIVE[..at], &damaged] {
                if let Ok(Some(text)) = read(archive, "b.txt") {
                    assert_eq!(text, "x".repeat(1000), "{at}");
                }
            }
        }
    }
}
