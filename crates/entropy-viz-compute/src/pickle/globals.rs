//! The globals that count as data. They are in torch's own list of safe globals (`weights_only=True`), but for the
//! records of distributed checkpoints (`.metadata`) and of DeepSpeed, and the numbers of NumPy.

/// Modules (a trailing dot means: and all below) and the names in them.
const KNOWN: &[(&str, &[&str])] = &[
    ("collections", &["OrderedDict"]),
    ("builtins", &["set", "bytes"]),
    ("__builtin__", &["set", "bytes"]), // protocol 2 has Python 2's name
    ("_codecs", &["encode"]),           // protocol 2 has bytes as a text and its encoding
    ("numpy", &["ndarray", "dtype"]),
    ("numpy._core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy.core.multiarray", &["_reconstruct", "scalar"]), // up to NumPy 1
    ("numpy._core.numeric", &["_frombuffer"]),
    ("numpy.core.numeric", &["_frombuffer"]),
    ("pathlib", &["Path", "PosixPath", "PurePosixPath"]),
    ("pathlib._local", &["Path", "PosixPath", "PurePosixPath"]),
    (
        "torch",
        &[
            "Size",
            "Tensor",
            "device",
            "float64",
            "float32",
            "float16",
            "bfloat16",
            "int64",
            "int32",
            "int16",
            "int8",
            "uint8",
            "bool",
            "DoubleStorage",
            "FloatStorage",
            "HalfStorage",
            "BFloat16Storage",
            "LongStorage",
            "IntStorage",
            "ShortStorage",
            "CharStorage",
            "ByteStorage",
            "BoolStorage",
        ],
    ),
    ("torch.storage", &["UntypedStorage"]),
    ("torch._tensor", &["_rebuild_from_type_v2"]),
    (
        "torch._utils",
        &[
            "_rebuild_tensor_v2",
            "_rebuild_tensor_v3",
            "_rebuild_parameter",
            "_rebuild_parameter_with_state",
            "_rebuild_wrapper_subclass",
        ],
    ),
    ("torch.nn.parameter", &["Parameter"]),
    ("torch.serialization", &["_get_layout"]),
    ("torch.distributed.device_mesh", &["DeviceMesh"]),
    ("torch.distributed._mesh_layout", &["_MeshLayout"]),
    ("torch.distributed._pycute.layout", &["_MeshLayout"]),
    ("torch.distributed.tensor.", DTENSOR),
    ("torch.distributed._tensor.", DTENSOR), // up to torch 2.4
    (
        "torch.distributed.checkpoint.metadata",
        &[
            "Metadata",
            "TensorStorageMetadata",
            "BytesStorageMetadata",
            "TensorProperties",
            "ChunkStorageMetadata",
            "MetadataIndex",
            "StorageMeta",
            "_MEM_FORMAT_ENCODING",
        ],
    ),
    ("torch.distributed.checkpoint.filesystem", &["_StorageInfo"]),
    ("deepspeed.runtime.zero.config", &["ZeroStageEnum"]),
    ("deepspeed.runtime.fp16.loss_scaler", &["LossScaler", "DynamicLossScaler"]),
    ("deepspeed.utils.tensor_fragment", &["fragment_address"]),
];

/// The parts of a DTensor, which moved between modules.
const DTENSOR: &[&str] = &[
    "DTensor",
    "DTensorSpec",
    "TensorMeta",
    "ShardOrderEntry",
    "Shard",
    "_StridedShard",
    "Replicate",
    "Partial",
    "_Partial",
];

/// The last part of a known global's name.
pub(super) fn known(module: &str, name: &str) -> Option<&'static str> {
    let is_in = |known: &str| match known.strip_suffix('.') {
        Some(parent) => {
            module.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
        None => module == known,
    };
    let mut names = KNOWN.iter().filter(|(known, _)| is_in(known)).flat_map(|(_, names)| *names);
    names.find(|known| **known == name).copied()
}
