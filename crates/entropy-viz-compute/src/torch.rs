//! What libtorch needs around it: the device, threads, its error texts, and its memory as slices.

use std::sync::OnceLock;

use anyhow::anyhow;
use entropy_shell::compute::{DeviceChoice, Dtype};
use entropy_shell::{Failure, WithHint};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Device, Kind, TchError, Tensor};

/// Chooses the device.
///
/// Linked to the CPU libraries alone, the helper starts on any machine; CUDA is there once
/// libtorch_cuda has been loaded, which costs a tenth of a second and so is not done for `cpu`.
///
/// # Errors
/// If a GPU is asked for and not there.
pub(crate) fn device(choice: DeviceChoice) -> Result<Device, Failure> {
    static CUDA: OnceLock<Result<Library, String>> = OnceLock::new();
    let cuda = || {
        let loaded = CUDA.get_or_init(|| {
            // SAFETY: the library is libtorch's own and registers itself, as linking to it would.
            #[allow(unsafe_code)]
            let library =
                unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
            library.map_err(|error| error.to_string())
        });
        let missing = loaded
            .as_ref()
            .err()
            .map(|_| "this libtorch is for the CPU alone, or its CUDA libraries are missing");
        let none = || if tch::Cuda::is_available() { None } else { Some("no GPU is visible") };
        missing.or_else(none)
    };
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(if cuda().is_none() { Device::Cuda(0) } else { Device::Cpu }),
        DeviceChoice::Cuda(number) => {
            if let Some(why) = cuda() {
                return Err(anyhow!("cannot compute on cuda:{number}: {why}"))
                    .hint("check nvidia-smi and $CUDA_VISIBLE_DEVICES, and that torch has CUDA; --device cpu works everywhere");
            }
            let count = tch::Cuda::device_count();
            if number as i64 >= count {
                return Err(anyhow!(
                    "cannot compute on cuda:{number}: there are {count} GPUs, counted from 0"
                ))
                .hint("--device cuda");
            }
            Ok(Device::Cuda(number))
        }
    }
}

/// The type of the weights in memory; `stored` is theirs in the file.
pub(crate) fn kind(dtype: Dtype, stored: Kind, device: Device) -> Kind {
    match dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Bfloat16 => Kind::BFloat16,
        Dtype::Float16 => Kind::Half,
        Dtype::Auto if device == Device::Cpu => Kind::Float,
        Dtype::Auto => stored,
    }
}

/// torch's name of a type.
pub(crate) fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::BFloat16 => "bfloat16",
        Kind::Half => "float16",
        _ => "float32",
    }
}

/// Gives libtorch and the entropy kernel the same number of threads.
pub(crate) fn set_threads(threads: usize) -> anyhow::Result<()> {
    tch::set_num_threads(threads as i32);
    tch::set_num_interop_threads(1);
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?)
}

/// libtorch's message without the C++ backtrace below it.
pub(crate) fn say(error: &TchError) -> String {
    let text = match error {
        TchError::Torch(text) => text.as_str(),
        other => return other.to_string(),
    };
    let told = text.lines().map(str::trim).rfind(|line| line.starts_with("RuntimeError: "));
    let line = told
        .or_else(|| text.lines().map(str::trim).find(|line| !line.is_empty()))
        .unwrap_or("no reason given");
    line.trim_start_matches("RuntimeError: ").trim_end_matches('.').to_owned()
}

/// An error that happened while `doing` something: of libtorch's text only the reason.
pub(crate) fn plain(error: anyhow::Error, doing: &str) -> anyhow::Error {
    match error.downcast::<TchError>() {
        Ok(error) if is_out_of_memory(&error) => anyhow!("{doing}: memory runs out"),
        Ok(error) => anyhow!("{doing}: {}", say(&error)),
        Err(other) => other,
    }
}

/// Whether memory ran out, so that a smaller batch may do.
pub(crate) fn is_out_of_memory(error: &TchError) -> bool {
    let TchError::Torch(text) = error else { return false };
    text.contains("out of memory")
        || text.contains("can't allocate memory")
        || text.contains("not enough memory")
}

/// The numbers of a contiguous f32 tensor on the CPU.
pub(crate) fn slice(tensor: &Tensor) -> &[f32] {
    check(tensor);
    // SAFETY: just checked; the tensor outlives the slice, and nothing writes to it meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel())
    }
}

/// The same, to be written. The tensor must be new: one that shares its memory would change too.
pub(crate) fn slice_mut(tensor: &mut Tensor) -> &mut [f32] {
    check(tensor);
    // SAFETY: just checked; the tensor outlives the slice, and is borrowed by nobody else.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel())
    }
}

fn check(tensor: &Tensor) {
    assert!(
        tensor.kind() == Kind::Float && tensor.device() == Device::Cpu && tensor.is_contiguous(),
        "BUG: only contiguous f32 on the CPU can be seen as a slice"
    );
}
