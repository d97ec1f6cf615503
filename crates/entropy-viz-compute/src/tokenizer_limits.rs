//! Checks a tokenizer.json before it is used: a file of a kilobyte can describe a tokenizer that makes a text a million
//! times as long.
//!
//! Three parts can do so: replacements of the normalizer, pieces of the post-processor's template, and texts that the
//! model or the decoder adds to every word.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// Maximum length of a text that is added to words or sequences, in bytes.
const MAX_ADDED: usize = 1024;
/// Maximum number of pieces of a template; published ones have up to five.
const MAX_PIECES: usize = 64;
/// How many times as long the Unicode normalizations NFKC and NFKD make a text at most, in bytes: U+FDFA, 3 bytes,
/// becomes 18 characters of 33 bytes.
const COMPATIBILITY_GROWTH: usize = 11;
/// How many times as long NFC and NFD make a text at most, in bytes (Unicode Standard Annex 15).
const CANONICAL_GROWTH: usize = 3;

/// The parts of tokenizer.json that can make a text longer. The vocabulary is skipped.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    model: Option<Affixes>,
}

#[derive(Deserialize)]
struct Affixes {
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

/// How many times as long a text may become, at least 1. Additions of limited length are not counted.
///
/// # Errors
/// If something is added that is longer than any published tokenizer needs. A file that is not valid is left to the
/// tokenizer library, which says why.
pub(crate) fn growth(file: &[u8]) -> Result<usize, String> {
    let Ok(parts) = serde_json::from_slice::<Parts>(file) else { return Ok(1) };
    let affixes = parts.model.into_iter().flat_map(|model| {
        [model.continuing_subword_prefix, model.end_of_word_suffix].into_iter().flatten()
    });
    for affix in affixes {
        check_added("the prefix or suffix of its words", affix.len())?;
    }
    check_template(&parts.post_processor)?;
    growth_of(&parts.decoder)?;
    Ok(growth_of(&parts.normalizer)?.saturating_mul(growth_of(&parts.pre_tokenizer)?))
}

fn check_added(what: &str, length: usize) -> Result<(), String> {
    match length {
        0..=MAX_ADDED => Ok(()),
        _ => Err(format!("{what} has {length} bytes, more than {MAX_ADDED}")),
    }
}

/// The growth by a normalizer, a pre-tokenizer or a decoder, or by a sequence of them.
fn growth_of(part: &Value) -> Result<usize, String> {
    let text = |key: &str| part[key].as_str().unwrap_or_default();
    Ok(match text("type") {
        "Sequence" => {
            let lists = ["normalizers", "pretokenizers", "decoders"];
            let items = lists.into_iter().filter_map(|key| part[key].as_array()).flatten();
            let growths = items.map(growth_of).collect::<Result<Vec<_>, _>>()?;
            growths.into_iter().fold(1, usize::saturating_mul)
        }
        "Replace" => {
            // A regular expression may match the empty text before every byte.
            let length = text("content").len();
            match part["pattern"]["String"].as_str().map_or(0, str::len) {
                0 => length + 1,
                replaced => length.div_ceil(replaced).max(1),
            }
        }
        "Prepend" => check_added("the text that it prepends", text("prepend").len()).map(|()| 1)?,
        "Precompiled" => precompiled_growth(text("precompiled_charsmap")),
        "NFKC" | "NFKD" => COMPATIBILITY_GROWTH,
        "NFC" | "NFD" | "BertNormalizer" | "Lowercase" => CANONICAL_GROWTH,
        "Metaspace" => 3, // a space becomes U+2581
        "ByteLevel" => 2, // a byte becomes a character of up to two
        _ => 1,
    })
}

/// The growth by a character map of SentencePiece: the size of a trie in four bytes, the trie, and the texts that
/// characters are replaced by, each ended by a zero byte.
fn precompiled_growth(charsmap: &str) -> usize {
    let bytes = STANDARD.decode(charsmap).unwrap_or_default();
    let size = bytes.first_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let texts = bytes.get(size.saturating_add(4)..).unwrap_or_default();
    texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or(0).max(1)
}

fn check_template(part: &Value) -> Result<(), String> {
    if let Some(processors) = part["processors"].as_array() {
        return processors.iter().try_for_each(check_template);
    }
    let list = |value: &Value| value.as_array().map_or(0, Vec::len);
    let pieces = list(&part["single"]).max(list(&part["pair"]));
    let tokens = part["special_tokens"].as_object().into_iter().flatten();
    let ids = tokens.map(|(_, token)| list(&token["ids"])).max().unwrap_or(0);
    match pieces.max(ids) {
        0..=MAX_PIECES => Ok(()),
        n => Err(format!("its template has {n} pieces, more than {MAX_PIECES}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn growth_with(key: &str, part: &Value) -> Result<usize, String> {
        growth(json!({ key: part }).to_string().as_bytes())
    }

    fn replace(pattern: &str, content: &str) -> Value {
        json!({"type": "Replace", "pattern": {"String": pattern}, "content": content})
    }

    #[test]
    fn published_normalizers_make_texts_a_few_times_longer() {
        let llama = json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")]});
        assert_eq!(growth_with("normalizer", &llama), Ok(3));
        let qwen = json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false}]});
        assert_eq!(growth_with("pre_tokenizer", &qwen), Ok(2));
        assert_eq!(growth(b"{}"), Ok(1));
    }

    #[test]
    fn replacements_multiply() {
        let steps = vec![replace("a", &"a".repeat(1000)); 3];
        let bomb = json!({"type": "Sequence", "normalizers": steps});
        assert_eq!(growth_with("normalizer", &bomb), Ok(1_000_000_000));
        let endless = json!({"type": "Sequence", "normalizers": vec![bomb; 100]});
        assert_eq!(growth_with("normalizer", &endless), Ok(usize::MAX));
        let empty = json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "abc"});
        assert_eq!(growth_with("normalizer", &empty), Ok(4));
    }

    #[test]
    fn character_map_counts_its_longest_text() {
        let map = [&[4, 0, 0, 0, 9, 9, 9, 9][..], b"ab\0abcdefg\0"].concat();
        let part = json!({"type": "Precompiled", "precompiled_charsmap": STANDARD.encode(map)});
        assert_eq!(growth_with("normalizer", &part), Ok(7));
    }

    #[test]
    fn long_additions_are_rejected() {
        let long = "x".repeat(2000);
        let reason = growth_with("model", &json!({"continuing_subword_prefix": long}));
        assert_eq!(
            reason.unwrap_err(),
            "the prefix or suffix of its words has 2000 bytes, more than 1024"
        );
        let prepend = json!({"type": "Prepend", "prepend": "x".repeat(2000)});
        assert!(growth_with("normalizer", &prepend).unwrap_err().contains("prepends"));
        let pieces = vec![json!({"Sequence": {"id": "A", "type_id": 0}}); 1000];
        let template = json!({"type": "TemplateProcessing", "single": pieces, "pair": [],
            "special_tokens": {}});
        let reason = "its template has 1000 pieces, more than 64";
        assert_eq!(growth_with("post_processor", &template).unwrap_err(), reason);
        let nested = json!({"type": "Sequence", "processors": [template]});
        assert_eq!(growth_with("post_processor", &nested).unwrap_err(), reason);
    }
}
