#![no_main]
//! Any bytes, unpacked; and any log, packed.

use std::io::Write;

use entropy_viz_fuzz::ask;
use entropy_viz_fuzz::formats::LogNote;
use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fuzz_target!(|bytes: &[u8]| {
    let mut dice = ask::dice(bytes);
    ask::whatever(bytes);
    let plain = ask::read(bytes, None, &ask::known());
    let is_packed =
        bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if is_packed {
        return; // packed twice, which is not unpacked twice
    }
    let half = dice(bytes.len() + 1);
    let zstd = |text| zstd::encode_all(text, 1).expect("memory takes all");
    let members = [gzip(&bytes[..half]), gzip(&bytes[half..])].concat();
    let frames = [zstd(&bytes[..half]), zstd(&bytes[half..])].concat();
    for packed in [gzip(bytes), zstd(bytes), members, frames] {
        ask::same(&ask::read(&packed, None, &ask::known()), &plain);
        let Ok((format, whole)) = &plain else { continue };
        let cut = &packed[..dice(packed.len())];
        let Ok((_, log)) = ask::read(cut, Some(format), &ask::known()) else { continue };
        if !ask::is_ambiguous(bytes, format) {
            ask::is_prefix(&log, whole);
        }
        let told = log.notes.iter().any(|note| matches!(note, LogNote::CompressionCut(_)));
        let between = cut == gzip(&bytes[..half]) || cut == zstd(&bytes[..half]);
        assert!(told || between, "nobody is told of the cut: {:?}", log.notes);
    }
});
