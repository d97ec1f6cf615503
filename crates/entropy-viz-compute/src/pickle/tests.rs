use super::*;

/// The fault of a pickle that is refused.
fn fault(bytes: &[u8]) -> Fault {
    read(bytes).expect_err("it is not refused").fault
}

fn refused_global(bytes: &[u8]) -> String {
    match fault(bytes) {
        Fault::RefusedGlobal(name) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_what_python_pickles() {
    // pickle.dumps({"a": (1, -2, 300, 70000, 2**40, -2**40, 0.5), "b": [None, True, "é"]}, protocol=2), Python 3.11
    let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01(K\x01J\xfe\xff\xff\xffM\x2c\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x06\x00\x00\x00\x00\x00\xffG?\xe0\x00\x00\x00\x00\x00\x00tq\x02X\x01\x00\x00\x00bq\x03]q\x04(N\x88X\x02\x00\x00\x00\xc3\xa9q\x05eu.";
    let pickle = read(bytes).unwrap();
    let a = pickle.elements(pickle.field(pickle.root(), "a").unwrap()).unwrap();
    let ints: Vec<Option<i64>> = a.iter().map(|id| pickle.int(*id)).collect();
    let [one, two] = [1i64 << 40, -(1i64 << 40)].map(Some);
    assert_eq!(ints, [Some(1), Some(-2), Some(300), Some(70000), one, two, None]);
    assert_eq!(pickle.get(a[6]), &Value::Float(0.5));
    let b = pickle.elements(pickle.field(pickle.root(), "b").unwrap()).unwrap();
    assert_eq!(pickle.get(b[0]), &Value::None);
    assert_eq!(pickle.get(b[1]), &Value::Bool(true));
    assert_eq!(pickle.text(b[2]), Some("é"));
}

#[test]
fn refuses_functions_by_name() {
    // pickle.dumps of an object whose __reduce__ gives (os.system, ("id",)); protocols 2 and 4
    assert_eq!(
        refused_global(b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03."),
        "posix.system"
    );
    assert_eq!(
        refused_global(b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."),
        "posix.system"
    );
    assert_eq!(refused_global(b"\x80\x02c__builtin__\neval\n."), "__builtin__.eval");
    assert_eq!(refused_global(b"\x80\x02cbuiltins\ngetattr\n."), "builtins.getattr");
    // Deep in a tensor that is otherwise fine, and as a part of a known module's name.
    assert_eq!(
        refused_global(b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00wctorch._utils\n_rebuild_parameter\n(cos\nsystem\n"),
        "os.system"
    );
    assert_eq!(refused_global(b"\x80\x02ctorch\nload\n."), "torch.load");
    assert_eq!(
        refused_global(b"\x80\x02ctorch.distributed.tensor_evil\nDTensor\n."),
        "torch.distributed.tensor_evil.DTensor"
    );
    assert_eq!(
        refused_global(b"\x80\x02ctorch\n_utils._rebuild_tensor_v2\n."),
        "torch._utils._rebuild_tensor_v2"
    );
    assert_eq!(refused_global(b"\x80\x02c\x1b[31m\nx\n."), "\\u{1b}[31m.x");
}

#[test]
fn refuses_to_call_values() {
    // A string, a tuple, and the result of a call are not classes.
    assert_eq!(fault(b"\x80\x02X\x01\x00\x00\x00f)R."), Fault::RefusedCall);
    assert_eq!(fault(b"\x80\x02))\x81."), Fault::RefusedCall);
    assert_eq!(fault(b"\x80\x02ctorch\ndevice\n)R)R."), Fault::RefusedCall);
    assert_eq!(fault(b"\x80\x02ctorch\ndevice\n]R."), Fault::RefusedCall);
}

#[test]
fn refuses_other_operations() {
    // INST, OBJ, EXT1, BINPERSID's text form, NEWOBJ_EX, DUP, NEXT_BUFFER
    for opcode in [b'i', b'o', 0x82, b'P', 0x92, b'2', 0x97] {
        assert_eq!(fault(&[0x80, 2, opcode, b'.']), Fault::UnknownOpcode(opcode));
    }
    assert_eq!(fault(b"\x80\x01."), Fault::Malformed("its protocol is not 2, 3, 4 or 5"));
}

#[test]
fn refuses_sizes_beyond_the_file() {
    assert_eq!(fault(b"\x80\x02\x8b\xff\xff\xff\x7f."), Fault::HugeInteger(0x7fff_ffff));
    assert_eq!(fault(b"\x80\x02\x8a\x09aaaaaaaaa."), Fault::HugeInteger(9));
    assert_eq!(fault(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffa."), Fault::Truncated);
    assert_eq!(fault(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fa."), Fault::Truncated);
    assert_eq!(fault(b"\x80\x02X\xff\xff\xff\xff."), Fault::Truncated);
    assert_eq!(
        fault(b"\x80\x02h\x05."),
        Fault::Malformed("it recalls a value that it has not stored")
    );
}

/// A list that contains the list before twice, 60 times: 2^60 elements if it were copied.
#[test]
fn shared_values_are_not_copied() {
    let mut bytes = b"\x80\x02]q\x00".to_vec();
    for i in 0..60u8 {
        bytes.extend([b']', b'(', b'h', i, b'h', i, b'e', b'q', i + 1]);
    }
    bytes.push(b'.');
    let pickle = read(&bytes).unwrap();
    assert_eq!(pickle.values.len(), 61);
}

#[test]
fn deep_and_cyclic_values_need_no_stack() {
    let mut deep = b"\x80\x02".to_vec();
    deep.extend([b']'].repeat(1_000_000));
    deep.extend([b'a'].repeat(999_999));
    deep.push(b'.');
    assert_eq!(read(&deep).unwrap().values.len(), 1_000_000);
    // l = []; l.append(l)
    let cycle = read(b"\x80\x02]q\x00h\x00a.").unwrap();
    assert_eq!(cycle.elements(cycle.root()).unwrap(), [cycle.root()]);
}

#[test]
fn memory_is_limited() {
    let limits = Limits { values: 100, elements: 400 };
    let fault = |body: &[u8]| {
        machine::run(body, limits, Globals::Known).expect_err("it is not refused").fault
    };
    let values = Fault::TooLarge("16 million values");
    assert!(
        machine::run(
            &[b"(".to_vec(), b"]".repeat(100), b"t.".to_vec()].concat(),
            limits,
            Globals::Known
        )
        .is_err()
    );
    assert!(
        machine::run(
            &[b"(".to_vec(), b"]".repeat(99), b"t.".to_vec()].concat(),
            limits,
            Globals::Known
        )
        .is_ok()
    );
    assert_eq!(fault(&b"]".repeat(101)), values);
    assert_eq!(fault(&b"(".repeat(101)), values);
    assert_eq!(fault(&[b"]q\x00".to_vec(), b"h\x00".repeat(100)].concat()), values);
    let memo: Vec<u8> = (0..101u8).flat_map(|i| [b'q', i]).collect();
    assert_eq!(fault(&[b"]".to_vec(), memo].concat()), values);
    // One empty list, appended to another over and over.
    let references = [b"]q\x00]".to_vec(), b"(h\x00h\x00h\x00h\x00e".repeat(100)].concat();
    assert_eq!(fault(&references), Fault::TooLarge("64 million elements"));
}

#[test]
fn every_cut_is_an_error() {
    let bytes = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00aq\x02ctorch\nSize\nq\x03K\x01K\x02\x86q\x04\x85q\x05Rq\x06s}q\x07X\x09\x00\x00\x00_metadataq\x08h\x01sb.";
    let pickle = read(bytes).unwrap();
    let a = pickle.field(pickle.root(), "a").unwrap();
    assert_eq!(pickle.ints(a), Some(vec![1, 2]));
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn attributes_may_be_in_slots() {
    // torch.distributed.tensor.Shard with the state (None, {"dim": 1})
    let bytes = b"\x80\x02ctorch.distributed.tensor.placement_types\nShard\n)\x81N}X\x03\x00\x00\x00dimK\x01s\x86b.";
    let pickle = read(bytes).unwrap();
    assert_eq!(pickle.object(pickle.root()).unwrap().0, "Shard");
    assert_eq!(pickle.field(pickle.root(), "dim").and_then(|id| pickle.int(id)), Some(1));
    assert_eq!(pickle.field(pickle.root(), "other"), None);
}

/// Real pickles with random bytes changed are read or refused, and no question about their values panics.
#[test]
fn damaged_pickles_are_refused_or_read() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/shards/");
    let metadata = std::fs::read(format!("{fixtures}dcp-2/.metadata")).unwrap();
    let shard =
        std::fs::read(format!("{fixtures}torch-2.11/hsdp2_world_size_4_rank_0.pt")).unwrap();
    let entries = zip::entries(&shard).unwrap();
    let pickle = entries.iter().find(|entry| entry.name.ends_with("/data.pkl")).unwrap();
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % below
    };
    let mut refused = 0;
    for whole in [metadata, shard[pickle.data.clone()].to_vec()] {
        assert!(read(&whole).is_ok());
        for _ in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..=next(3) {
                let position = next(bytes.len());
                bytes[position] = next(256) as u8;
            }
            match read(&bytes) {
                Ok(pickle) => (0..pickle.values.len() as u32).map(ValueId).for_each(|id| {
                    let _ = (
                        pickle.kind(id),
                        pickle.ints(id),
                        pickle.object(id),
                        pickle.field(id, "dim"),
                    );
                }),
                Err(_) => refused += 1,
            }
        }
    }
    assert!((1..4000).contains(&refused));
}

#[test]
fn damaged_archives_are_refused_or_read() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/shards/");
    let whole = std::fs::read(format!("{fixtures}torch-2.6/fsdp2_world_size_2_rank_0.pt")).unwrap();
    let directory = whole.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
    let names = |bytes: &[u8]| zip::entries(bytes).map(|entries| entries.len());
    assert_eq!(names(&whole), Ok(11)); // as Python's zipfile counts
    for end in 0..whole.len() {
        assert!(names(&whole[..end]).is_err(), "cut at {end}");
    }
    for position in directory..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[position] = value;
            for entry in zip::entries(&bytes).unwrap_or_default() {
                assert!(entry.data.end <= bytes.len());
            }
        }
    }
}
