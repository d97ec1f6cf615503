//! Tests of the token document, and that text from a dump never becomes markup of the page.

use std::fs;
use std::path::Path;

use entropy_history::dump::{RawResponse, TokenDump};
use entropy_history::formats::Source;
use entropy_history::formats::tokens::read;
use serde_json::{Value, json};

use super::tokens;
use crate::report::page::TOKENS_SCRIPT;

fn bytes(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn whole(mut bytes: &[u8]) -> TokenDump {
    let mut dump = TokenDump::default();
    dump.begin("dump");
    let notes = read(Source { reader: &mut bytes, path: None }, &mut dump);
    assert_eq!(notes.unwrap(), []);
    dump
}

#[test]
fn document_has_rounded_values_and_is_none_for_an_empty_dump() {
    let dump = whole(&bytes("tokens/run.jsonl"));
    let document = tokens(&dump, &[]).unwrap();
    assert_eq!(document["scorings"].as_array().unwrap().len(), 3);
    assert_eq!(document["responses"].as_array().unwrap().len(), 36);
    let response = &document["responses"][0];
    assert_eq!(response["entropies"][0], 2.4753, "2.475285461, to four decimals");
    let kind = usize::try_from(response["kinds"][0].as_u64().unwrap()).unwrap();
    assert_eq!(document["kinds"][kind], json!([22, "7"]));
    assert!(tokens(&TokenDump::default(), &[]).is_none());
}

/// A page with only the token section.
fn page(document: &Value) -> String {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let template = |name: &str| fs::read_to_string(templates.join(name)).unwrap();
    let data = document.to_string().replace('<', "\\u003c");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Tokens</title>\n\
         <style>{PAGE}</style>\n<style>{}</style></head>\n<body><main><section id=\"tokens\"></section></main>\n\
         <script type=\"application/json\" id=\"tokens-data\">{data}</script>\n\
         <script>{}</script></body></html>\n",
        template("tokens.css"),
        TOKENS_SCRIPT,
    )
}

/// The parts of the report's style that the section relies on.
const PAGE: &str = "
    :root { --background: #ffffff; --text: #1b1f24; --muted: #5b6470; --hairline: #e6e9ed; --accent: #226daa; color-scheme: light dark; }
    @media screen and (prefers-color-scheme: dark) { html:not([data-theme=light]) {
        --background: #12151a; --text: #e8eaed; --muted: #9aa4b1; --hairline: #262b33; --accent: #4aabfd; } }
    @media screen { html[data-theme=dark] {
        --background: #12151a; --text: #e8eaed; --muted: #9aa4b1; --hairline: #262b33; --accent: #4aabfd; } }
    body { margin: 0; background: var(--background); color: var(--text); font: 15px/1.5 Inter, system-ui, sans-serif; }
    main { max-width: 64rem; margin: 0 auto; padding: 1rem; }";

/// Responses like those of a reasoning model: low entropy at most tokens, high entropy at a few.
fn reasoning(responses: usize) -> TokenDump {
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
    let mut dump = TokenDump::default();
    dump.begin("aime24_qwen3.jsonl");
    for step in [20, 100, 400] {
        for id in 0..responses {
            let length = 60 + id * 7919 % 500;
            let tokens: Vec<u32> = (0..length).map(|i| (i % pieces.len()) as u32).collect();
            let fork = |id: &u32| {
                pieces[*id as usize].starts_with(['W', 'H', 'S', 'T', 'm', 's', 'F', 'L'])
            };
            let entropies: Vec<f64> = tokens
                .iter()
                .map(|id| match dice() {
                    p if fork(id) || p > 0.9 => {
                        3.2 * dice() * 60.0 / (60.0 + f64::from(step)) + 0.3
                    }
                    p if p > 0.6 => 0.5 * dice(),
                    p => 0.02 * p * dice(),
                })
                .collect();
            let raw = RawResponse {
                step: step as u64,
                id: format!("aime-{:02}", id / 4),
                sample: Some(id as u64 % 4),
                texts: tokens.iter().map(|&id| pieces[id as usize].to_owned()).collect(),
                log_probs: entropies.iter().map(|entropy| -entropy * dice()).collect(),
                prompt: vec![id as u32],
                finish: Some(if id % 5 == 0 { "length" } else { "stop" }.to_owned()),
                tokens,
                entropies,
            };
            dump.add(raw).unwrap();
        }
    }
    dump
}

/// Tokens that would change a page, or deceive its reader, if they were not shown as plain text.
fn hostile() -> TokenDump {
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
    let mut dump = TokenDump::default();
    dump.begin("</script><b>source</b>");
    for step in [1, 2] {
        let raw = RawResponse {
            step,
            id: "</script><img src=x onerror=alert(2)>".to_owned(),
            tokens: (0..PIECES.len() as u32).collect(),
            texts: PIECES.map(str::to_owned).to_vec(),
            entropies: (0..PIECES.len()).map(|i| i as f64 / 4.0).collect(),
            log_probs: vec![f64::NEG_INFINITY; PIECES.len()],
            finish: Some("<img src=x onerror=alert(3)>".to_owned()),
            ..RawResponse::default()
        };
        dump.add(raw).unwrap();
    }
    dump
}

/// Two models in one dump, one of them without texts.
fn two_sources() -> TokenDump {
    let mut dump = TokenDump::default();
    for name in ["run.jsonl", "prime.jsonl"] {
        dump.begin(name);
        let notes = read(
            Source { reader: &mut &bytes(&format!("tokens/{name}"))[..], path: None },
            &mut dump,
        );
        assert_eq!(notes.unwrap(), []);
    }
    dump
}

/// Writes the pages that tests/browser/tokens_check.py opens.
#[test]
fn text_of_a_dump_is_never_markup_of_the_page() {
    let pages_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp").join("tokens");
    fs::create_dir_all(&pages_dir).unwrap();
    let warnings = ["<img src=x onerror=alert(4)>: the file ends inside a line".to_owned()];
    let pages = [
        ("run", whole(&bytes("tokens/run.jsonl")), &[][..]),
        ("prime", whole(&bytes("tokens/prime.jsonl")), &[]),
        ("reasoning", reasoning(240), &[]),
        ("hostile", hostile(), &warnings),
        ("two", two_sources(), &[]),
    ];
    for (name, dump, warnings) in pages {
        let document = tokens(&dump, warnings).unwrap();
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
