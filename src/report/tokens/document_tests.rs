//! Tests that text from a dump never becomes markup of the page; writes the pages that tests/browser/tokens_check.py opens.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use entropy_history::dump::GroupBy;
use entropy_tokens::Columns;
use serde_json::{Value, json};

use super::tests::{document_of, table_of};
use crate::report::page::{STYLE, TOKENS_SCRIPT, TOKENS_STYLE, colours};

fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name))
        .unwrap()
}

fn by(column: &str) -> Columns {
    Columns { by: Some(GroupBy::parse(column).unwrap()), ..Columns::default() }
}

/// A page with only the token section.
fn page(document: &Value) -> String {
    let data = document.to_string().replace('<', "\\u003c");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Tokens</title>\n\
         <style>{}{STYLE}</style>\n<style>{TOKENS_STYLE}</style></head>\n<body><main><section id=\"tokens\"></section></main>\n\
         <script type=\"application/json\" id=\"tokens-data\">{data}</script>\n\
         <script>{TOKENS_SCRIPT}</script></body></html>\n",
        colours(),
    )
}

/// Responses like those of a reasoning model: low entropy at most tokens, high entropy at a few; with rewards, two
/// kinds of tasks, log-probs of a sampler, and the KL to a reference.
fn reasoning(steps: &[u64], prompts: usize) -> String {
    const TEXT: &str = "Okay, so I need to find the number of positive integers less than 1000 that are \
        divisible by 7 but not by 11.\n\nLet me think. First, the multiples of 7: 999 / 7 = 142.7, so there \
        are 142 of them. However, some are multiples of 77; since 999 / 77 = 12.97, there are 12. \
        Therefore 142 - 12 = 130.\n\nWait, maybe I should check that again.  Suppose we count directly: \
        142 * 7 = 994, which is less than 1000. So the answer is \\\\boxed{130}.";
    let pieces: Vec<&str> = TEXT.split_inclusive([' ', '\n', ',', '.']).collect();
    let mut state = 1u64;
    let mut dice = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    let mut text = String::new();
    for &step in steps {
        for response in 0..4 * prompts {
            let length = 60 + response * 7919 % 500;
            let ids: Vec<usize> = (0..length).map(|i| i % pieces.len()).collect();
            let is_fork =
                |id: usize| pieces[id].starts_with(['W', 'H', 'S', 'T', 'm', 's', 'F', 'L']);
            let entropies: Vec<f64> = ids
                .iter()
                .map(|&id| match dice() {
                    p if is_fork(id) || p > 0.9 => 3.2 * dice() * 60.0 / (60.0 + step as f64) + 0.3,
                    p if p > 0.6 => 0.5 * dice(),
                    p => 0.02 * p * dice(),
                })
                .map(rounded)
                .collect();
            let log_probs: Vec<f64> =
                entropies.iter().map(|entropy| rounded(-entropy * dice())).collect();
            let sampled: Vec<f64> = log_probs
                .iter()
                .map(|log_prob| rounded(log_prob - 0.01 * dice() * (log_prob - 0.01)))
                .collect();
            let kl: Vec<f64> =
                entropies.iter().map(|entropy| rounded(0.1 * entropy * dice())).collect();
            let texts: Vec<&str> = ids.iter().map(|&id| pieces[id]).collect();
            let env = ["algebra", "geometry"][response / 4 % 2];
            let row = json!({
                "step": step, "id": format!("aime-{:02}", response / 4), "sample": response % 4,
                "prompt_token_ids": [response / 4], "response_token_ids": ids, "tokens": texts,
                "entropies": entropies, "log_probs": log_probs, "kl": kl,
                "finish_reason": if response % 5 == 0 { "length" } else { "stop" },
                "dump": {
                    "reward": u8::from(dice() < 0.2 + 0.15 * (response / 4 % 4) as f64),
                    "generation_logprobs": sampled, "env": env,
                    "pred": format!("{}", response % 3),
                },
            });
            writeln!(text, "{row}").unwrap();
        }
    }
    text
}

/// Tokens that would change a page, or deceive its reader, if they were not shown as plain text.
fn hostile() -> String {
    const PIECES: [&str; 10] = [
        "</script><img src=x onerror=alert(1)>",
        "<!--<script>",
        "\"'><svg/onload=alert(1)>",
        "\u{202e}reversed",
        "\u{0}\u{7}\u{1b}[31m",
        "]]>",
        "${alert(1)}",
        "\u{2028}",
        "策略熵",
        "\u{fffd}",
    ];
    let row = |step: u64, sample: u64| {
        let entropies: Vec<f64> = (0..PIECES.len()).map(|i| i as f64 / 4.0 + step as f64).collect();
        json!({
            "step": step, "id": "</script><img src=x onerror=alert(2)>", "sample": sample, "reward": sample,
            "response_token_ids": (0..PIECES.len()).collect::<Vec<_>>(), "tokens": PIECES,
            "entropies": entropies, "log_probs": vec![-0.5; PIECES.len()],
            "generation_logprobs": vec![-0.25 - sample as f64; PIECES.len()],
            "role": "<b>role</b>", "finish_reason": "<img src=x onerror=alert(3)>",
        })
    };
    [(1, 0), (1, 1), (2, 0), (2, 1)]
        .map(|(step, sample)| format!("{}\n", row(step, sample)))
        .concat()
}

/// Writes the pages that tests/browser/tokens_check.py opens.
#[test]
fn text_of_a_dump_is_never_markup_of_the_page() {
    let pages_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp").join("tokens");
    fs::create_dir_all(&pages_dir).unwrap();
    let warnings = ["<img src=x onerror=alert(4)>: the file ends inside a line".to_owned()];
    let (run, prime) = (fixture("tokens/run.jsonl"), fixture("tokens/prime.jsonl"));
    let (plain, env) = (Columns::default(), by("env"));
    let pages = [
        ("run", table_of(&[("run.jsonl", &run)], &plain), None, &[][..]),
        ("prime", table_of(&[("prime.jsonl", &prime)], &plain), None, &[]),
        (
            "groups",
            table_of(&[("run.jsonl", &fixture("token_groups/run.jsonl"))], &env),
            Some("env"),
            &[],
        ),
        (
            "nemo",
            table_of(&[("nemo", &fixture("token_groups/nemo/train_data_step40.jsonl"))], &plain),
            None,
            &[],
        ),
        (
            "reasoning",
            table_of(&[("aime24_qwen3.jsonl", &reasoning(&[20, 60, 100, 200, 400], 24))], &env),
            Some("env"),
            &[],
        ),
        ("hostile", table_of(&[("</script><b>source</b>", &hostile())], &plain), None, &warnings),
        ("two", table_of(&[("run.jsonl", &run), ("prime.jsonl", &prime)], &plain), None, &[]),
    ];
    for (name, table, by, warnings) in pages {
        let document = document_of(&table, by, warnings);
        let page = page(&document);
        fs::write(pages_dir.join(name).with_extension("html"), &page).unwrap();
        assert_eq!(page.matches("</script").count(), 2, "{name}");
        assert!(
            !page.contains("<img") && !page.contains("<b>") && !page.contains("<!--"),
            "{name}"
        );
        assert!(!page.contains(['\u{202e}', '\u{2028}', '\u{1b}', '\0']), "{name}");
        let (start, end) = ("id=\"tokens-data\">", "</script>");
        let data = page.split(start).nth(1).unwrap().split(end).next().unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["kinds"], document["kinds"], "{name}");
    }
}
