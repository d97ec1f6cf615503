use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::*;

fn read_as(name: &str, bytes: impl AsRef<[u8]>) -> Result<Vec<Row>, PromptError> {
    read_key(name, bytes, None)
}

fn read_key(
    name: &str,
    bytes: impl AsRef<[u8]>,
    prompt_key: Option<&str>,
) -> Result<Vec<Row>, PromptError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    read(&path, prompt_key)
}

fn one(line: &Json) -> Row {
    read_as("p.jsonl", line.to_string()).unwrap().remove(0)
}

fn refusal(line: &Json) -> String {
    read_as("p.jsonl", line.to_string()).unwrap_err().to_string()
}

fn texts(rows: &[Row]) -> Vec<String> {
    let text = |row: &Row| match &row.prompt {
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
fn verls_parquet_gives_messages() {
    for name in ["verl-snappy.parquet", "verl-zstd.parquet"] {
        let rows = read(&fixture(name), None).unwrap();
        let messages: Vec<Json> = rows.iter().map(|row| row.prompt_text.clone().unwrap()).collect();
        assert_eq!(Json::from(messages), expected()["messages"], "{name}");
        assert!(rows.iter().all(|row| matches!(row.prompt, Prompt::Messages(_))), "{name}");
        assert_eq!((&rows[1].id, rows[1].place.as_str()), (&json!(1), "row 2"), "{name}");
    }
}

#[test]
fn one_list_of_questions_reads_alike_from_csv_text_and_json() {
    let expected = expected();
    let questions: Vec<&str> =
        expected["questions"].as_array().unwrap().iter().map(|q| q.as_str().unwrap()).collect();
    let csv = read(&fixture("questions.csv"), None).unwrap();
    assert_eq!(texts(&csv), questions);
    assert_eq!(csv[2].id, json!(2));
    assert_eq!(csv[2].place, "line 5"); // the question above has two lines
    let lines = read(&fixture("lines.txt"), None).unwrap();
    let flat: Vec<String> = questions.iter().map(|q| q.replace('\n', " ")).collect();
    assert_eq!(texts(&lines), flat);
    for (index, row) in read(&fixture("array.json"), None).unwrap().into_iter().enumerate() {
        let wanted = match index % 2 {
            0 => &expected["messages"][index],
            _ => &expected["questions"][index],
        };
        assert_eq!(row.prompt_text.as_ref(), Some(wanted));
    }
}

#[test]
fn verls_rollouts_bring_their_responses() {
    let rows = read(&fixture("verl-rollouts.jsonl"), None).unwrap();
    assert_eq!(rows[0].prompt, Prompt::Text("user\nWhat is 3 + 4?\nassistant\n".to_owned()));
    assert_eq!(rows[0].response, Some(Response::Text("The answer is 7.".to_owned())));
    assert_eq!(rows[0].response_text.as_deref(), Some("The answer is 7."));
}

#[test]
fn the_golden_rollouts_keep_token_ids_and_texts() {
    let path = fixture("../rollouts.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let rows = read(&path, None).unwrap();
    assert_eq!(rows.len(), text.lines().count());
    for (row, line) in rows.iter().zip(text.lines()) {
        let line: Json = serde_json::from_str(line).unwrap();
        let Some(Response::Tokens(ids)) = &row.response else {
            panic!("{} has no token ids", row.place);
        };
        assert_eq!(json!(ids), line["response_token_ids"]);
        assert_eq!(row.prompt_text, line.get("prompt").or(line.get("messages")).cloned());
    }
}

#[test]
fn a_text_has_a_prompt_on_each_line() {
    let rows = read_as("p.txt", "\u{feff}one\r\n\r\n \n\n{\"prompt\": 5}\nlast").unwrap();
    assert_eq!(texts(&rows), ["one", " ", "{\"prompt\": 5}", "last"]);
    let places: Vec<&str> = rows.iter().map(|row| row.place.as_str()).collect();
    assert_eq!(places, ["line 1", "line 3", "line 5", "line 6"]);
    assert_eq!(rows[3].id, json!(3));
    assert_eq!(rows[0].prompt_text, Some(json!("one")));
}

#[test]
fn the_content_tells_what_the_name_does_not() {
    assert_eq!(texts(&read_as("prompts", "a\nb\n").unwrap()), ["a", "b"]);
    assert_eq!(texts(&read_as("p.data", "\n {\"prompt\": \"a\"}\n").unwrap()), ["a"]);
    assert_eq!(texts(&read_as("p", "[\"a\", {\"prompt\": \"b\"}]").unwrap()), ["a", "b"]);
    let parquet = fs::read(fixture("verl-snappy.parquet")).unwrap();
    assert_eq!(read_as("prompts.bin", &parquet).unwrap().len(), 5);
    assert_eq!(texts(&read_as("P.TXT", "[x]").unwrap()), ["[x]"]);
}

#[test]
fn json_rows_stand_in_a_list_in_an_object_or_on_lines() {
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
fn one_row_is_not_taken_for_a_list_of_its_messages() {
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
fn pythons_nan_is_no_value() {
    let text = r#"{"prompt": "is NaN \"Infinity\"?", "response": NaN, "score": -Infinity}"#;
    let row = read_as("p.jsonl", text).unwrap().remove(0);
    assert_eq!(row.prompt, Prompt::Text("is NaN \"Infinity\"?".to_owned()));
    assert_eq!(row.response, None);
}

#[test]
fn a_row_keeps_what_it_says() {
    let messages = json!([{"content": "a", "role": "user", "name": null}]);
    let row = one(&json!({
        "id": "q-7", "messages": messages, "response": "", "finish_reason": "length", "score": 1.5,
    }));
    assert_eq!(
        row,
        Row {
            id: json!("q-7"),
            place: "line 1".to_owned(),
            prompt: Prompt::Messages(messages.as_array().unwrap().clone()),
            prompt_text: Some(messages),
            response: Some(Response::Text(String::new())),
            response_text: Some(String::new()),
            finish_reason: Some("length".to_owned()),
        }
    );
}

#[test]
fn token_ids_win_over_texts_which_are_kept() {
    let row = one(&json!({
        "prompt": "a", "prompt_token_ids": [1, 2], "response": "b", "response_token_ids": [],
    }));
    assert_eq!(row.prompt, Prompt::Tokens(vec![1, 2]));
    assert_eq!(row.prompt_text, Some(json!("a")));
    assert_eq!(row.response, Some(Response::Tokens(vec![])));
    assert_eq!(row.response_text.as_deref(), Some("b"));
    let row = one(&json!({"prompt_token_ids": [5], "response_token_ids": null}));
    assert_eq!((row.prompt, row.prompt_text, row.response), (Prompt::Tokens(vec![5]), None, None));
}

#[test]
fn a_key_without_a_value_is_no_key() {
    let row = one(&json!({"id": null, "prompt": null, "messages": [user("a")], "response": null}));
    assert_eq!(row.prompt, Prompt::Messages(vec![user("a")]));
    assert_eq!((row.id, row.response), (json!(0), None));
}

#[test]
fn the_prompt_key_says_where_the_prompt_is() {
    let rows = "{\"question\": \"a\", \"prompt\": \"b\", \"output\": \"c\"}";
    let row = read_key("p.jsonl", rows, Some("question")).unwrap().remove(0);
    assert_eq!((row.prompt, row.response), (Prompt::Text("a".to_owned()), None));
    let row =
        read_key("p.jsonl", rows.replace("question", "input"), Some("input")).unwrap().remove(0);
    assert_eq!(row.response, Some(Response::Text("c".to_owned())));
}

#[test]
fn a_row_without_a_prompt_names_its_keys_and_the_flag() {
    let error =
        read_as("p.jsonl", "\"a\"\n{\"answer\": \"7\", \"question\": \"3 + 4?\"}").unwrap_err();
    assert_eq!(error.to_string(), "line 2: it has no \"prompt\", only \"answer\", \"question\"");
    assert_eq!(error.hint().as_deref(), Some("try --prompt-key question"));

    let error = read_key("p.jsonl", "{\"prompt\": \"7\"}", Some("q")).unwrap_err();
    assert_eq!(error.to_string(), "line 1: it has no \"q\", only \"prompt\"");
    assert_eq!(
        error.hint().as_deref(),
        Some("--prompt-key KEY takes the prompts from another key")
    );

    // An instruction's `input` is not the prompt unless the row is a rollout.
    let error = read_as("p.json", "[{\"input\": \"\", \"label\": 1}]").unwrap_err();
    assert_eq!(error.to_string(), "row 1: it has no \"prompt\", only \"input\", \"label\"");
    assert_eq!(refusal(&json!({"prompt": null})), "line 1: \"prompt\" is null");
    assert_eq!(refusal(&json!({})), "line 1: it has no keys");
    let error = read_key("p.txt", "a", Some("q")).unwrap_err();
    assert_eq!(error.to_string(), "line 1: it is a text without keys, so there is no \"q\"");
}

#[test]
fn a_value_of_another_type_is_named_with_its_key() {
    for (row, why) in [
        (json!({"prompt": 5}), "\"prompt\" is a number, not a text or messages"),
        (json!({"prompt": []}), "\"prompt\" is an empty list"),
        (json!({"prompt": [1, 2]}), "\"prompt\" is a list of numbers, not of messages"),
        (json!({"prompt": user("a")}), "\"prompt\" is an object, not a text or messages"),
        (json!({"messages": ["a"]}), "\"messages\", message 1: it is a text, not an object"),
        (
            json!({"messages": [user("a"), {"content": "b"}]}),
            "\"messages\", message 2: it has no \"role\"",
        ),
        (
            json!({"messages": [{"role": 1}]}),
            "\"messages\", message 1: \"role\" is a number, not a text",
        ),
        (
            json!({"messages": [{"role": "user", "content": 7}]}),
            "\"messages\", message 1: \"content\" is a number, not a text or parts",
        ),
        (json!({"prompt": "a", "response": 7}), "\"response\" is a number, not a text"),
        (
            json!({"prompt": "a", "finish_reason": true}),
            "\"finish_reason\" is true or false, not a text",
        ),
        (
            json!({"prompt_token_ids": "1 2"}),
            "\"prompt_token_ids\" is a text, not a list of token ids",
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
        "line 2: it is a list, not an object or a text"
    );
}

#[test]
fn a_conversation_that_ends_with_its_reply_is_ambiguous() {
    let messages = json!([user("a"), {"role": "assistant", "content": "b"}]);
    let error = read_as("p.jsonl", json!({"messages": messages}).to_string()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: its last message is the assistant's and there is no \"response\""
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("move the reply from the messages to the key \"response\"")
    );
    let row = one(&json!({"messages": messages, "response": "c"}));
    assert_eq!(row.response, Some(Response::Text("c".to_owned())));
}

#[test]
fn broken_json_is_placed() {
    let place = |name, text| read_as(name, text).unwrap_err().to_string();
    assert_eq!(place("p.jsonl", "\"a\"\n{\"prompt\" 1}\n"), "line 2, column 11: expected `:`");
    assert_eq!(place("p.json", "[\n\"a\",\n{]\n"), "line 3, column 2: key must be a string");
    assert_eq!(place("p.json", "nope"), "line 1, column 2: expected ident");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(place("p.json", &deep), "line 1, column 128: recursion limit exceeded");
}

#[test]
fn what_is_not_text_is_placed() {
    let place = |name: &str, bytes: &[u8]| read_as(name, bytes).unwrap_err().to_string();
    assert_eq!(place("p.txt", b"a\nb\0"), "line 2: it has a NUL byte");
    assert_eq!(place("p.jsonl", b"\"a\"\n\n\"\xff\""), "line 3: it is not UTF-8");
    assert_eq!(place("p.csv", b"prompt\n\xe9"), "line 2: it is not UTF-8");
}

#[test]
fn a_file_without_prompts_is_refused() {
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
        assert_eq!(error.to_string(), "it holds no prompts", "{name} {text:?}");
    }
    assert!(matches!(read(Path::new("/no/such/file"), None), Err(PromptError::Io(_))));
}

#[test]
fn a_cell_holds_text_messages_or_token_ids() {
    let csv = "\u{feff}id, prompt ,response,prompt_token_ids,finish_reason\r\n\
               7,\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"a\"\"}]\",,,stop\r\n\
               007,\"[1] and, [2]\",b,\"[1, 2]\",\r\n";
    let rows = read_as("p.csv", csv).unwrap();
    assert_eq!(rows[0].prompt, Prompt::Messages(vec![user("a")]));
    assert_eq!(rows[0].prompt_text, Some(json!([user("a")])));
    assert_eq!((&rows[0].id, &rows[1].id), (&json!(7), &json!("007")));
    assert_eq!(rows[0].response, Some(Response::Text(String::new())));
    assert_eq!(rows[0].finish_reason.as_deref(), Some("stop"));
    assert_eq!(rows[1].prompt, Prompt::Tokens(vec![1, 2]));
    assert_eq!(rows[1].prompt_text, Some(json!("[1] and, [2]")));
    assert_eq!((rows[1].finish_reason.as_deref(), rows[1].place.as_str()), (None, "line 3"));
    assert_eq!(texts(&read_as("p.tsv", "a\tprompt\nx\ty,\"z\"\n").unwrap()), ["y,\"z\""]);
}

#[test]
fn a_table_with_uneven_rows_or_equal_columns_is_refused() {
    let refusal = |text| read_as("p.csv", text).unwrap_err().to_string();
    assert_eq!(refusal("prompt,a\nb\n"), "line 2: it has 1 cells where the header has 2");
    assert_eq!(
        refusal("prompt,prompt\na,b\n"),
        "line 1: column 2 is \"prompt\", as an earlier one is"
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
fn parquet_gives_token_ids_and_bytes_that_are_text() {
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
    assert_eq!(rows[0].response, Some(Response::Tokens(vec![3, 4])));
    assert_eq!(rows[1].response, None);
}

#[test]
fn a_parquet_file_without_a_prompt_names_its_columns() {
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
fn a_damaged_parquet_file_is_an_error_and_not_a_crash() {
    let error = read_as("p.parquet", "PAR1 and more").unwrap_err().to_string();
    assert!(error.starts_with("it is not a valid Parquet file: "), "{error}");
    let whole = fs::read(fixture("verl-snappy.parquet")).unwrap();
    assert!(whole.len() < 5000);
    for at in whole.len() / 2..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        let _ = read_as("p.parquet", &bytes); // any answer, but an answer
    }
    for end in (0..whole.len()).step_by(50) {
        assert!(read_as("p.parquet", &whole[..end]).is_err());
    }
}
