use std::sync::Arc;

use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::*;
use std::fs;

fn read_as(name: &str, bytes: impl AsRef<[u8]>) -> Result<Vec<PromptRow>, PromptError> {
    read_key(name, bytes, None)
}

fn read_key(
    name: &str,
    bytes: impl AsRef<[u8]>,
    prompt_key: Option<&str>,
) -> Result<Vec<PromptRow>, PromptError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    read(&path, SelectedKeys { prompt: prompt_key, ..SelectedKeys::default() }, 0)
}

fn one(line: &Json) -> PromptRow {
    read_as("p.jsonl", line.to_string()).unwrap().remove(0)
}

fn refusal(line: &Json) -> String {
    read_as("p.jsonl", line.to_string()).unwrap_err().to_string()
}

fn texts(rows: &[PromptRow]) -> Vec<String> {
    let text = |row: &PromptRow| match &row.prompt {
        Prompt::Text(text) => text.clone(),
        other => panic!("{other:?} is not a text"),
    };
    rows.iter().map(text).collect()
}

fn user(content: &str) -> Json {
    json!({"role": "user", "content": content})
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/compute/prompts").join(name)
}

fn expected() -> Json {
    serde_json::from_str(&fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
}

#[test]
fn reads_messages_from_verl_parquet() {
    for name in ["verl-snappy.parquet", "verl-zstd.parquet"] {
        let rows = read(&fixture(name), SelectedKeys::default(), 0).unwrap();
        let messages: Vec<Json> = rows.iter().map(|row| row.prompt_text.clone().unwrap()).collect();
        assert_eq!(Json::from(messages), expected()["messages"], "{name}");
        assert!(rows.iter().all(|row| matches!(row.prompt, Prompt::Messages(_))), "{name}");
        assert_eq!((&rows[1].id, rows[1].place.as_str()), (&json!(1), "row 2"), "{name}");
    }
}

#[test]
fn csv_text_and_json_give_equal_prompts() {
    let expected = expected();
    let questions: Vec<&str> =
        expected["questions"].as_array().unwrap().iter().map(|q| q.as_str().unwrap()).collect();
    let csv = read(&fixture("questions.csv"), SelectedKeys::default(), 0).unwrap();
    assert_eq!(texts(&csv), questions);
    assert_eq!(csv[2].id, json!(2));
    assert_eq!(csv[2].place, "line 5"); // the question above has two lines
    let lines = read(&fixture("lines.txt"), SelectedKeys::default(), 0).unwrap();
    let flat: Vec<String> = questions.iter().map(|q| q.replace('\n', " ")).collect();
    assert_eq!(texts(&lines), flat);
    for (index, row) in
        read(&fixture("array.json"), SelectedKeys::default(), 0).unwrap().into_iter().enumerate()
    {
        let prompt = match index % 2 {
            0 => &expected["messages"][index],
            _ => &expected["questions"][index],
        };
        assert_eq!(row.prompt_text.as_ref(), Some(prompt));
    }
}

#[test]
fn reads_responses_of_verl_rollouts() {
    let rows = read(&fixture("verl-rollouts.jsonl"), SelectedKeys::default(), 0).unwrap();
    assert_eq!(rows[0].prompt, Prompt::Text("user\nWhat is 3 + 4?\nassistant\n".to_owned()));
    assert_eq!(rows[0].response, Some(GivenResponse::Text("The answer is 7.".to_owned())));
}

#[test]
fn reads_token_ids_and_text_of_golden_rollouts() {
    let path = fixture("../rollouts.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let rows = read(&path, SelectedKeys::default(), 0).unwrap();
    assert_eq!(rows.len(), text.lines().count());
    for (row, line) in rows.iter().zip(text.lines()) {
        let line: Json = serde_json::from_str(line).unwrap();
        let Some(GivenResponse::Tokens(ids)) = &row.response else {
            panic!("{} has no token ids", row.place);
        };
        assert_eq!(json!(ids), line["response_token_ids"]);
        assert_eq!(row.prompt_text, line.get("prompt").or(line.get("messages")).cloned());
    }
}

#[test]
fn text_file_has_one_prompt_per_line() {
    let rows = read_as("p.txt", "\u{feff}one\r\n\r\n \n\n{\"prompt\": 5}\nlast").unwrap();
    assert_eq!(texts(&rows), ["one", " ", "{\"prompt\": 5}", "last"]);
    let places: Vec<&str> = rows.iter().map(|row| row.place.as_str()).collect();
    assert_eq!(places, ["line 1", "line 3", "line 5", "line 6"]);
    assert_eq!(rows[3].id, json!(3));
    assert_eq!(rows[0].prompt_text, Some(json!("one")));
}

#[test]
fn detects_format_from_content_without_extension() {
    assert_eq!(texts(&read_as("prompts", "a\nb\n").unwrap()), ["a", "b"]);
    assert_eq!(texts(&read_as("p.data", "\n {\"prompt\": \"a\"}\n").unwrap()), ["a"]);
    assert_eq!(texts(&read_as("p", "[\"a\", {\"prompt\": \"b\"}]").unwrap()), ["a", "b"]);
    let parquet = fs::read(fixture("verl-snappy.parquet")).unwrap();
    assert_eq!(read_as("prompts.bin", &parquet).unwrap().len(), 5);
    assert_eq!(texts(&read_as("P.TXT", "[x]").unwrap()), ["[x]"]);
}

#[test]
fn reads_json_lists_wrapped_lists_and_lines() {
    let rows = r#"[{"prompt": "a"}, {"prompt": "b"}]"#;
    for (name, text) in [
        ("p.json", rows.to_owned()),
        ("p.jsonl", rows.to_owned()),
        ("p.json", format!("{{\"version\": 1, \"data\": {rows}, \"tags\": [\"x\"]}}")),
        ("p.json", format!("{{\n \"data\":\n {rows}\n}}\n")),
        ("p.json", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n".to_owned()),
        ("p.jsonl", "{\"prompt\": \"a\"}\r\n\r\n{\"prompt\": \"b\"}".to_owned()),
        ("p.ndjson", "\"a\"\n\"b\"\n".to_owned()),
        ("p.json", "[\"a\", \"b\"]".to_owned()),
    ] {
        assert_eq!(texts(&read_as(name, &text).unwrap()), ["a", "b"], "{text}");
    }
}

#[test]
fn single_row_is_not_read_as_list_of_messages() {
    for text in [
        r#"{"messages": [{"role": "user", "content": "a"}]}"#,
        "{\n  \"messages\": [\n    {\"role\": \"user\", \"content\": \"a\"}\n  ]\n}\n",
    ] {
        let rows = read_as("p.json", text).unwrap();
        assert_eq!(rows[0].prompt, Prompt::Messages(vec![user("a")]));
        assert_eq!(rows[0].place, "line 1");
    }
}

#[test]
fn python_nan_is_null() {
    let text = r#"{"prompt": "is NaN \"Infinity\"?", "response": NaN, "score": -Infinity}"#;
    let row = read_as("p.jsonl", text).unwrap().remove(0);
    assert_eq!(row.prompt, Prompt::Text("is NaN \"Infinity\"?".to_owned()));
    assert_eq!(row.response, None);
}

#[test]
fn row_keeps_id_messages_and_finish_reason() {
    let messages = json!([{"content": "a", "role": "user", "name": null}]);
    let row = one(&json!({
        "id": "q-7", "messages": messages, "response": "", "finish_reason": "length", "score": 1.5,
    }));
    assert_eq!(
        row,
        PromptRow {
            id: json!("q-7"),
            place: "line 1".to_owned(),
            prompt: Prompt::Messages(messages.as_array().unwrap().clone()),
            prompt_text: Some(messages),
            response: Some(GivenResponse::Text(String::new())),
            is_conversation: false,
            masks: Vec::new(),
            columns: serde_json::Map::new(),
            names: Vec::new(),
            long_answers: 0,
            tools: None,
            finish_reason: Some("length".to_owned()),
            response_length: None,
            is_input_output: false,
        }
    );
}

#[test]
fn token_ids_take_precedence_over_text() {
    let row = one(&json!({
        "prompt": "a", "prompt_token_ids": [1, 2], "response": "b", "response_token_ids": [],
    }));
    assert_eq!(row.prompt, Prompt::Tokens(vec![1, 2]));
    assert_eq!(row.prompt_text, Some(json!("a")));
    assert_eq!(row.response, Some(GivenResponse::Tokens(vec![])));
    let row = one(&json!({"prompt_token_ids": [5], "response_token_ids": null}));
    assert_eq!((row.prompt, row.prompt_text, row.response), (Prompt::Tokens(vec![5]), None, None));
}

#[test]
fn null_keys_count_as_missing() {
    let row = one(&json!({"id": null, "prompt": null, "messages": [user("a")], "response": null}));
    assert_eq!(row.prompt, Prompt::Messages(vec![user("a")]));
    assert_eq!((row.id, row.response), (json!(0), None));
}

#[test]
fn prompt_key_selects_prompt() {
    let rows = "{\"question\": \"a\", \"prompt\": \"b\"}";
    let row = read_key("p.jsonl", rows, Some("question")).unwrap().remove(0);
    assert_eq!((row.prompt, row.response), (Prompt::Text("a".to_owned()), None));
    let rows = "{\"input\": \"a\", \"prompt\": \"b\", \"output\": \"c\"}";
    let row = read_key("p.jsonl", rows, Some("input")).unwrap().remove(0);
    assert_eq!(row.response, Some(GivenResponse::Text("c".to_owned())));
}

#[test]
fn rejects_row_without_prompt_and_lists_its_keys() {
    let error =
        read_as("p.jsonl", "\"a\"\n{\"answer\": \"7\", \"question\": \"3 + 4?\"}").unwrap_err();
    assert_eq!(error.to_string(), "line 2: it has no \"prompt\", only \"answer\", \"question\"");
    assert_eq!(error.hint().as_deref(), Some("try --prompt-key question"));

    let error = read_key("p.jsonl", "{\"prompt\": \"7\"}", Some("q")).unwrap_err();
    assert_eq!(error.to_string(), "line 1: it has no \"q\", only \"prompt\"");
    assert_eq!(error.hint().as_deref(), Some("select the key of the prompt with --prompt-key KEY"));

    // An instruction's `input` is not the prompt unless the row is a rollout.
    let error = read_as("p.json", "[{\"input\": \"\", \"label\": 1}]").unwrap_err();
    assert_eq!(error.to_string(), "row 1: it has no \"prompt\", only \"input\", \"label\"");
    assert_eq!(refusal(&json!({"prompt": null})), "line 1: \"prompt\" is null");
    assert_eq!(refusal(&json!({})), "line 1: it has no keys");
    let error = read_key("p.txt", "a", Some("q")).unwrap_err();
    assert_eq!(error.to_string(), "line 1: it is a string, so it has no key \"q\"");
}

#[test]
fn rejects_values_of_wrong_type() {
    for (row, why) in [
        (json!({"prompt": 5}), "\"prompt\" is a number, not a string or messages"),
        (json!({"prompt": []}), "\"prompt\" is an empty list"),
        (json!({"prompt": [1, 2]}), "\"prompt\" is a list of numbers, not of messages"),
        (json!({"prompt": user("a")}), "\"prompt\" is an object, not a string or messages"),
        (json!({"messages": ["a"]}), "\"messages\", message 1: it is a string, not an object"),
        (
            json!({"messages": [user("a"), {"content": "b"}]}),
            "\"messages\", message 2: it has no \"role\"",
        ),
        (
            json!({"messages": [{"role": 1}]}),
            "\"messages\", message 1: \"role\" is a number, not a string",
        ),
        (
            json!({"messages": [{"role": "user", "content": 7}]}),
            "\"messages\", message 1: \"content\" is a number, not a string or a list of parts",
        ),
        (json!({"prompt": "a", "response": 7}), "\"response\" is a number, not a string"),
        (
            json!({"prompt": "a", "response": [{"role": "user"}]}),
            "\"response\" is a list, but not of messages with one of the assistant",
        ),
        (
            json!({"prompt": "a", "finish_reason": true}),
            "\"finish_reason\" is a boolean, not a string",
        ),
        (
            json!({"prompt_token_ids": "1 2"}),
            "\"prompt_token_ids\" is a string, not a list of token ids",
        ),
        (
            json!({"prompt_token_ids": [1, -1]}),
            "\"prompt_token_ids\", item 2: -1 is not a token id",
        ),
        (json!({"prompt_token_ids": [1.0]}), "\"prompt_token_ids\", item 1: 1.0 is not a token id"),
        (
            json!({"prompt": "a", "response_token_ids": [null]}),
            "\"response_token_ids\", item 1: null is not a token id",
        ),
    ] {
        assert_eq!(refusal(&row), format!("line 1: {why}"));
    }
    assert_eq!(
        read_as("p.jsonl", "\"a\"\n[1]").unwrap_err().to_string(),
        "line 2: it is a list, not an object or a string"
    );
}

#[test]
fn invalid_json_reports_line_and_column() {
    let place = |name, text| read_as(name, text).unwrap_err().to_string();
    assert_eq!(place("p.jsonl", "\"a\"\n{\"prompt\" 1}\n"), "line 2, column 11: expected `:`");
    assert_eq!(place("p.json", "[\n\"a\",\n{]\n"), "line 3, column 2: key must be a string");
    assert_eq!(place("p.json", "nope"), "line 1, column 2: expected ident");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(place("p.json", &deep), "line 1, column 128: recursion limit exceeded");
}

#[test]
fn invalid_text_reports_line() {
    let place = |name: &str, bytes: &[u8]| read_as(name, bytes).unwrap_err().to_string();
    assert_eq!(place("p.txt", b"a\nb\0"), "line 2: it has a NUL byte");
    assert_eq!(place("p.jsonl", b"\"a\"\n\n\"\xff\""), "line 3: it is not UTF-8");
    assert_eq!(place("p.csv", b"prompt\n\xe9"), "line 2: it is not UTF-8");
}

#[test]
fn rejects_file_without_prompts() {
    for (name, text) in [
        ("p.txt", ""),
        ("p.txt", "\n\r\n\n"),
        ("p.json", "[]"),
        ("p.jsonl", "\n"),
        ("p.csv", ""),
        ("p.csv", "prompt\n"),
        ("p", ""),
    ] {
        let error = read_as(name, text).unwrap_err();
        assert_eq!(error.to_string(), "it has no prompts", "{name} {text:?}");
    }
    assert!(matches!(
        read(Path::new("/no/such/file"), SelectedKeys::default(), 0),
        Err(PromptError::Io(_))
    ));
}

#[test]
fn csv_cells_have_text_messages_or_token_ids() {
    let csv = "\u{feff}id, prompt ,response,prompt_token_ids,finish_reason\r\n\
               7,\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"a\"\"}]\",,,stop\r\n\
               007,\"[1] and, [2]\",b,\"[1, 2]\",\r\n";
    let rows = read_as("p.csv", csv).unwrap();
    assert_eq!(rows[0].prompt, Prompt::Messages(vec![user("a")]));
    assert_eq!(rows[0].prompt_text, Some(json!([user("a")])));
    assert_eq!((&rows[0].id, &rows[1].id), (&json!(7), &json!("007")));
    assert_eq!(rows[0].response, Some(GivenResponse::Text(String::new())));
    assert_eq!(rows[0].finish_reason.as_deref(), Some("stop"));
    assert_eq!(rows[1].prompt, Prompt::Tokens(vec![1, 2]));
    assert_eq!(rows[1].prompt_text, Some(json!("[1] and, [2]")));
    assert_eq!((rows[1].finish_reason.as_deref(), rows[1].place.as_str()), (None, "line 3"));
    assert_eq!(texts(&read_as("p.tsv", "a\tprompt\nx\ty,\"z\"\n").unwrap()), ["y,\"z\""]);
}

#[test]
fn rejects_csv_with_uneven_rows_or_duplicate_columns() {
    let refusal = |text| read_as("p.csv", text).unwrap_err().to_string();
    assert_eq!(refusal("prompt,a\nb\n"), "line 2: it has 1 cells where the header has 2");
    assert_eq!(
        refusal("prompt,prompt\na,b\n"),
        "line 1: column 2 has the name \"prompt\" of an earlier column"
    );
}

fn parquet(schema: &str, write: impl Fn(&mut SerializedFileWriter<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::default());
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    write(&mut writer);
    writer.close().unwrap();
    bytes
}

#[test]
fn reads_token_ids_and_untyped_strings_from_parquet() {
    let schema = "message rows {
        optional binary prompt;
        optional group response_token_ids (LIST) { repeated group list { optional int64 element; } }
    }";
    let bytes = parquet(schema, |writer| {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let texts = [ByteArray::from("é"), ByteArray::from("b")];
        column.typed::<ByteArrayType>().write_batch(&texts, Some(&[1, 1]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let levels = (Some(&[3_i16, 3, 0][..]), Some(&[0_i16, 1, 0][..]));
        column.typed::<Int64Type>().write_batch(&[3, 4], levels.0, levels.1).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    });
    let rows = read_as("p.parquet", bytes).unwrap();
    assert_eq!(texts(&rows), ["é", "b"]);
    assert_eq!(rows[0].response, Some(GivenResponse::Tokens(vec![3, 4])));
    assert_eq!(rows[1].response, None);
}

#[test]
fn rejects_parquet_without_prompt_and_lists_columns() {
    let bytes = parquet("message rows { required binary question; required int64 n; }", |writer| {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let texts = [ByteArray::from("a")];
        column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[1], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    });
    let error = read_as("p.parquet", &bytes).unwrap_err();
    assert_eq!(error.to_string(), "row 1: it has no \"prompt\", only \"question\", \"n\"");
    assert_eq!(error.hint().as_deref(), Some("try --prompt-key question"));
    assert_eq!(texts(&read_key("p.parquet", &bytes, Some("question")).unwrap()), ["a"]);
}

#[test]
fn damaged_parquet_is_an_error() {
    let error = read_as("p.parquet", "PAR1 and more").unwrap_err().to_string();
    assert!(error.starts_with("it is not a valid Parquet file: "), "{error}");
    let whole = fs::read(fixture("verl-snappy.parquet")).unwrap();
    assert!(whole.len() < 5000);
    for at in whole.len() / 2..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        let _ = read_as("p.parquet", &bytes); // an error or rows, but no panic
    }
    for end in (0..whole.len()).step_by(50) {
        assert!(read_as("p.parquet", &whole[..end]).is_err());
    }
}
