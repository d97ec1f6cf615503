//! The names under which trainers dump lists with a value per token, and answers. Every command that reads dumps takes the same names:
//! a mask that only one of them knew would count the output of tools in the other.

/// Which tokens the policy wrote.
pub const MASKS: [&str; 16] = [
    "response_mask",
    "response_masks",
    "loss_mask",
    "loss_masks",
    "token_loss_mask",
    "completion_mask",
    "tool_mask",
    "assistant_mask",
    "assistant_masks",
    "assistant_tokens_mask",
    "assistant_token_mask",
    "assistant_loss_mask",
    "response_loss_mask",
    "completion_masks",
    "action_mask",
    "action_masks",
];

/// Token ids of the prompt.
pub const PROMPT_IDS: [&str; 3] = ["prompt_token_ids", "prompt_ids", "prompt_tokens"];

/// Token ids of the response.
pub const RESPONSE_IDS: [&str; 7] = [
    "response_token_ids",
    "response_ids",
    "completion_token_ids",
    "completion_ids",
    "response_tokens",
    "output_token_ids",
    "output_ids",
];

/// Token ids of prompt and response together.
pub const SEQUENCE_IDS: [&str; 3] = ["token_ids", "input_ids", "tokens"];

/// The final answer of a response.
pub const ANSWERS: [&str; 6] =
    ["pred", "prediction", "predicted_answer", "extracted_answer", "final_answer", "answer"];

/// Whether a name looks like that of a token mask, but is not a known one.
pub fn looks_like_mask(name: &str) -> bool {
    has_word(name, &["mask", "masks"]) && !is_token_list(name) && !has_word(name, &["sample"])
}

/// Whether the values are lists of numbers, one per token.
pub fn is_token_list(name: &str) -> bool {
    let lists = [&PROMPT_IDS[..], &RESPONSE_IDS, &SEQUENCE_IDS, &MASKS];
    lists.iter().any(|names| names.contains(&name))
        || ["attention_mask", "prompt_mask"].contains(&name)
}

/// Whether one of the words of a name is in the list.
pub fn has_word(name: &str, list: &[&str]) -> bool {
    words(name).iter().any(|word| list.contains(&word.as_str()))
}

/// The words of `snake_case`, `kebab-case` and `camelCase`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = c.is_lowercase();
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words
}
