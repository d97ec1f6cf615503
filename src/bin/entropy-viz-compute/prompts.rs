//! temporary
use std::path::Path;
pub(crate) enum Prompt {
    Text(String),
    Messages(Vec<serde_json::Value>),
    Tokens(Vec<i64>),
}
pub(crate) enum Response {
    Text(String),
    Tokens(Vec<i64>),
}
pub(crate) struct Row {
    pub id: serde_json::Value,
    pub place: String,
    pub prompt: Prompt,
    pub prompt_text: Option<serde_json::Value>,
    pub response: Option<Response>,
    pub response_text: Option<String>,
    pub finish_reason: Option<String>,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub(crate) struct PromptError;
impl PromptError {
    pub fn hint(&self) -> Option<String> {
        None
    }
}
pub(crate) fn read(path: &Path, _: Option<&str>) -> Result<Vec<Row>, PromptError> {
    let t = std::fs::read_to_string(path).map_err(|_| PromptError)?;
    Ok(t.lines()
        .enumerate()
        .map(|(i, l)| {
            let v: serde_json::Value = serde_json::from_str(l).unwrap();
            let ids = |k: &str| {
                v.get(k).map(|x| {
                    x.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect::<Vec<_>>()
                })
            };
            let prompt = match ids("prompt_token_ids") {
                Some(t) => Prompt::Tokens(t),
                None => match &v["prompt"] {
                    serde_json::Value::String(s) => Prompt::Text(s.clone()),
                    o => Prompt::Messages(o.as_array().unwrap().clone()),
                },
            };
            Row {
                id: v["id"].clone(),
                place: format!("line {}", i + 1),
                prompt,
                prompt_text: v.get("prompt").cloned(),
                response: ids("response_token_ids")
                    .map(Response::Tokens)
                    .or(v.get("response").map(|r| Response::Text(r.as_str().unwrap().into()))),
                response_text: None,
                finish_reason: v.get("finish_reason").and_then(|x| x.as_str()).map(str::to_owned),
            }
        })
        .collect())
}
