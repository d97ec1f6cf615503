//! libtorch helpers: device selection, threads, error messages, and tensors as slices.

use std::sync::OnceLock;

use anyhow::anyhow;
use entropy_shell::compute::{DeviceChoice, Dtype};
use entropy_shell::{CliError, WithHint};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Device, Kind, TchError, Tensor};

/// Selects the device.
///
/// The helper is linked to the CPU libraries only, so that it starts on any machine. CUDA becomes available when
/// libtorch_cuda is loaded, which takes a tenth of a second and is skipped for `cpu`.
///
/// # Errors
/// If a GPU is requested and not available.
pub(crate) fn device(choice: DeviceChoice) -> Result<Device, CliError> {
    static CUDA: OnceLock<Result<Library, String>> = OnceLock::new();
    let cuda = || {
        let loaded = CUDA.get_or_init(|| {
            // SAFETY: libtorch's own library; its initialisers register the CUDA backend, as when linked.
            #[allow(unsafe_code)]
            let library =
                unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
            library.map_err(|error| error.to_string())
        });
        let missing = loaded
            .as_ref()
            .err()
            .map(|_| "this libtorch has no CUDA support, or its CUDA libraries are missing");
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

/// The number type of the weights in memory; `stored` is that in the file.
pub(crate) fn kind(dtype: Dtype, stored: Kind, device: Device) -> Kind {
    match dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Bfloat16 => Kind::BFloat16,
        Dtype::Float16 => Kind::Half,
        Dtype::Auto if device == Device::Cpu => Kind::Float,
        Dtype::Auto => stored,
    }
}

/// torch's name of a number type.
pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::BFloat16 => "bfloat16",
        Kind::Half => "float16",
        _ => "float32",
    }
}

/// Sets the number of threads of libtorch and of the kernels. The calling thread is one of those of the kernels: a token that is sampled alone
/// takes a hundred small products, and to hand each to other threads, and to sleep until it is done, costs as much as some of them.
pub(crate) fn set_threads(threads: usize) -> anyhow::Result<()> {
    tch::set_num_threads(threads as i32);
    tch::set_num_interop_threads(1);
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global()?)
}

/// libtorch's error message without the C++ backtrace.
pub(crate) fn message(error: &TchError) -> String {
    let text = match error {
        TchError::Torch(text) => text.as_str(),
        other => return other.to_string(),
    };
    let reason = text.lines().map(str::trim).rfind(|line| line.starts_with("RuntimeError: "));
    let line = reason
        .or_else(|| text.lines().map(str::trim).find(|line| !line.is_empty()))
        .unwrap_or("unknown error");
    line.trim_start_matches("RuntimeError: ").trim_end_matches('.').to_owned()
}

/// Shortens a libtorch error to its message and prefixes it with `doing`; returns other errors unchanged.
pub(crate) fn with_message(error: anyhow::Error, doing: &str) -> anyhow::Error {
    match error.downcast::<TchError>() {
        Ok(error) if is_out_of_memory(&error) => anyhow!("{doing}: out of memory"),
        Ok(error) => anyhow!("{doing}: {}", message(&error)),
        Err(other) => other,
    }
}

/// Whether memory ran out, so that a smaller batch may succeed.
pub(crate) fn is_out_of_memory(error: &TchError) -> bool {
    let TchError::Torch(text) = error else { return false };
    text.contains("out of memory")
        || text.contains("can't allocate memory")
        || text.contains("not enough memory")
}

/// An uninitialised tensor for weights.
///
/// On the CPU, the system is asked for pages of 2 MiB. Weights are read once per product; with small pages, a product of few
/// rows is up to a tenth slower.
pub(crate) fn empty_for_weights(
    shape: &[i64],
    kind: Kind,
    device: Device,
) -> Result<Tensor, TchError> {
    let tensor = Tensor::f_empty(shape, (kind, device))?;
    #[cfg(target_os = "linux")]
    if device == Device::Cpu {
        const HUGE_PAGE: usize = 2 << 20;
        let start = tensor.data_ptr() as usize;
        let end = (start + tensor.numel() * kind.elt_size_in_bytes()) / HUGE_PAGE * HUGE_PAGE;
        let start = start.next_multiple_of(HUGE_PAGE);
        if start < end {
            // SAFETY: the range is within the memory of the tensor, and the advice does not change what is in it. A
            // system that refuses it uses small pages.
            #[allow(unsafe_code)]
            unsafe {
                libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE);
            }
        }
    }
    Ok(tensor)
}

/// The data of a contiguous f32 tensor on the CPU.
pub(crate) fn slice(tensor: &Tensor) -> &[f32] {
    check(tensor);
    // SAFETY: type, device and layout were checked; the tensor outlives the slice and is not written meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel())
    }
}

/// The mutable data of a contiguous f32 tensor on the CPU. No other tensor may share its memory.
pub(crate) fn slice_mut(tensor: &mut Tensor) -> &mut [f32] {
    check(tensor);
    // SAFETY: type, device and layout were checked; the tensor outlives the slice and is borrowed mutably.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel())
    }
}

fn check(tensor: &Tensor) {
    assert!(
        tensor.kind() == Kind::Float && tensor.device() == Device::Cpu && tensor.is_contiguous(),
        "BUG: only contiguous f32 tensors on the CPU can be slices"
    );
}
