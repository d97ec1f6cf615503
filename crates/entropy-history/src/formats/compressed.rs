//! Decompresses gzip and Zstandard, recognised by their first bytes.
//!
//! A compressed log of a killed job ends too early. The data before that is valid, so the stream just
//! ends there, and the reason is kept. Data that does not fit its checksum is an error: any value in it may
//! be wrong.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Logarithm of the largest window in bytes: 128 MiB, which `zstd` accepts by default. A frame that needs
/// more memory is rejected.
const LARGEST_WINDOW: u32 = 27;

/// A reader that decompresses its source if it is compressed.
pub struct Decompressed<'a> {
    inner: Inner<'a>,
    truncation: Option<String>,
}

type Packed<'a> = io::Chain<io::Cursor<Vec<u8>>, &'a mut dyn Read>;

enum Inner<'a> {
    Plain(Packed<'a>),
    Gzip(Box<MultiGzDecoder<Packed<'a>>>),
    Zstd(Box<zstd::Decoder<'static, io::BufReader<Packed<'a>>>>),
}

impl<'a> Decompressed<'a> {
    /// Reads the first bytes of a source to see whether it is compressed.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn new(source: &'a mut dyn Read) -> io::Result<Decompressed<'a>> {
        let mut magic = Vec::new();
        source.take(4).read_to_end(&mut magic)?;
        let (gzip, zstd) = (magic.starts_with(&GZIP), magic == ZSTD);
        let packed = io::Cursor::new(magic).chain(source);
        let inner = if gzip {
            Inner::Gzip(Box::new(MultiGzDecoder::new(packed)))
        } else if zstd {
            let mut decoder = zstd::Decoder::new(packed)?;
            decoder.window_log_max(LARGEST_WINDOW)?;
            Inner::Zstd(Box::new(decoder))
        } else {
            Inner::Plain(packed)
        };
        Ok(Decompressed { inner, truncation: None })
    }

    /// Whether the source is compressed.
    pub fn is_compressed(&self) -> bool {
        !matches!(self.inner, Inner::Plain(_))
    }

    /// Why the compressed stream ended too early, if it did.
    pub fn take_truncation(&mut self) -> Option<String> {
        self.truncation.take()
    }
}

impl Read for Decompressed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.truncation.is_some() {
            return Ok(0);
        }
        let read = match &mut self.inner {
            Inner::Plain(plain) => return plain.read(buf),
            Inner::Gzip(gzip) => gzip.read(buf),
            Inner::Zstd(zstd) => zstd.read(buf),
        };
        match read {
            // Errors of the system have a number; the others are about the compressed data.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                self.truncation = Some("it is cut off".to_owned());
                Ok(0)
            }
            // Like `gzip -d`, ignores what follows a complete member; the library has no kind for this error.
            Err(e) if e.to_string() == "invalid gzip header" => {
                self.truncation = Some("other data follows it".to_owned());
                Ok(0)
            }
            Err(e) if e.raw_os_error().is_none() && e.kind() != io::ErrorKind::Interrupted => {
                let what = format!("its compressed data is damaged ({e})");
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
            read => read,
        }
    }
}

/// Reads a file of at most `most` bytes into memory; gzip and Zstandard, recognised by their first bytes, are
/// decompressed.
///
/// # Errors
/// When it cannot be read, its compressed data is damaged or ends too early, or it is longer.
pub fn read_decompressed(source: &mut dyn Read, most: u64) -> io::Result<Vec<u8>> {
    let mut reader = Decompressed::new(source)?;
    let mut bytes = Vec::new();
    (&mut reader).take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    let refuse = |reason: String| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    match reader.take_truncation() {
        Some(reason) => refuse(format!("its compressed data is not complete: {reason}")),
        None if bytes.len() as u64 > most => {
            refuse(format!("it has more than {} MiB of data", most >> 20))
        }
        None => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn unpacked(mut bytes: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut reader = Decompressed::new(&mut bytes).unwrap();
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        (text, reader.take_truncation())
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_streams_are_decompressed_and_plain_ones_unchanged() {
        let text = b"{\"step\": 1}\n".repeat(5_000);
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        let members = [gzip(&text[..600]), gzip(&text[600..])].concat();
        for packed in [gzip(&text), members, zstd, text.clone()] {
            assert!(unpacked(&packed) == (text.clone(), None));
        }
        assert_eq!(unpacked(b"\x1f"), (b"\x1f".to_vec(), None));
    }

    #[test]
    fn whole_files_are_read_up_to_a_limit() {
        let text = b"abc\n".repeat(1000);
        for packed in [text.clone(), gzip(&text), zstd::encode_all(&text[..], 1).unwrap()] {
            let read = |bytes: &[u8], most| read_decompressed(&mut &bytes[..], most);
            assert_eq!(read(&packed, 4000).unwrap(), text);
            assert!(read(&packed, 3999).unwrap_err().to_string().contains("more than"));
        }
        let cut = gzip(&text);
        let error = read_decompressed(&mut &cut[..cut.len() - 9], 4000).unwrap_err();
        assert_eq!(error.to_string(), "its compressed data is not complete: it is cut off");
    }

    #[test]
    fn wrong_checksum_is_an_error() {
        let text = b"{\"step\": 1, \"entropy\": 2.5}\n".repeat(100);
        let mut checked = zstd::Encoder::new(Vec::new(), 1).unwrap();
        checked.include_checksum(true).unwrap();
        checked.write_all(&text).unwrap();
        let (mut gzip, mut zstd) = (gzip(&text), checked.finish().unwrap());
        let (end, last) = (gzip.len() - 8, zstd.len() - 1);
        gzip[end] ^= 1; // the checksum is followed by the length
        zstd[last] ^= 1;
        for packed in [gzip, zstd] {
            let mut bytes = &packed[..];
            let error = Decompressed::new(&mut bytes).unwrap().read_to_end(&mut Vec::new());
            assert!(error.unwrap_err().to_string().contains("damaged"));
        }
    }

    #[test]
    fn truncated_stream_yields_its_start_and_reports_truncation() {
        let text: Vec<u8> =
            (0..200_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for packed in [gzip(&text), zstd::encode_all(&text[..], 1).unwrap()] {
            let (got, cut) = unpacked(&packed[..packed.len() / 2]);
            assert!(!got.is_empty() && text.starts_with(&got));
            assert!(cut.is_some());
        }
    }
}
