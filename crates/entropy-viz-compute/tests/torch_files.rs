//! Files of torch.save that are hostile or damaged.

use std::fs;
use std::path::Path;

use crate::common::fixture;
use crate::compute::{assert_rejected, rollouts, temp_dir, text};
use crate::shards::copy_config;

/// Writes a zip archive of stored entries, like `torch.save`.
pub(crate) fn write_archive(path: &Path, entries: &[(&str, &[u8])]) {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    let header = |size: usize, name: &str| {
        let mut header = [0u8; 26].to_vec();
        header[0] = 20;
        header[14..18].copy_from_slice(&(size as u32).to_le_bytes());
        header[18..22].copy_from_slice(&(size as u32).to_le_bytes());
        header[22..24].copy_from_slice(&(name.len() as u16).to_le_bytes());
        header
    };
    for (name, data) in entries {
        let position = bytes.len() as u32;
        let fields = header(data.len(), name);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        bytes.extend(name.as_bytes());
        bytes.extend(*data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(position.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend((entries.len() as u16).to_le_bytes().repeat(2));
    bytes.extend([size, start].map(u32::to_le_bytes).concat());
    bytes.extend([0, 0]);
    fs::write(path, bytes).unwrap();
}

#[test]
fn malicious_pickles_are_refused_and_nothing_runs() {
    let tmp = temp_dir();
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("qwen2", &checkpoint);
    let given = rollouts();
    let marker = tmp.path().join("it-ran");
    let command = format!("touch {}", marker.display());
    let command =
        [b"X".as_slice(), &(command.len() as u32).to_le_bytes(), command.as_bytes()].concat();
    let nested = b"ctorch._utils\n_rebuild_parameter\n".repeat(100_000);
    let nested = [
        b"\x80\x02}X\x01\x00\x00\x00w".as_slice(),
        &nested,
        b"N",
        &b"\x85R".repeat(100_000),
        b"s.",
    ]
    .concat();
    let cases: [(Vec<u8>, &[&str]); 7] = [
        (nested, &["the tensor w", "nested too deeply"]),
        ([b"\x80\x02cposix\nsystem\n".as_slice(), &command, b"\x85R."].concat(), &["posix.system"]),
        (
            [b"\x80\x02c__builtin__\neval\n".as_slice(), &command, b"\x85R."].concat(),
            &["__builtin__.eval"],
        ),
        // A call within the arguments of a known function.
        (
            [
                b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\n".as_slice(),
                &command,
                b"\x85RtR.",
            ]
            .concat(),
            &["os.system"],
        ),
        (
            [b"\x80\x02ctorch\ndevice\n".as_slice(), &command, b"\x85R)R."].concat(),
            &["calls a value"],
        ),
        (b"\x80\x02\x8b\xff\xff\xff\x7fa.".to_vec(), &["integer of 2147483647 bytes"]),
        (
            b"\x80\x02}X\x01\x00\x00\x00wX\x01\x00\x00\x00xs.".to_vec(),
            &["\"w\" is a string, not a tensor"],
        ),
    ];
    for (pickle, words) in cases {
        write_archive(&checkpoint.join("pytorch_model.bin"), &[("a/data.pkl", &pickle)]);
        let words = [words, &["pytorch_model.bin"]].concat();
        let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
        assert_rejected(tmp.path(), &arguments, &words);
        assert!(!marker.exists());
    }
}

/// `{"w": _rebuild_tensor_v2(storage, offset, (size,), (stride,), False, OrderedDict())}`
pub(crate) fn tensor_pickle(offset: u8, size: u8, stride: u8) -> Vec<u8> {
    let mut pickle = b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ".to_vec();
    pickle.extend([b'K', offset, b'K', size, 0x85, b'K', stride, 0x85, 0x89]);
    pickle.extend(b"ccollections\nOrderedDict\n)RtRs.");
    pickle
}

#[test]
fn tensors_outside_their_storage_are_refused() {
    let tmp = temp_dir();
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("qwen2", &checkpoint);
    let given = rollouts();
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let file = checkpoint.join("pytorch_model.bin");
    for (offset, size, stride) in [(1, 4, 1), (0, 5, 1), (0, 3, 2), (200, 1, 1)] {
        let pickle = tensor_pickle(offset, size, stride);
        write_archive(&file, &[("a/data.pkl", &pickle), ("a/data/0", &[0; 16])]);
        assert_rejected(tmp.path(), &arguments, &["the tensor w", "does not fit its storage"]);
    }
    // In place: only the model has no such tensor.
    write_archive(&file, &[("a/data.pkl", &tensor_pickle(0, 4, 1)), ("a/data/0", &[0; 16])]);
    assert_rejected(tmp.path(), &arguments, &["is missing"]);
    write_archive(&file, &[("a/data.pkl", &tensor_pickle(0, 4, 1))]);
    assert_rejected(tmp.path(), &arguments, &["no storage \"0\""]);
    let big_endian: [(&str, &[u8]); 2] = [("a/data.pkl", b"\x80\x02}."), ("a/byteorder", b"big")];
    write_archive(&file, &big_endian);
    assert_rejected(tmp.path(), &arguments, &["big-endian"]);
}

#[test]
fn damaged_torch_files_are_refused() {
    let tmp = temp_dir();
    let checkpoint = tmp.path().join("checkpoint");
    copy_config("gemma2", &checkpoint);
    let given = rollouts();
    let arguments = ["--model", "checkpoint", "--prompts", text(&given)];
    let file = checkpoint.join("pytorch_model.bin");
    let whole = fs::read(fixture("shards/bin/pytorch_model.bin")).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert_rejected(tmp.path(), &arguments, &["pytorch_model.bin", "cut off"]);
    fs::write(&file, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    assert_rejected(tmp.path(), &arguments, &["torch before 1.6"]);
    fs::write(&file, b"version https://git-lfs.github.com/spec/v1\n").unwrap();
    assert_rejected(tmp.path(), &arguments, &["git-lfs"]);
    fs::write(&file, b"").unwrap();
    assert_rejected(tmp.path(), &arguments, &["pytorch_model.bin"]);
    fs::rename(&file, checkpoint.join("pytorch_model-00001-of-00002.bin")).unwrap();
    assert_rejected(tmp.path(), &arguments, &["complete"]);
}
