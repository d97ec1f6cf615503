//! The tensors of a checkpoint: its files are mapped into memory, and each tensor is copied once to its device and
//! number type.
//!
//! Every tensor of the model must exist, have the expected shape and be finite, and all stored tensors must be used:
//! a checkpoint of another architecture is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{anyhow, bail};
use entropy_shell::CliError;
use tch::{Device, Kind, Tensor};

use super::lora::LoraAdapter;
use super::shared::SharedTensors;
use super::source::Source;
use super::tensor_file::shape_text;
use crate::torch;

/// The device and number type of a model's tensors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TensorOptions {
    pub(crate) device: Device,
    pub(crate) kind: Kind,
}

/// The tensors of one checkpoint, by name.
pub(crate) struct Weights {
    sources: Vec<Source>,
    stored: BTreeMap<String, Stored>,
    used: BTreeSet<String>,
    adapter: Option<LoraAdapter>,
    /// The tensors that other models of the same files have in common with this one.
    shared: Option<Rc<SharedTensors>>,
    /// Parts of names, as in the files and as they are asked for.
    renamed: &'static [(&'static str, &'static str)],
}

/// Where a tensor is.
struct Stored {
    /// The index of the file.
    source: usize,
    /// Its name in the file.
    name: String,
}

impl Weights {
    /// Opens the files of a checkpoint and reads their headers. `config` is the directory of config.json.
    pub(crate) fn open(paths: &[PathBuf], config: &Path) -> Result<Weights, CliError> {
        let sources = Source::open_all(paths, config)?;
        let mut stored: BTreeMap<String, Stored> = BTreeMap::new();
        for (i, source) in sources.iter().enumerate() {
            for name in source.names() {
                let place = Stored { source: i, name: name.clone() };
                if let Some(other) = stored.insert(name.clone(), place) {
                    let (a, b) =
                        (sources[other.source].path(&name).display(), source.path(&name).display());
                    return Err(anyhow!(
                        "cannot use {a} and {b} together: both have the tensor {name}"
                    )
                    .into());
                }
            }
        }
        let (used, adapter, shared) = (BTreeSet::new(), None, None);
        Ok(Weights { sources, stored, used, adapter, shared, renamed: &[] })
    }

    /// Adds an adapter, which is merged into the tensors when they are loaded.
    pub(super) fn with(self, adapter: LoraAdapter) -> Weights {
        Weights { adapter: Some(adapter), ..self }
    }

    /// Has the tensors that no adapter changes in common with other models of these files, if `tensors` are given.
    pub(crate) fn sharing(self, tensors: Option<&Rc<SharedTensors>>) -> Weights {
        Weights { shared: tensors.cloned(), ..self }
    }

    /// Of a model of pictures and text, keeps only the language model, under the names of a model of text.
    ///
    /// # Errors
    /// If two tensors would have one name.
    pub(crate) fn keep_language_model(&mut self) -> anyhow::Result<()> {
        self.rename_by(&text_name)
    }

    /// Replaces parts of names, each (there, here), in tensors and adapter. A part begins and ends at a dot.
    ///
    /// # Errors
    /// If two tensors would have one name.
    pub(crate) fn rename(&mut self, parts: &'static [(&str, &str)]) -> anyhow::Result<()> {
        self.renamed = parts;
        self.rename_by(&|name| Some(replace_parts(name, parts.iter().copied())))
    }

    fn rename_by(&mut self, new_name: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<()> {
        if let Some(adapter) = &mut self.adapter {
            adapter.rename_by(new_name);
        }
        for (name, stored) in std::mem::take(&mut self.stored) {
            let Some(new_name) = new_name(&name) else { continue };
            if let Some(other) = self.stored.insert(new_name, stored) {
                let path = self.sources[other.source].path(&other.name).display();
                bail!(
                    "cannot use {path}: it has the tensors {} and {name} of two models",
                    other.name
                );
            }
        }
        Ok(())
    }

    /// Leaves out the tensors whose names begin with one of `prefixes`: they need not be used.
    pub(crate) fn leave_out<'a>(&mut self, prefixes: impl Iterator<Item = &'a str> + Clone) {
        self.stored.retain(|name, _| !prefixes.clone().any(|prefix| name.starts_with(prefix)));
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    /// The number type of most of the weights, by bytes; quantised ones do not count.
    pub(crate) fn stored_kind(&self) -> Kind {
        let mut bytes: Vec<(Kind, u64)> = Vec::new();
        for summary in self.sources.iter().flat_map(Source::summaries) {
            let Some(kind) = summary.kind else { continue };
            let size = summary.elements * kind.elt_size_in_bytes() as u64;
            match bytes.iter_mut().find(|(other, _)| *other == kind) {
                Some((_, sum)) => *sum += size,
                None => bytes.push((kind, size)),
            }
        }
        match bytes.into_iter().max_by_key(|(_, bytes)| *bytes) {
            Some((kind @ (Kind::BFloat16 | Kind::Half), _)) => kind,
            _ => Kind::Float,
        }
    }

    /// The number of parameters.
    pub(crate) fn parameters(&self) -> u64 {
        self.sources.iter().flat_map(Source::summaries).map(|summary| summary.elements).sum()
    }

    /// Loads a tensor, which must have this shape.
    pub(crate) fn take(
        &mut self,
        name: &str,
        shape: &[i64],
        options: TensorOptions,
    ) -> anyhow::Result<Tensor> {
        self.take_as(name, name, shape, options)
    }

    /// Declares that the model has one tensor for two names. Returns whether an adapter changes one of them, so that they are two,
    /// as in PEFT.
    pub(crate) fn tie(&mut self, names: [&str; 2]) -> bool {
        let Some(adapter) = &mut self.adapter else { return false };
        adapter.tie(names[0], names[1]);
        names.iter().any(|name| adapter.changes(name))
    }

    /// Loads the tensor that the files have as `stored`, with what an adapter has for `name`.
    pub(crate) fn take_as(
        &mut self,
        stored: &str,
        name: &str,
        shape: &[i64],
        options: TensorOptions,
    ) -> anyhow::Result<Tensor> {
        self.check_shape(stored, name, shape)?;
        let mut tensor = torch::empty_for_weights(shape, options.kind, options.device)?;
        self.copy_as(stored, name, &mut tensor)?;
        Ok(tensor)
    }

    /// What `make` makes of the stored tensors `names` in this number type; if models share tensors and the adapter changes none
    /// of these, the result of the first of them. Its memory must not be changed.
    pub(crate) fn shared(
        &mut self,
        names: &[&str],
        kind: Kind,
        make: impl FnOnce(&mut Weights) -> anyhow::Result<Tensor>,
    ) -> anyhow::Result<Tensor> {
        let is_changed = |adapter: &LoraAdapter| names.iter().any(|name| adapter.changes(name));
        let shared = self.shared.clone().filter(|_| !self.adapter.as_ref().is_some_and(is_changed));
        let Some(shared) = shared else { return make(self) };
        let key = SharedTensors::key(names.iter().copied(), kind);
        if let Some(tensor) = shared.get(&key) {
            self.used.extend(names.iter().map(|name| (*name).to_owned()));
            return Ok(tensor);
        }
        let tensor = make(self)?;
        shared.keep(key, &tensor);
        Ok(tensor)
    }

    /// If models share the tensor `name`, of this shape, and an adapter changes it by adding B·A: A, rank × columns, and B, rows ×
    /// rank, with the factor of the adapter. The tensor is then loaded without this change.
    pub(crate) fn low_rank(
        &mut self,
        name: &str,
        shape: [i64; 2],
        options: TensorOptions,
    ) -> anyhow::Result<Option<[Tensor; 2]>> {
        let Some(adapter) = self.adapter.as_mut().filter(|_| self.shared.is_some()) else {
            return Ok(None);
        };
        let Some(factors) = adapter.take_low_rank(name, shape)? else { return Ok(None) };
        let [down, up] =
            factors.map(|factor| factor.f_to_kind(options.kind)?.f_to_device(options.device));
        Ok(Some([down?, up?]))
    }

    /// The change that an adapter makes to stacked experts, experts × out × in in f32 on the CPU.
    pub(crate) fn expert_change(
        &mut self,
        name: &str,
        shape: [i64; 3],
    ) -> anyhow::Result<Option<Tensor>> {
        self.adapter.as_mut().map_or(Ok(None), |adapter| adapter.expert_change(name, shape))
    }

    /// Loads tensors (name, rows) and concatenates their rows, so that one matrix product computes them all.
    /// `columns` are the other dimensions.
    pub(crate) fn stack(
        &mut self,
        parts: &[(String, i64)],
        columns: &[i64],
        options: TensorOptions,
    ) -> anyhow::Result<Tensor> {
        for (name, rows) in parts {
            self.check_shape(name, name, &[&[*rows], columns].concat())?;
        }
        let rows = parts.iter().map(|(_, rows)| rows).sum();
        let shape = [&[rows], columns].concat();
        let whole = torch::empty_for_weights(&shape, options.kind, options.device)?;
        let mut start = 0;
        for (name, rows) in parts {
            self.copy(name, &mut whole.f_narrow(0, start, *rows)?)?;
            start += rows;
        }
        Ok(whole)
    }

    fn copy(&mut self, name: &str, to: &mut Tensor) -> anyhow::Result<()> {
        self.copy_as(name, name, to)
    }

    /// The shape of a tensor, after an adapter has replaced it, by the headers of the files.
    pub(crate) fn stored_shape(&self, name: &str) -> anyhow::Result<Vec<i64>> {
        self.shape_as(name, name)
    }

    fn shape_as(&self, name: &str, adapted: &str) -> anyhow::Result<Vec<i64>> {
        let Stored { source, name } = self.stored.get(name).ok_or_else(|| self.missing(name))?;
        if let Some(adapter) = &self.adapter
            && let Some(replaced) = adapter.replacement_shape(adapted)?
        {
            return Ok(replaced);
        }
        self.sources[*source].size(name)
    }

    /// Checks the shape of a tensor by the headers of the files, before memory is allocated: a size of config.json
    /// may be absurd. `adapted` is the name under which an adapter may replace it.
    fn check_shape(&self, name: &str, adapted: &str, expected: &[i64]) -> anyhow::Result<()> {
        let asked = name;
        let Stored { source, name } = self.stored.get(name).ok_or_else(|| self.missing(name))?;
        let source = &self.sources[*source];
        let stored = self.shape_as(asked, adapted)?;
        if stored != expected {
            bail!(
                "cannot use {}: the tensor {name} has the shape {}, but config.json requires {}",
                source.path(name).display(),
                shape_text(&stored),
                shape_text(expected)
            );
        }
        Ok(())
    }

    /// Copies a tensor to `to`, with what an adapter has for `adapted`, and checks its shape and that it is finite.
    fn copy_as(&mut self, name: &str, adapted: &str, to: &mut Tensor) -> anyhow::Result<()> {
        let asked = name;
        let Stored { source, name } = self.stored.get(name).ok_or_else(|| self.missing(name))?;
        let source = &self.sources[*source];
        let changed = match &mut self.adapter {
            Some(adapter) => Some(adapter.apply(adapted, source.view(name)?)?),
            None => None,
        };
        let size =
            changed.as_ref().map_or_else(|| source.size(name), |tensor| Ok(tensor.size()))?;
        if size != to.size() {
            bail!(
                "cannot use {}: the tensor {name} has the shape {}, but config.json requires {}",
                source.path(name).display(),
                shape_text(&size),
                shape_text(&to.size())
            );
        }
        match changed {
            Some(tensor) => to.f_copy_(&tensor)?,
            None => source.copy(name, to)?,
        }
        // A non-finite term makes the sum non-finite. The sum may also overflow, hence the second check.
        let sum = f64::try_from(to.f_sum(Kind::Float)?)?;
        if !sum.is_finite() && !bool::try_from(to.f_isfinite()?.f_all()?)? {
            bail!(
                "cannot use {}: the tensor {name} has values that are NaN or infinite",
                source.path(name).display()
            );
        }
        self.used.insert(asked.to_owned());
        Ok(())
    }

    /// Returns an error if the files have no such tensor.
    pub(crate) fn require(&self, name: &str) -> anyhow::Result<()> {
        if self.has(name) { Ok(()) } else { Err(self.missing(name)) }
    }

    fn missing(&self, name: &str) -> anyhow::Error {
        let name = replace_parts(name, self.renamed.iter().map(|(there, here)| (*here, *there)));
        let directory = self.sources.first().and_then(|source| source.path(&name).parent());
        let directory = directory.unwrap_or(Path::new("."));
        anyhow!("cannot use {}: the tensor {name} is missing", directory.display())
    }

    /// Checks that all tensors of the files and of the adapter were used.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        // Older checkpoints store the rotary frequencies, which are derived from config.json.
        let derived = |name: &str| name.ends_with("rotary_emb.inv_freq");
        let extra: Vec<&Stored> = self
            .stored
            .iter()
            .filter(|(name, _)| !self.used.contains(*name) && !derived(name))
            .map(|(_, stored)| stored)
            .collect();
        if let Some(Stored { source, name }) = extra.first() {
            let others = match extra.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more)"),
            };
            bail!(
                "cannot use {}: the model of config.json has no tensor {name}{others}",
                self.sources[*source].path(name).display()
            );
        }
        self.adapter.map_or(Ok(()), |adapter| adapter.finish())
    }
}

/// The first parts of the names of what a model has for pictures and sounds.
const PICTURES: [&str; 7] = [
    "visual.",
    "vision_tower.",
    "vision_model.",
    "multi_modal_projector.",
    "audio_tower.",
    "embed_vision.",
    "embed_audio.",
];

/// The name of a tensor of the language model in a model of pictures and text, as a model of text has it; `None` for
/// tensors of the other parts.
fn text_name(name: &str) -> Option<String> {
    let inner = name.strip_prefix("model.").unwrap_or(name);
    if PICTURES.iter().any(|part| inner.starts_with(part)) {
        return None;
    }
    // transformers 4 and 5 put the language model in different places.
    if let Some(rest) = name.strip_prefix("model.language_model.") {
        return Some(format!("model.{rest}"));
    }
    Some(name.strip_prefix("language_model.").unwrap_or(name).to_owned())
}

fn replace_parts<'a>(name: &str, parts: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    // Between dots, so that a part is found at either end, too.
    let dotted = parts.fold(format!(".{name}."), |name, (old, new)| {
        name.replace(&format!(".{old}."), &format!(".{new}."))
    });
    dotted[1..dotted.len() - 1].to_owned()
}
