//! Keys whose values are not shown in lists, because they may be passwords.

use super::value::{ConfigValue, ConfigValueKind};

/// Words of keys whose values are secret.
const WORDS: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "credential",
    "credentials",
    "authorization",
];
/// Words before "key" in keys whose values are secret.
const BEFORE_KEY: [&str; 4] = ["api", "access", "private", "secret"];
/// Words before "token" in keys of special tokens of a tokenizer.
const SPECIAL_TOKENS: [&str; 10] =
    ["pad", "eos", "bos", "unk", "cls", "sep", "mask", "image", "end", "start"];

/// Whether the value of a key may be a password: `wandb.api_key`, `hub_token`. Numbers and empty values are not.
pub fn is_secret(key: &str, value: &ConfigValue) -> bool {
    let has_text = !value.text().is_empty()
        && !matches!(value.kind(), ConfigValueKind::Bool | ConfigValueKind::Null);
    let last = key.rsplit(['.', '/']).next().unwrap_or(key);
    let words = words(last);
    let follows = |word: &str, before: &[&str]| {
        words.windows(2).any(|pair| pair[1] == word && before.contains(&pair[0].as_str()))
    };
    let is_token = || {
        value.kind() != ConfigValueKind::Number
            && words.last().is_some_and(|word| word == "token")
            && !follows("token", &SPECIAL_TOKENS)
    };
    let is_word = || words.iter().any(|word| WORDS.contains(&word.as_str()));
    has_text && (is_word() || follows("key", &BEFORE_KEY) || is_token())
}

/// The words of a name in lower case: `hub_token`, `hubToken`, `hub-token`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("BUG: there is a word").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_passwords_are_secret_and_those_of_tokenizers_are_not() {
        let secret = |key| is_secret(key, &ConfigValue::plain("abc"));
        for key in [
            "wandb.api_key",
            "hub_token",
            "env/HF_TOKEN",
            "db.password",
            "token",
            "s3.secretAccessKey",
            "openai_apikey",
        ] {
            assert!(secret(key), "{key}");
        }
        for key in [
            "pad_token",
            "eos_token",
            "tokenizer",
            "max_tokens",
            "token_level",
            "key",
            "keys",
            "lr",
        ] {
            assert!(!secret(key), "{key}");
        }
        assert!(!is_secret("max_token", &ConfigValue::plain("512")));
        assert!(!is_secret("hub_token", &ConfigValue::plain("null")));
        assert!(is_secret("password", &ConfigValue::plain("1234")));
    }
}
