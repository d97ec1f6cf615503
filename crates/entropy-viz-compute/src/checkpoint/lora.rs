//! LoRA adapters of PEFT: W + (alpha / r)·B·A, merged when the weights are loaded.
//!
//! `adapter_model.safetensors` has, behind `base_model.model.`:
//!
//! - `<module>.lora_A.weight` (r × in) and `lora_B` (out × r);
//! - `<module>.lora_magnitude_vector` (out) of DoRA: the norms of the merged weight's rows;
//! - `<module>.lora_embedding_A` (r × vocabulary) and `lora_embedding_B` (hidden × r), for W + (alpha / r)·(B·A)ᵀ;
//! - factors of stacked experts (`target_parameters`): A is (experts·r) × in, expert by expert; B is out ×
//!   (r·experts), rank by rank. The second parameter of a module has `<module>.base_layer.lora_A.weight`;
//! - other tensors, which replace those of the base model (`modules_to_save`, saved embeddings, biases).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use entropy_shell::CliError;
use tch::{Kind, Tensor};

use super::lora_config::LoraConfig;
use super::tensor_file::TensorFile;

const PREFIX: &str = "base_model.model.";

/// An adapter, applied to the tensors of its base model.
pub(super) struct LoraAdapter {
    path: String,
    config: LoraConfig,
    file: TensorFile,
    /// Name in the base model -> name in the adapter's file.
    replacements: BTreeMap<String, String>,
    /// Module -> factors; stacked experts have one pair per adapted parameter.
    factors: BTreeMap<String, Vec<Factors>>,
    /// Module -> name of its lora_magnitude_vector.
    magnitudes: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

/// The names in the adapter's file of the factors of one weight.
#[derive(Debug, Clone)]
struct Factors {
    /// The module as PEFT names it, which patterns of ranks and alphas match.
    module: String,
    a: String,
    b: String,
    is_embedding: bool,
}

impl LoraAdapter {
    pub(super) fn open(directory: &Path) -> Result<LoraAdapter, CliError> {
        let config = LoraConfig::read(directory)?;
        let file = TensorFile::open(&directory.join("adapter_model.safetensors"))?;
        let (mut replacements, mut magnitudes) = (BTreeMap::new(), BTreeMap::new());
        let mut factors = BTreeMap::<_, Vec<_>>::new();
        for name in file.names() {
            let base = name.strip_prefix(PREFIX).unwrap_or(&name);
            if let Some(module) = base.strip_suffix(".lora_A.weight") {
                let b = format!("{}B.weight", &name[..name.len() - "A.weight".len()]);
                let module = module.replace(".base_layer", "");
                let pair =
                    Factors { module: module.clone(), a: name.clone(), b, is_embedding: false };
                factors.entry(module).or_default().push(pair);
            } else if let Some(module) = base.strip_suffix(".lora_embedding_A") {
                let b = format!("{}B", &name[..name.len() - 1]);
                let module = module.to_owned();
                let pair =
                    Factors { module: module.clone(), a: name.clone(), b, is_embedding: true };
                factors.entry(module).or_default().push(pair);
            } else if let Some((module, _)) = base.split_once(".lora_magnitude_vector") {
                magnitudes.insert(module.to_owned(), name);
            } else if !base.contains(".lora_") {
                replacements.insert(base.replace(".base_layer.", "."), name);
            }
        }
        Ok(LoraAdapter {
            path: directory.display().to_string(),
            config,
            file,
            replacements,
            factors,
            magnitudes,
            used: BTreeSet::new(),
        })
    }

    /// Renames tensors and modules as those of the base model. What has no new name is left out, as there.
    pub(super) fn rename_by(&mut self, new_name: &dyn Fn(&str) -> Option<String>) {
        for (name, stored) in std::mem::take(&mut self.replacements) {
            match new_name(&name) {
                Some(new_name) => drop(self.replacements.insert(new_name, stored)),
                None => drop(self.used.insert(stored)),
            }
        }
        for (module, stored) in std::mem::take(&mut self.magnitudes) {
            match new_name(&module) {
                Some(new_name) => drop(self.magnitudes.insert(new_name, stored)),
                None => drop(self.used.insert(stored)),
            }
        }
        for (module, pairs) in std::mem::take(&mut self.factors) {
            match new_name(&module) {
                Some(new_name) => self.factors.entry(new_name).or_default().extend(pairs),
                None => self.used.extend(pairs.into_iter().flat_map(|pair| [pair.a, pair.b])),
            }
        }
    }

    /// Declares that the base model has one tensor for these two names. A tensor that replaces it replaces both,
    /// unless its module was trained as a copy (`modules_to_save`).
    pub(super) fn tie(&mut self, a: &str, b: &str) {
        for (from, to) in [(a, b), (b, a)] {
            let Some(name) = self.replacements.get(from).cloned() else { continue };
            if !self.config.saves_module_of(from) {
                self.replacements.entry(to.to_owned()).or_insert(name);
            }
        }
    }

    /// Whether the adapter changes a tensor of the base model.
    pub(super) fn changes(&self, name: &str) -> bool {
        let module = name.strip_suffix(".weight").unwrap_or(name);
        self.replacements.contains_key(name) || self.factors.contains_key(module)
    }

    /// The shape of the tensor that replaces the tensor `name` of the base model, if there is one.
    pub(super) fn replacement_shape(&self, name: &str) -> anyhow::Result<Option<Vec<i64>>> {
        self.replacements.get(name).map(|name| self.file.shape(name)).transpose()
    }

    /// The tensor `name` of the base model, with the adapter merged or replaced by the adapter's tensor.
    pub(super) fn apply(&mut self, name: &str, base: Tensor) -> anyhow::Result<Tensor> {
        let base = match self.replacements.get(name).cloned() {
            Some(replacement) => self.take(&replacement)?,
            None => base,
        };
        let Some(module) = name.strip_suffix(".weight") else { return Ok(base) };
        let Some(factors) = self.factors.get(module).cloned() else { return Ok(base) };
        let [Factors { module: in_peft, a, b, is_embedding }] = &factors[..] else {
            bail!("{}: {module} has more than one adapter", self.path);
        };
        let (down, up) = (self.factor(a)?, self.factor(b)?);
        let change = match (*is_embedding, down.dim(), up.dim()) {
            (false, 2, 2) => up.f_matmul(&down),
            (true, 2, 2) => down.f_transpose(0, 1)?.f_matmul(&up.f_transpose(0, 1)?),
            _ => bail!("{}: {a} is not a matrix", self.path),
        };
        let change = change.ok().filter(|change| change.size() == base.size());
        let Some(change) = change else {
            bail!("{}: the shape of {a} does not match {name} of the base model", self.path);
        };
        let scale = self.config.scale(in_peft, down.size()[0]);
        let merged = (base.f_to_kind(Kind::Float)? + change * scale).f_contiguous()?;
        match self.config.dora {
            true => self.with_magnitudes(module, *is_embedding, merged),
            false => Ok(merged),
        }
    }

    /// Takes the factors of a change of the tensor `name` out of the adapter, if adding B·A is all that it does to this
    /// tensor: A, rank × columns, and B, rows × rank, times the scale, in f32.
    pub(super) fn take_low_rank(
        &mut self,
        name: &str,
        [rows, columns]: [i64; 2],
    ) -> anyhow::Result<Option<[Tensor; 2]>> {
        let module = name.strip_suffix(".weight").unwrap_or(name);
        if self.config.dora || self.replacements.contains_key(name) {
            return Ok(None);
        }
        let factors = self.factors.get(module).map(Vec::as_slice);
        let Some([Factors { module: in_peft, a, b, is_embedding: false }]) = factors else {
            return Ok(None);
        };
        let [Ok(down), Ok(up)] = [a, b].map(|name| self.file.shape(name)) else {
            return Ok(None);
        };
        let rank = down.first().copied().unwrap_or(0);
        if rank == 0 || down != [rank, columns] || up != [rows, rank] {
            return Ok(None); // an error when it is merged
        }
        let (scale, a, b) = (self.config.scale(in_peft, rank), a.clone(), b.clone());
        let (down, up) = (self.factor(&a)?, self.factor(&b)? * scale);
        for (name, factor) in [(a, &down), (b, &up)] {
            if !bool::try_from(factor.f_isfinite()?.f_all()?)? {
                bail!("cannot use {}: {name} has values that are NaN or infinite", self.path);
            }
        }
        self.factors.remove(module);
        Ok(Some([down, up]))
    }

    /// DoRA: scales the rows of a merged weight to the magnitudes of the adapter.
    fn with_magnitudes(
        &mut self,
        module: &str,
        is_embedding: bool,
        merged: Tensor,
    ) -> anyhow::Result<Tensor> {
        if is_embedding {
            bail!("{}: DoRA of the embedding {module} is not supported", self.path);
        }
        let name = self.magnitudes.get(module).cloned().with_context(|| {
            format!("{}: use_dora is true, but {module} has no lora_magnitude_vector", self.path)
        })?;
        let magnitudes = self.factor(&name)?.f_view([-1, 1])?;
        let norms = merged.f_norm_scalaropt_dim(2.0, [1], true)?;
        if magnitudes.size() != norms.size() {
            bail!("{}: the shape of {name} does not match its weight", self.path);
        }
        Ok(magnitudes.f_div(&norms)?.f_mul(&merged)?)
    }

    /// The change of stacked experts, experts × out × in in f32, if the adapter has one for the parameter `name`.
    pub(super) fn expert_change(
        &mut self,
        name: &str,
        shape: [i64; 3],
    ) -> anyhow::Result<Option<Tensor>> {
        let [experts, rows, columns] = shape;
        let (module, parameter) = name.rsplit_once('.').unwrap_or((name, ""));
        for Factors { module: in_peft, a, b, .. } in
            self.factors.get(module).cloned().unwrap_or_default()
        {
            let (down, up) = (self.file.shape(&a)?, self.file.shape(&b)?);
            if down.last() != Some(&columns) || up.first() != Some(&rows) {
                continue; // that of the module's other parameter
            }
            let name = format!("{in_peft}.{parameter}");
            let rank = self.config.rank(&name)?;
            if down != [experts * rank, columns] || up != [rows, rank * experts] {
                bail!(
                    "{}: the shape of {a} does not match {experts} experts with rank {rank}",
                    self.path
                );
            }
            let down = self.factor(&a)?.f_view([experts, rank, columns])?;
            let up = self.factor(&b)?.f_view([rows, rank, experts])?.f_permute([2, 0, 1])?;
            return Ok(Some(up.f_matmul(&down)? * self.config.scale(&name, rank)));
        }
        Ok(None)
    }

    /// A tensor of the adapter's file.
    fn take(&mut self, name: &str) -> anyhow::Result<Tensor> {
        let tensor = self.file.view(name).with_context(|| format!("cannot use {}", self.path))?;
        self.used.insert(name.to_owned());
        Ok(tensor)
    }

    fn factor(&mut self, name: &str) -> anyhow::Result<Tensor> {
        Ok(self.take(name)?.f_to_kind(Kind::Float)?)
    }

    /// Checks that all tensors of the adapter were used.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        match self.file.names().into_iter().find(|name| !self.used.contains(name)) {
            Some(name) => {
                Err(anyhow!("cannot use {}: the base model has no tensor for {name}", self.path))
            }
            None => Ok(()),
        }
    }
}
