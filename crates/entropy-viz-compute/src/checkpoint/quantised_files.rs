//! Safetensors with quantised weights: several stored tensors make up one tensor of the model.
//!
//! | method | stored | tensor of the model |
//! | --- | --- | --- |
//! | fp8 | `X` in 8 bits, `X_scale_inv`, and perhaps `<module>.activation_scale`, which is not used | `X` |
//! | mxfp4 | `X_blocks`, experts × out × groups × 16 bytes, and `X_scales` | `X`, experts × in × out |
//!
//! The stored tensors may be in different files. A tensor in 16 or 32 bits is used as it is.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use safetensors::tensor::Dtype;
use tch::{Device, Kind, Tensor};

use super::dequantise::{self, MXFP4_GROUP};
use super::fp8_grid::Fp8Grid;
use super::quantisation::Quantisation;
use super::tensor_file::{TensorFile, kind_of, shape_text, view_bytes};

/// The files of a checkpoint and the tensors of the model in them.
pub(super) struct QuantisedFiles {
    files: Vec<TensorFile>,
    tensors: BTreeMap<String, ModelTensor>,
}

/// A tensor of the model.
struct ModelTensor {
    /// The numbers, or the only stored tensor.
    main: Place,
    /// Its shape in the model.
    size: Vec<i64>,
    form: Form,
}

enum Form {
    Plain,
    Fp8 { scales: Place, grid: Fp8Grid },
    Mxfp4 { scales: Place },
}

/// A stored tensor.
#[derive(Clone)]
struct Place {
    file: usize,
    name: String,
}

impl QuantisedFiles {
    /// Finds the tensors of the model.
    ///
    /// # Errors
    /// If a stored tensor lacks those that belong to it, or their shapes or number types do not fit; the message names it.
    pub(super) fn open(
        files: Vec<TensorFile>,
        quantisation: Quantisation,
    ) -> anyhow::Result<QuantisedFiles> {
        let mut stored: BTreeMap<String, Place> = BTreeMap::new();
        for (file, opened) in files.iter().enumerate() {
            for name in opened.names() {
                if let Some(other) = stored.insert(name.clone(), Place { file, name: name.clone() })
                {
                    bail!(
                        "cannot use {} and {} together: both have the tensor {name}",
                        files[other.file].path.display(),
                        opened.path.display()
                    );
                }
            }
        }
        let mut opened = QuantisedFiles { files, tensors: BTreeMap::new() };
        match quantisation {
            Quantisation::Fp8 { block } => opened.take_fp8(&mut stored, block)?,
            Quantisation::Mxfp4 => opened.take_mxfp4(&mut stored)?,
        }
        for (name, main) in stored {
            let size = opened.size_of(&main)?;
            let other = opened.tensors.insert(name, ModelTensor { main, size, form: Form::Plain });
            if let Some(other) = other {
                let ModelTensor { main: Place { file, name }, .. } = other;
                let path = opened.files[file].path.display();
                bail!("cannot use {path}: {name} is there, and the tensor without this ending too");
            }
        }
        Ok(opened)
    }

    fn take_fp8(
        &mut self,
        stored: &mut BTreeMap<String, Place>,
        block: Option<[i64; 2]>,
    ) -> anyhow::Result<()> {
        let names: Vec<String> = stored.keys().cloned().collect();
        for name in names {
            let Some(main) = stored.get(&name).cloned() else { continue };
            if kind_of_bits(self.dtype(&main)?).is_none() {
                continue;
            }
            let scale_name = format!("{name}_scale_inv");
            let Some(scales) = stored.remove(&scale_name) else {
                bail!("{}, but {scale_name} is missing", self.described(&main)?);
            };
            let size = self.size_of(&main)?;
            let grid = Fp8Grid::new(&size, &self.size_of(&scales)?, block);
            let grid = grid.with_context(|| self.cannot_use(&main))?;
            stored.remove(&name);
            // Engines quantise activations with it.
            stored.remove(&match name.strip_suffix(".weight") {
                Some(module) => format!("{module}.activation_scale"),
                None => format!("{name}_activation_scale"),
            });
            self.tensors.insert(name, ModelTensor { main, size, form: Form::Fp8 { scales, grid } });
        }
        let left = stored.iter().find(|(name, _)| name.ends_with("_scale_inv"));
        let Some((name, scales)) = left else { return Ok(()) };
        let base = name.strip_suffix("_scale_inv").unwrap_or(name);
        match stored.get(base) {
            None => bail!("{}: it has scales, but {base} is missing", self.cannot_use(scales)),
            Some(main) => {
                bail!("{}, which has no scales, but {name} is there", self.described(main)?)
            }
        }
    }

    fn take_mxfp4(&mut self, stored: &mut BTreeMap<String, Place>) -> anyhow::Result<()> {
        let names: Vec<String> =
            stored.keys().filter(|name| name.ends_with("_blocks")).cloned().collect();
        for blocks_name in names {
            let Some(main) = stored.remove(&blocks_name) else { continue };
            let name = blocks_name.strip_suffix("_blocks").unwrap_or(&blocks_name).to_owned();
            let Some(scales) = stored.remove(&format!("{name}_scales")) else {
                bail!("{}: it has blocks, but {name}_scales is missing", self.cannot_use(&main));
            };
            for place in [&main, &scales] {
                if self.dtype(place)? != Dtype::U8 {
                    bail!("{}, not U8 as MXFP4 is stored", self.described(place)?);
                }
            }
            let (shape, of_scales) = (self.size_of(&main)?, self.size_of(&scales)?);
            let [experts, rows, groups, bytes] = shape[..] else {
                bail!(
                    "{}: it has the shape {}, not experts × out × groups × 16",
                    self.cannot_use(&main),
                    shape_text(&shape)
                );
            };
            let fits = bytes == MXFP4_GROUP / 2 && of_scales == [experts, rows, groups];
            let Some(columns) = groups.checked_mul(MXFP4_GROUP).filter(|_| fits) else {
                bail!(
                    "{}: it has the shape {}, and its scales {}; 16 bytes in each group are supported, and a scale for each",
                    self.cannot_use(&main),
                    shape_text(&shape),
                    shape_text(&of_scales)
                );
            };
            let size = vec![experts, columns, rows];
            self.tensors.insert(name, ModelTensor { main, size, form: Form::Mxfp4 { scales } });
        }
        match stored.iter().find(|(name, _)| name.ends_with("_scales")) {
            None => Ok(()),
            Some((name, scales)) => {
                let base = name.strip_suffix("_scales").unwrap_or(name);
                bail!("{}: it has scales, but {base}_blocks is missing", self.cannot_use(scales))
            }
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    /// The file with the numbers of a tensor, for messages.
    pub(super) fn path(&self, name: &str) -> &Path {
        &self.files[self.tensors.get(name).map_or(0, |tensor| tensor.main.file)].path
    }

    /// Number types, `None` if quantised, and shapes.
    pub(super) fn summaries(&self) -> impl Iterator<Item = (Option<Kind>, &[i64])> {
        self.tensors.values().map(|tensor| {
            let kind = match tensor.form {
                Form::Plain => self.dtype(&tensor.main).ok().and_then(kind_of),
                Form::Fp8 { .. } | Form::Mxfp4 { .. } => None,
            };
            (kind, tensor.size.as_slice())
        })
    }

    pub(super) fn size(&self, name: &str) -> anyhow::Result<Vec<i64>> {
        Ok(self.tensor(name)?.size.clone())
    }

    /// A tensor on the CPU: in f32 if it is quantised, otherwise sharing the memory of the mapping, which must outlive it.
    pub(super) fn view(&self, name: &str) -> anyhow::Result<Tensor> {
        let tensor = self.tensor(name)?;
        if let Form::Plain = tensor.form {
            return self.files[tensor.main.file].view(&tensor.main.name);
        }
        let mut whole = Tensor::f_empty(&tensor.size, (Kind::Float, Device::Cpu))?;
        self.copy(name, &mut whole)?;
        Ok(whole)
    }

    /// Copies a tensor to a contiguous one of the same shape, on any device and of any number type.
    pub(super) fn copy(&self, name: &str, to: &mut Tensor) -> anyhow::Result<()> {
        let ModelTensor { main, form, .. } = self.tensor(name)?;
        match form {
            Form::Plain => to.f_copy_(&self.files[main.file].view(&main.name)?)?,
            Form::Fp8 { scales, grid } => {
                let kind = kind_of_bits(self.dtype(main)?).context("BUG: not of 8 bits")?;
                let numbers = self.view_as(main, kind)?.f_view(grid.numbers)?;
                let factors = self.factors(scales)?.f_view(grid.scales)?;
                dequantise::fp8(&numbers, &factors, grid.block, &to.f_view(grid.numbers)?)?;
                self.release(scales);
            }
            Form::Mxfp4 { scales } => {
                let blocks = self.view_as(main, Kind::Uint8)?;
                dequantise::mxfp4(&blocks, &self.view_as(scales, Kind::Uint8)?, to)?;
                self.release(scales);
            }
        }
        self.release(main);
        Ok(())
    }

    /// Scales of 8-bit numbers in f32 on the CPU.
    fn factors(&self, scales: &Place) -> anyhow::Result<Tensor> {
        match self.dtype(scales)? {
            // Exponents of two, E8M0.
            Dtype::U8 | Dtype::F8_E8M0 => {
                let bytes = self.view_as(scales, Kind::Uint8)?;
                Ok(dequantise::powers_of_two(&bytes, Device::Cpu)?)
            }
            _ => Ok(self.files[scales.file].view(&scales.name)?.f_to_kind(Kind::Float)?),
        }
    }

    fn view_as(&self, place: &Place, kind: Kind) -> anyhow::Result<Tensor> {
        let size = self.size_of(place)?;
        view_bytes(self.files[place.file].bytes(&place.name)?, &size, None, kind)
    }

    fn release(&self, place: &Place) {
        self.files[place.file].release(&place.name);
    }

    fn tensor(&self, name: &str) -> anyhow::Result<&ModelTensor> {
        self.tensors.get(name).with_context(|| format!("there is no tensor {name}"))
    }

    fn size_of(&self, place: &Place) -> anyhow::Result<Vec<i64>> {
        self.files[place.file].shape(&place.name)
    }

    fn dtype(&self, place: &Place) -> anyhow::Result<Dtype> {
        self.files[place.file].dtype(&place.name)
    }

    fn cannot_use(&self, place: &Place) -> String {
        format!("cannot use {}: the tensor {}", self.files[place.file].path.display(), place.name)
    }

    fn described(&self, place: &Place) -> anyhow::Result<String> {
        Ok(format!("{} is {:?}", self.cannot_use(place), self.dtype(place)?))
    }
}

/// The kind of a number type of 8 bits with scales.
fn kind_of_bits(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F8_E4M3 => Some(Kind::Float8e4m3fn),
        Dtype::F8_E5M2 => Some(Kind::Float8e5m2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(file: &str, quantisation: Quantisation) -> QuantisedFiles {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/quantized");
        let file = TensorFile::open(&fixtures.join(file)).unwrap();
        QuantisedFiles::open(vec![file], quantisation).unwrap()
    }

    /// The bits of a tensor; -0 and 0 differ.
    fn bits(tensor: &Tensor) -> Vec<i64> {
        let same_width = if tensor.kind() == Kind::Float { Kind::Int } else { Kind::Int16 };
        Vec::try_from(tensor.view_dtype(same_width).to_kind(Kind::Int64).reshape([-1])).unwrap()
    }

    /// Compares tensors in both number types with those that transformers dequantised; returns how many there were.
    fn compare(files: &QuantisedFiles, suffix: &str) -> usize {
        let names = files.names();
        let names: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(suffix)).collect();
        for name in &names {
            for (kind, kind_name) in [(Kind::Float, "float32"), (Kind::BFloat16, "bfloat16")] {
                let expected = files.view(&format!("{name}.{kind_name}")).unwrap();
                let mut ours = Tensor::zeros(expected.size(), (kind, Device::Cpu));
                files.copy(&format!("{name}{suffix}"), &mut ours).unwrap();
                assert_eq!(bits(&ours), bits(&expected), "{name} in {kind_name}");
            }
        }
        names.len()
    }

    #[test]
    fn fp8_has_the_bits_of_transformers() {
        let equal_blocks = Quantisation::Fp8 { block: None };
        assert_eq!(compare(&open("fp8-tensors.safetensors", equal_blocks), ".weight"), 10);
        let blocks = Quantisation::Fp8 { block: Some([8, 8]) };
        assert_eq!(compare(&open("fp8-tensors-in-blocks.safetensors", blocks), ".weight"), 3);
    }

    #[test]
    fn mxfp4_has_the_bits_of_transformers() {
        let files = open("mxfp4-tensors.safetensors", Quantisation::Mxfp4);
        for (kind, name) in [(Kind::Float, "x.float32"), (Kind::BFloat16, "x.bfloat16")] {
            let expected = files.view(name).unwrap();
            let mut ours = Tensor::zeros(files.size("x").unwrap(), (kind, Device::Cpu));
            files.copy("x", &mut ours).unwrap();
            assert_eq!(ours.size(), expected.size());
            assert_eq!(bits(&ours), bits(&expected), "{name}");
        }
    }
}
