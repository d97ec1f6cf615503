//! Weights in 8 and 4 bits, against transformers with dequantised weights (tests/compute/make_quantized.py).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{fixture, stderr};
use crate::compute::{
    assert_rejected, assert_scores_of, compute_ok, copy, model, read, rollouts, temp_dir, text,
};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

const CASES: [&str; 5] = ["mxfp4", "fp8", "fp8-experts", "fp8-cut", "fp8-tensor"];

fn case(name: &str) -> PathBuf {
    fixture("quantized").join(name)
}

/// The checkpoint of a case, with the tokenizer of its base.
fn checkpoint(name: &str, to: &Path) {
    let golden = read(&case(name).join("golden.json"));
    copy(&model(golden["base"].as_str().unwrap()), to);
    fs::remove_file(to.join("model.safetensors")).unwrap();
    copy(&case(name), to);
}

#[test]
fn weights_of_few_bits_score_as_in_transformers() {
    for name in CASES {
        let tmp = temp_dir();
        let path = tmp.path().join(name);
        checkpoint(name, &path);
        assert_scores_of(&path, &read(&case(name).join("golden.json")), &[]);
    }
}

#[test]
fn adapters_are_merged_into_dequantised_weights() {
    for name in ["fp8-lora", "mxfp4-lora"] {
        let tmp = temp_dir();
        let golden = read(&case(name).join("golden.json"));
        let base = tmp.path().join("base");
        checkpoint(golden["base"].as_str().unwrap(), &base);
        assert_scores_of(&case(name), &golden, &["--base-model", text(&base)]);
    }
}

/// Number type, shape and bytes, by name.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// Writes a case with changed tensors in one file.
fn changed(name: &str, to: &Path, change: impl FnOnce(&mut Tensors)) {
    checkpoint(name, to);
    let mut tensors = Tensors::new();
    for entry in fs::read_dir(to).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "safetensors") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            let tensor = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            tensors.insert(name.to_owned(), tensor);
        }
        fs::remove_file(path).unwrap();
    }
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let file = to.join("model.safetensors");
    fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn configure(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut config = read(&path.join("config.json"));
    change(&mut config);
    fs::write(path.join("config.json"), config.to_string()).unwrap();
}

/// Stacks tensors of experts to one tensor.
fn stack(tensors: &mut Tensors, parts: &[String], experts: usize) -> (Dtype, Vec<usize>, Vec<u8>) {
    let taken: Vec<_> = parts.iter().map(|part| tensors.remove(part).unwrap()).collect();
    let rows: usize = taken.iter().map(|(_, shape, _)| shape[0]).sum();
    let shape = vec![experts, rows / experts, taken[0].1[1]];
    (taken[0].0, shape, taken.into_iter().flat_map(|(_, _, bytes)| bytes).collect())
}

#[test]
fn stacked_experts_in_8_bits_are_read() {
    let tmp = temp_dir();
    let path = tmp.path().join("stacked");
    changed("fp8-experts", &path, |tensors| {
        for ending in ["", "_scale_inv"] {
            for (name, parts) in [("gate_up_proj", &["gate", "up"][..]), ("down_proj", &["down"])] {
                let at = "model.layers.1.mlp.experts";
                let part = |i, part| format!("{at}.{i}.{part}_proj.weight{ending}");
                let names: Vec<String> =
                    (0..4).flat_map(|i| parts.iter().map(move |name| part(i, name))).collect();
                let stacked = stack(tensors, &names, 4);
                tensors.insert(format!("{at}.{name}{ending}"), stacked);
            }
        }
    });
    assert_scores_of(&path, &read(&case("fp8-experts").join("golden.json")), &[]);
}

/// Ministral 3 is released in 8 bits, as a model of pictures and text.
#[test]
fn language_models_of_pictures_and_text_are_read() {
    let tmp = temp_dir();
    let path = tmp.path().join("released");
    changed("fp8-tensor", &path, |tensors| {
        for (name, tensor) in std::mem::take(tensors) {
            tensors.insert(format!("language_model.{name}"), tensor);
        }
        let picture = (Dtype::BF16, vec![2, 1], vec![0; 4]);
        tensors.insert("vision_tower.patch_conv.weight".to_owned(), picture);
    });
    configure(&path, |config| {
        let mut text = config.take();
        let settings = text.as_object_mut().unwrap().remove("quantization_config");
        *config = json!({
            "model_type": "mistral3", "text_config": text, "quantization_config": settings,
            "image_token_index": 310, "tie_word_embeddings": false,
        });
    });
    assert_scores_of(&path, &read(&case("fp8-tensor").join("golden.json")), &[]);
}

#[test]
fn layers_that_predict_further_tokens_are_left_out_with_their_scales() {
    let tmp = temp_dir();
    let path = tmp.path().join("released");
    changed("fp8-cut", &path, |tensors| {
        let at = "model.layers.2.eh_proj.weight";
        tensors.insert(at.to_owned(), (Dtype::F8_E4M3, vec![32, 64], vec![0; 2048]));
        tensors.insert(format!("{at}_scale_inv"), (Dtype::F32, vec![2, 4], vec![0; 32]));
    });
    configure(&path, |config| config["num_nextn_predict_layers"] = json!(1));
    assert_scores_of(&path, &read(&case("fp8-cut").join("golden.json")), &[]);
}

#[test]
fn weights_that_were_dequantised_need_no_scales() {
    for (name, method) in [("qwen3", "fp8"), ("gpt_oss", "mxfp4")] {
        let tmp = temp_dir();
        let path = tmp.path().join(name);
        copy(&model(name), &path);
        configure(&path, |config| config["quantization_config"] = json!({"quant_method": method}));
        assert_scores_of(&path, &read(&model(name).join("golden.json")), &[]);
    }
}

#[test]
fn scales_are_no_parameters_and_do_not_set_the_number_type() {
    let tmp = temp_dir();
    for name in CASES {
        checkpoint(name, &tmp.path().join(name));
        let given = rollouts();
        let arguments = ["--model", name, "--prompts", text(&given), "--step", "1", "--overwrite"];
        let output = compute_ok(tmp.path(), &[&arguments[..], &["-v", "-o", "h.json"]].concat());
        let said = stderr(&output);
        let golden = read(&case(name).join("golden.json"));
        let millions = golden["num_parameters"].as_f64().unwrap() / 1e6;
        let words = format!("({millions:.1} M parameters, stored as bfloat16, used as float32");
        assert!(said.contains(&words), "{name} does not say {words:?}: {said}");
    }
}

#[test]
fn weights_and_scales_that_do_not_fit_are_named() {
    let tmp = temp_dir();
    let given = rollouts();
    let refused = |name: &str, change: &dyn Fn(&mut Tensors), words: &[&str]| {
        let path = tmp.path().join("broken");
        let _ = fs::remove_dir_all(&path);
        changed(name, &path, change);
        let arguments = ["--model", "broken", "--prompts", text(&given), "--step", "1"];
        assert_rejected(tmp.path(), &arguments, &[words, &["broken/model.safetensors"]].concat());
    };
    let fp8 = "model.layers.0.mlp.down_proj.weight";
    let scales = "model.layers.0.mlp.down_proj.weight_scale_inv";
    let is_missing = format!("the tensor {fp8} is F8_E4M3, but {scales} is missing");
    refused("fp8", &|tensors| drop(tensors.remove(scales)), &[&is_missing, "copy complete"]);
    let alone = format!("the tensor {scales}: it has scales, but {fp8} is missing");
    refused("fp8", &|tensors| drop(tensors.remove(fp8)), &[&alone]);
    let plain = |tensors: &mut Tensors| {
        let (dtype, shape, data) = tensors.get_mut(fp8).unwrap();
        (*dtype, *data) = (Dtype::BF16, vec![0; 2 * shape.iter().product::<usize>()]);
    };
    let is_plain = format!("the tensor {fp8} is BF16, which has no scales, but {scales} is there");
    refused("fp8", &plain, &[&is_plain]);
    let turned = |tensors: &mut Tensors| tensors.get_mut(scales).unwrap().1 = vec![3, 2];
    let misfit = "32×48, which requires scales of 2×3 for its blocks of 16×16 (weight_block_size), but they have the shape 3×2";
    refused("fp8", &turned, &[fp8, misfit]);
    let nan = |tensors: &mut Tensors| tensors.get_mut(fp8).unwrap().2[7] = 0x7f;
    refused("fp8", &nan, &[fp8, "NaN or infinite"]);
    let infinite = |tensors: &mut Tensors| {
        tensors.get_mut(scales).unwrap().2[..2].copy_from_slice(&[0x80, 0x7f]); // bfloat16
    };
    refused("fp8", &infinite, &[fp8, "NaN or infinite"]);
    let norm = "model.norm.weight";
    let short = |tensors: &mut Tensors| {
        tensors.insert(norm.to_owned(), (Dtype::F8_E4M3, vec![32], vec![0x38; 32]));
        tensors.insert(format!("{norm}_scale_inv"), (Dtype::F32, vec![], vec![0; 4]));
    };
    refused("fp8", &short, &[norm, "only matrices and stacks of matrices"]);
    let other = |tensors: &mut Tensors| tensors.get_mut(fp8).unwrap().0 = Dtype::F8_E4M3FNUZ;
    refused("fp8", &other, &[&format!("the tensor {fp8} is F8_E4M3FNUZ")]);

    let at = "model.layers.0.mlp.experts.down_proj";
    let remove = |name: String| move |tensors: &mut Tensors| drop(tensors.remove(&name));
    let words = format!("the tensor {at}_blocks: it has blocks, but {at}_scales is missing");
    refused("mxfp4", &remove(format!("{at}_scales")), &[&words]);
    let words = format!("the tensor {at}_scales: it has scales, but {at}_blocks is missing");
    refused("mxfp4", &remove(format!("{at}_blocks")), &[&words]);
    let twice = |tensors: &mut Tensors| {
        tensors.insert(at.to_owned(), (Dtype::BF16, vec![1], vec![0; 2]));
    };
    refused("mxfp4", &twice, &[&format!("{at}_blocks"), "without this ending too"]);
    let change = |name: String, shape: Vec<usize>, dtype: Dtype| {
        move |tensors: &mut Tensors| {
            let tensor = tensors.get_mut(&name).unwrap();
            (tensor.0, tensor.1) = (dtype, shape.clone());
        }
    };
    let blocks = |shape: &[usize], dtype| change(format!("{at}_blocks"), shape.to_vec(), dtype);
    refused("mxfp4", &blocks(&[4, 64, 16], Dtype::U8), &["not experts × out × groups × 16"]);
    refused("mxfp4", &blocks(&[4, 64, 2, 8], Dtype::U8), &["4×64×2×8", "4×64×1"]);
    refused("mxfp4", &blocks(&[4, 32, 2, 16], Dtype::U8), &["4×32×2×16", "4×64×1"]);
    refused("mxfp4", &blocks(&[4, 64, 1, 16], Dtype::I8), &[&format!("{at}_blocks is I8, not U8")]);
    let scales = change(format!("{at}_scales"), vec![4, 64, 1], Dtype::F8_E8M0);
    refused("mxfp4", &scales, &[&format!("{at}_scales is F8_E8M0, not U8")]);
    let huge = blocks(&[1 << 62, 0, 1 << 60, 16], Dtype::U8);
    let empty = |tensors: &mut Tensors| {
        tensors.get_mut(&format!("{at}_blocks")).unwrap().2.clear();
        huge(tensors);
    };
    refused("mxfp4", &empty, &["and its scales 4×64×1"]);
    let infinite = |tensors: &mut Tensors| {
        tensors.get_mut(&format!("{at}_scales")).unwrap().2[0] = 255;
    };
    refused("mxfp4", &infinite, &[at, "NaN or infinite"]);
}

#[test]
fn other_methods_are_refused() {
    let tmp = temp_dir();
    let given = rollouts();
    checkpoint("fp8", &tmp.path().join("m"));
    let arguments = ["--model", "m", "--prompts", text(&given), "--step", "1"];
    for (settings, words) in [
        (json!({"quant_method": "gptq", "bits": 4}), ["\"gptq\"", "model.dequantize()"]),
        (json!({"quant_method": "fp8", "group_size": 32}), ["group_size = 32", "save_pretrained"]),
        (json!(null), ["is F8_E4M3", "quantization_config"]),
    ] {
        configure(&tmp.path().join("m"), |config| config["quantization_config"] = settings);
        assert_rejected(tmp.path(), &arguments, &[&words[..], &["m/"]].concat());
    }
}
