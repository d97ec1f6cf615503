#![no_main]
//! Decompresses arbitrary bytes, and compresses arbitrary logs.

use std::io::Write;

use entropy_viz_fuzz::checks;
use entropy_viz_fuzz::formats::LogNote;
use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

fuzz_target!(|bytes: &[u8]| {
    let mut random = checks::random_numbers(bytes);
    checks::read_any(bytes);
    let plain = checks::read(bytes, None, &checks::known_series());
    let is_packed =
        bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if is_packed {
        return; // packed twice, which is not unpacked twice
    }
    let half = random(bytes.len() + 1);
    let zstd = |text| zstd::encode_all(text, 1).expect("writing to memory cannot fail");
    let members = [gzip(&bytes[..half]), gzip(&bytes[half..])].concat();
    let frames = [zstd(&bytes[..half]), zstd(&bytes[half..])].concat();
    for packed in [gzip(bytes), zstd(bytes), members, frames] {
        checks::assert_same(&checks::read(&packed, None, &checks::known_series()), &plain);
        let Ok((format, whole)) = &plain else { continue };
        let cut = &packed[..random(packed.len())];
        let Ok((_, log)) = checks::read(cut, Some(format), &checks::known_series()) else { continue };
        if !checks::is_ambiguous(bytes, format) {
            checks::assert_prefix(&log, whole);
        }
        let told = log.notes.iter().any(|note| matches!(note, LogNote::CompressionCut(_)));
        let between = cut == gzip(&bytes[..half]) || cut == zstd(&bytes[..half]);
        assert!(told || between, "nobody is told of the cut: {:?}", log.notes);
    }
});
