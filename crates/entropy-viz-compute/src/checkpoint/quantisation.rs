//! `quantization_config` of config.json: weights that are stored in fewer than 16 bits.
//!
//! The number types in the files tell which tensors are quantised, as in transformers when it dequantises. The lists of
//! modules (`modules_to_not_convert`, `ignored_layers`) and the settings of activations are not used.

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::config::Config;

/// The methods that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantisation {
    /// Numbers of 8 bits, and a scale for each block of a matrix (rows × columns). Without a size, the scales divide the
    /// matrix into equal blocks.
    Fp8 { block: Option<[i64; 2]> },
    /// Numbers of 4 bits, and a power of two for each 32 of them in a row.
    Mxfp4,
}

/// The blocks of fp8 if config.json has no size.
const DEFAULT_BLOCK: [i64; 2] = [128, 128];

const NEXT_STEP: &str = "in transformers, model.dequantize() and model.save_pretrained(\"DIR\") write the weights in bfloat16";

impl Quantisation {
    /// The method that a config.json names, at its top level or under `text_config`; `None` if it names none.
    ///
    /// # Errors
    /// If the method is another one, or has a key or a value that is not known.
    pub(crate) fn read(config: &Config) -> anyhow::Result<Option<Quantisation>> {
        const KEY: &str = "quantization_config";
        let text = config.section("text_config");
        let holder = match (config.section(KEY), &text) {
            (None, Some(text)) if text.get(KEY).is_some() => text,
            _ => config,
        };
        if holder.get(KEY).is_none() {
            return Ok(None);
        }
        let path = config.path().display();
        let Some(settings) = holder.section(KEY) else {
            bail!("{path}: {KEY} has no settings; {NEXT_STEP}");
        };
        match settings.get("quant_method").and_then(Value::as_str) {
            Some("fp8") => fp8(&settings).map(Some),
            Some("mxfp4") => {
                for (key, value) in settings.entries() {
                    check(&settings, key, is_known_in_both(key, value))?;
                }
                Ok(Some(Quantisation::Mxfp4))
            }
            _ => {
                let method = settings.get("quant_method");
                let method = method.map_or("no quant_method".to_owned(), Value::to_string);
                bail!(
                    "{path}: quantised weights of this kind are not supported ({KEY} has {method}; \
                     \"fp8\" and \"mxfp4\" are read); {NEXT_STEP}"
                )
            }
        }
    }
}

fn fp8(settings: &Config) -> anyhow::Result<Quantisation> {
    for (key, value) in settings.entries() {
        let is_one_of = |known: &[&str]| value.as_str().is_some_and(|text| known.contains(&text));
        let is_known = match key {
            "activation_scheme" => is_one_of(&["dynamic", "static"]),
            "fmt" => is_one_of(&["e4m3", "float8_e4m3fn", "e5m2", "float8_e5m2"]),
            // The format of the scales: their number type in the files tells it, too.
            "scale_fmt" => is_one_of(&["float", "ue8m0"]),
            "expert_dtype" => is_one_of(&["fp8"]),
            "modules_to_convert" => value.as_array().is_some_and(Vec::is_empty),
            "ignored_layers" => is_list_of_modules(value),
            "weight_block_size" => true,
            _ => is_known_in_both(key, value),
        };
        check(settings, key, is_known || value.is_null())?;
    }
    let key = "weight_block_size";
    if settings.is_null(key) {
        return Ok(Quantisation::Fp8 { block: None });
    }
    let Some(value) = settings.get(key) else {
        return Ok(Quantisation::Fp8 { block: Some(DEFAULT_BLOCK) });
    };
    let sizes = value.as_array().and_then(|list| {
        let sizes =
            list.iter().map(|size| size.as_i64().filter(|size| (1..1 << 40).contains(size)));
        sizes.collect::<Option<Vec<i64>>>()
    });
    match sizes.as_deref() {
        Some([rows, columns]) => Ok(Quantisation::Fp8 { block: Some([*rows, *columns]) }),
        _ => Err(anyhow!(
            "{}: {key} is {value}, not two positive integers (rows and columns of a block)",
            settings.path().display()
        )),
    }
}

/// Keys of both methods, none of which changes the weights.
fn is_known_in_both(key: &str, value: &Value) -> bool {
    match key {
        "quant_method" => true,
        "modules_to_not_convert" => value.is_null() || is_list_of_modules(value),
        "dequantize" => value.is_boolean(),
        _ => false,
    }
}

fn is_list_of_modules(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

fn check(settings: &Config, key: &str, is_known: bool) -> anyhow::Result<()> {
    if is_known {
        return Ok(());
    }
    let value = settings.get(key).unwrap_or(&Value::Null);
    let path = settings.path().display();
    bail!("{path}: {key} = {value} in quantization_config is not supported; {NEXT_STEP}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Option<Quantisation>, String> {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::write(tmp.path().join("config.json"), config.to_string()).unwrap();
        Quantisation::read(&Config::read(tmp.path()).unwrap()).map_err(|error| error.to_string())
    }

    fn settings(settings: Value) -> Result<Option<Quantisation>, String> {
        read(json!({"quantization_config": settings}))
    }

    #[test]
    fn settings_of_released_models_are_read() {
        let blocks = |rows, columns| Ok(Some(Quantisation::Fp8 { block: Some([rows, columns]) }));
        // DeepSeek-V3.1, Qwen3, MiniMax-M2, Ministral 3, gpt-oss.
        let deepseek = json!({"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "scale_fmt": "ue8m0", "weight_block_size": [128, 128]});
        assert_eq!(settings(deepseek), blocks(128, 128));
        let qwen = json!({"activation_scheme": "dynamic", "ignored_layers": ["lm_head"], "modules_to_not_convert": ["lm_head"], "quant_method": "fp8", "weight_block_size": [64, 128]});
        assert_eq!(settings(qwen), blocks(64, 128));
        let minimax = json!({"activation_scheme": "dynamic", "fmt": "float8_e4m3fn", "quant_method": "fp8", "modules_to_not_convert": ["gate", "lm_head"]});
        assert_eq!(settings(minimax), blocks(128, 128));
        let ministral = json!({"activation_scheme": "static", "dequantize": false, "quant_method": "fp8", "weight_block_size": null});
        assert_eq!(settings(ministral), Ok(Some(Quantisation::Fp8 { block: None })));
        let gpt_oss = json!({"modules_to_not_convert": ["lm_head"], "quant_method": "mxfp4"});
        assert_eq!(settings(gpt_oss), Ok(Some(Quantisation::Mxfp4)));
    }

    #[test]
    fn settings_at_the_top_count_before_those_of_the_text_model() {
        let mxfp4 = json!({"quant_method": "mxfp4"});
        let fp8 = json!({"quant_method": "fp8", "weight_block_size": null});
        let inner = read(json!({"text_config": {"quantization_config": mxfp4}}));
        assert_eq!(inner, Ok(Some(Quantisation::Mxfp4)));
        let both =
            json!({"quantization_config": fp8, "text_config": {"quantization_config": mxfp4}});
        assert_eq!(read(both), Ok(Some(Quantisation::Fp8 { block: None })));
        assert_eq!(read(json!({"quantization_config": null})), Ok(None));
        assert_eq!(read(json!({"text_config": {"hidden_size": 8}})), Ok(None));
    }

    #[test]
    fn other_settings_are_refused_by_name() {
        for (refused, word) in [
            (json!({}), "has no settings"),
            (json!("fp8"), "has no settings"),
            (json!({"bits": 4}), "has no quant_method"),
            (json!({"quant_method": 8}), "has 8"),
            (json!({"quant_method": "gptq", "bits": 4}), "has \"gptq\""),
            (json!({"quant_method": "awq"}), "has \"awq\""),
            (json!({"quant_method": "bitsandbytes"}), "has \"bitsandbytes\""),
            (json!({"quant_method": "compressed-tensors"}), "has \"compressed-tensors\""),
            (json!({"quant_method": "fbgemm_fp8"}), "has \"fbgemm_fp8\""),
            (json!({"quant_method": "fp8", "fmt": "e3m4"}), "fmt = \"e3m4\""),
            (json!({"quant_method": "fp8", "expert_dtype": "fp4"}), "expert_dtype = \"fp4\""),
            (json!({"quant_method": "fp8", "scale_fmt": "x"}), "scale_fmt = \"x\""),
            (json!({"quant_method": "fp8", "activation_scheme": "x"}), "activation_scheme = \"x\""),
            (
                json!({"quant_method": "fp8", "modules_to_convert": ["a"]}),
                "modules_to_convert = [\"a\"]",
            ),
            (
                json!({"quant_method": "fp8", "modules_to_not_convert": "a"}),
                "modules_to_not_convert = \"a\"",
            ),
            (json!({"quant_method": "fp8", "ignored_layers": [1]}), "ignored_layers = [1]"),
            (json!({"quant_method": "fp8", "group_size": 32}), "group_size = 32"),
            (
                json!({"quant_method": "fp8", "weight_block_size": [128]}),
                "weight_block_size is [128]",
            ),
            (
                json!({"quant_method": "fp8", "weight_block_size": [0, 128]}),
                "weight_block_size is [0,128]",
            ),
            (json!({"quant_method": "fp8", "weight_block_size": 128}), "weight_block_size is 128"),
            (
                json!({"quant_method": "mxfp4", "weight_block_size": [1, 32]}),
                "weight_block_size = [1,32]",
            ),
        ] {
            let said = settings(refused.clone()).unwrap_err();
            assert!(said.contains("config.json: ") && said.contains(word), "{refused}: {said}");
        }
    }
}
