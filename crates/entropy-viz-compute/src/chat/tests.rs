use std::fs;

use super::*;

fn template(source: &str) -> Result<ChatTemplate, ChatError> {
    ChatTemplate::new("chat_template.jinja", source.to_owned(), Map::new())
}

fn rendered(source: &str, messages: Json) -> Result<String, ChatError> {
    template(source)?.render(messages.as_array().unwrap(), &[])
}

fn refusal(source: &str) -> String {
    rendered(source, json!([{"role": "user", "content": "Hi"}])).unwrap_err().to_string()
}

fn loaded(files: &[(&str, Json)]) -> Result<Option<ChatTemplate>, ChatError> {
    let directory = tempfile::tempdir().unwrap();
    for (file, content) in files {
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        fs::write(directory.path().join(file), text).unwrap();
    }
    ChatTemplate::load(directory.path())
}

/// What transformers renders or raises, by `make_golden.py` next to the fixtures.
#[test]
fn templates_render_as_in_transformers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/compute/chat.json");
    let cases: Vec<Json> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let source = case["template"].as_str().unwrap().to_owned();
        let tokens = case["tokens"].as_object().unwrap().clone();
        let args: Vec<(String, Json)> =
            case["args"].as_object().unwrap().clone().into_iter().collect();
        let messages = case["messages"].as_array().unwrap();
        let result = ChatTemplate::new("chat.json", source, tokens)
            .and_then(|template| template.render(messages, &args));
        let name = &case["name"];
        match (result, &case["expected_error"]) {
            (Ok(text), Json::Null) => assert_eq!(text, case["expected"], "{name}"),
            (Err(ChatError::Refused { message, .. }), expected) => {
                assert_eq!(message, *expected, "{name}");
            }
            // Python's own errors have other texts.
            (Err(error), expected) => assert!(expected.is_string(), "{name}: {error}"),
            (Ok(text), expected) => panic!("{name}: {text:?} instead of {expected}"),
        }
    }
}

/// What a loaded template renders.
fn render_loaded(found: Result<Option<ChatTemplate>, ChatError>) -> String {
    found.unwrap().unwrap().render(&[json!({"role": "user"})], &[]).unwrap()
}

#[test]
fn jinja_file_takes_precedence_over_configuration() {
    let config = json!({"chat_template": "config", "bos_token": "<s>"});
    let found = loaded(&[
        ("chat_template.jinja", json!("jinja{{ bos_token }}")),
        ("chat_template.json", json!({"chat_template": "json"})),
        ("tokenizer_config.json", config.clone()),
    ]);
    let found = found.unwrap().unwrap();
    assert_eq!(found.render(&[json!({"role": "user"})], &[]).unwrap(), "jinja<s>");

    let found = loaded(&[
        ("chat_template.json", json!({"chat_template": "json"})),
        ("tokenizer_config.json", config.clone()),
    ]);
    assert_eq!(render_loaded(found), "json");
    let found = loaded(&[("tokenizer_config.json", config)]);
    assert_eq!(render_loaded(found), "config");
}

#[test]
fn checkpoint_without_template_has_none() {
    assert!(loaded(&[]).unwrap().is_none());
    assert!(loaded(&[("tokenizer_config.json", json!({"eos_token": "</s>"}))]).unwrap().is_none());
    assert!(
        loaded(&[("tokenizer_config.json", json!({"chat_template": null}))]).unwrap().is_none()
    );
}

#[test]
fn selects_default_or_only_template() {
    let config = |names: &[&str]| {
        let list: Vec<Json> = names.iter().map(|n| json!({"name": n, "template": n})).collect();
        loaded(&[("tokenizer_config.json", json!({"chat_template": list}))])
    };
    assert_eq!(render_loaded(config(&["tool_use", "default"])), "default");
    assert_eq!(render_loaded(config(&["rag"])), "rag");
    assert_eq!(
        config(&["rag", "tool_use"]).unwrap_err().to_string(),
        "tokenizer_config.json: it has the chat templates \"rag\", \"tool_use\", but none is called \
         \"default\""
    );
}

#[test]
fn special_tokens_are_variables() {
    let source = "{{ bos_token }}{{ eos_token }}{{ image_token }}{{ pad_token is defined }}";
    let config = json!({
        "chat_template": source,
        "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": false},
        "eos_token": "</s>",
        "pad_token": null,
        "extra_special_tokens": {"image_token": "<image>"},
    });
    let map = json!({"eos_token": {"content": "<|end|>"}});
    let message = [json!({"role": "user", "content": ""})];
    let files = [("tokenizer_config.json", config.clone()), ("special_tokens_map.json", map)];
    let found = loaded(&files).unwrap().unwrap();
    assert_eq!(found.render(&message, &[]).unwrap(), "<s><|end|><image>False");

    let mut config = config;
    config["added_tokens_decoder"] = json!({});
    let files = [("tokenizer_config.json", config), files[1].clone()];
    let found = loaded(&files).unwrap().unwrap();
    assert_eq!(found.render(&message, &[]).unwrap(), "<s></s><image>False");
}

#[test]
fn errors_name_the_file() {
    let refusal = |file, text| loaded(&[(file, json!(text))]).unwrap_err().to_string();
    assert_eq!(
        refusal("tokenizer_config.json", "{\"a\": 1,\n]"),
        "tokenizer_config.json: key must be a string at line 2 column 1"
    );
    assert_eq!(
        refusal("tokenizer_config.json", "[]"),
        "tokenizer_config.json: it is not a JSON object"
    );
    assert_eq!(
        refusal("tokenizer_config.json", "{\"chat_template\": 5}"),
        "tokenizer_config.json: its \"chat_template\" is neither a string nor a list of named templates"
    );
    assert_eq!(
        refusal("chat_template.jinja", "a\n{% if %}"),
        "chat_template.jinja: line 2: syntax error: unexpected end of block"
    );
}

#[test]
fn arguments_take_precedence_over_defaults() {
    let source = "{{ bos_token }} {{ enable_thinking }} {{ add_generation_prompt }} {{ tools }}";
    let tokens = json!({"bos_token": "<s>"}).as_object().unwrap().clone();
    let template = ChatTemplate::new("t", source.to_owned(), tokens).unwrap();
    let message = [json!({"role": "user", "content": ""})];
    assert_eq!(template.render(&message, &[]).unwrap(), "<s>  True None");
    let args =
        ["enable_thinking=false", "bos_token=<b>", "add_generation_prompt=False", "tools=[1]"];
    let args: Vec<_> = args.iter().map(|arg| template_arg(arg).unwrap()).collect();
    assert_eq!(template.render(&message, &args).unwrap(), "<b> False False [1]");
}

#[test]
fn argument_is_json_python_constant_or_string() {
    let value = |text: &str| template_arg(text).unwrap().1;
    assert_eq!(value("a=false"), json!(false));
    assert_eq!(value("a=None"), Json::Null);
    assert_eq!(value("a=True"), json!(true));
    assert_eq!(value("a=5"), json!(5));
    assert_eq!(value("a=[1, \"b\"]"), json!([1, "b"]));
    assert_eq!(value("a=26 Jul 2024"), json!("26 Jul 2024"));
    assert_eq!(value("a=b=c"), json!("b=c"));
    assert_eq!(value("a="), json!(""));
    for bad in ["a", "=a", "", "a b=c", "1a=2"] {
        assert_eq!(template_arg(bad), Err(format!("{bad:?} is not KEY=VALUE")));
    }
}

#[test]
fn raise_exception_reports_message_of_template() {
    let source = "\n{% if true %}\n{{ raise_exception('Roles must alternate: ' ~ 1) }}{% endif %}";
    assert_eq!(
        refusal(source),
        "chat_template.jinja: line 3: the template raised \"Roles must alternate: 1\""
    );
    let long = refusal("{{ raise_exception('x' * 100000) }}");
    assert!(long.len() < 700 && long.ends_with("…\""), "{long}");
}

#[test]
fn errors_name_the_line() {
    assert_eq!(
        refusal("a\n{{ messages[0].name.first }}"),
        "chat_template.jinja: line 2: it uses an attribute of an undefined value"
    );
    assert_eq!(
        refusal("{{ 'a'.swap() }}"),
        "chat_template.jinja: line 1: unknown method: string has no method named swap"
    );
    assert_eq!(
        refusal("{{ 1 | wordcount }}"),
        "chat_template.jinja: line 1: unknown filter: filter wordcount is unknown"
    );
    assert_eq!(
        refusal("\n\n{{ messages | foo("),
        "chat_template.jinja: line 3: syntax error: unexpected end of input, expected expression"
    );
}

#[test]
fn template_beyond_limits_is_stopped() {
    let line = |why: &str| format!("chat_template.jinja: line 1: {why}");
    let steps = line("it takes more than 4000000 steps");
    assert_eq!(
        refusal("{% for i in range(1000000000) %}{% endfor %}"),
        line("range has too many elements")
    );
    for source in [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{{ f(n - 1) if n }}{{ f(n - 1) if n }}{% endmacro %}{{ f(40) }}",
        "{{ 'x' * 1000000000 }}",
        "{{ [1] * 90000000 }}",
        "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}\
         {{ n.x }}",
        "{{ range(10000) | list | tojson(separators=('x' * 1000000, '')) }}",
    ] {
        let refused = refusal(source);
        // On a machine with much other work, the limit of time comes first.
        assert!(
            refused == steps || refused.ends_with("it takes more than 10s"),
            "{source}: {refused}"
        );
    }
    assert_eq!(
        refusal("{% set x = 'x' * 1000000 %}{% for i in range(20) %}{{ x }}{% endfor %}"),
        "chat_template.jinja: it writes more than 16 MiB"
    );
    assert_eq!(
        refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        line("recursion limit exceeded")
    );
}

#[test]
fn unsupported_features_are_errors_that_name_them() {
    for (source, reason) in [
        ("{{ '{:>9}'.format(1) }}", "the method str.format is not supported"),
        ("{{ 'a\nb'.splitlines() }}", "the method str.splitlines is not supported"),
        ("{{ 'ab'.removeprefix('a') }}", "unknown method: string has no method named removeprefix"),
        ("{% raw %}{{{% endraw %}", "the tag raw is not supported"),
        ("{{ '\\a' }}", "the escape \"\\\\a\" in a string is not supported"),
        ("{{ 1e20 }}", "writing the number 1e20 is not supported"),
        ("{{ [1e-5] | tojson }}", "writing the number 1e-5 is not supported"),
        (r"{{ ['\u200b'] }}", "writing invisible characters in a list is not supported"),
        ("{{ x | default(boolean=true) }}", "too many arguments: unexpected keyword arguments"),
        (
            "{{ 'a\x1c'.strip() }}",
            "whitespace around the characters U+001C to U+001F is not supported",
        ),
    ] {
        assert_eq!(refusal(source), format!("chat_template.jinja: line 1: {reason}"), "{source}");
    }
    assert!(refusal("{{ '%99999999.9999999999g' | format(1.5) }}").contains("line 1: "));
    assert!(refusal("{{ '%s' % messages }}").contains("line 1: "));
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = |last: &str| {
        format!(
            "{{% set n = namespace(x=[]) %}}{{% for i in range(40) %}}{{% for i in range(10000) %}}\
             {{% set n.x = [n.x] %}}{{% endfor %}}{{% endfor %}}{last}"
        )
    };
    assert!(refusal(&deep("{{ n.x }}")).ends_with("a value is nested more than 400 levels deep"));
    assert!(
        refusal(&deep("{{ n.x | tojson }}"))
            .ends_with("a value is nested more than 400 levels deep")
    );
    assert!(refusal(&deep("{{ (n.x ~ '') | length }}")).ends_with("levels deep"));
    let messages = || json!([{"role": "user"}]);
    let elses = format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(40_000));
    assert_eq!(rendered(&elses, messages()).unwrap(), "");
    let signs = format!("{{{{ {}1 }}}}", "-".repeat(16_000));
    assert_eq!(rendered(&signs, messages()).unwrap(), "1");
}

#[test]
fn namespace_that_contains_itself_is_an_error() {
    let reason = "chat_template.jinja: line 2: storing a namespace in a namespace is not supported: it could contain \
                  itself";
    let set = "{% set n = namespace(a=1) %}\n";
    for store in [
        "{% set n.n = n %}",
        "{%- set n.n=n -%}",
        "{%+ set n.n = [1, {'a': (n, 2)}] +%}",
        "{% set a, n.n = 1, n %}",
        "{% set (n.n) = n if true %}",
        "{% set n.n = {'n': n}.items() | list %}",
        "{% set n.n = '=' and [n] | map('upper') and n %}",
    ] {
        for used in
            ["{{ n ~ '' }}", "{{ n == n.n }}", "{{ n }}", "{{ {n: 1} }}", "{{ n | tojson }}"]
        {
            assert_eq!(refusal(&format!("{set}{store}{used}")), reason, "{store}{used}");
        }
    }
    // By jinja2 3.1.6.
    for (store, text) in [
        ("{% set n.b = n.a + 1 %}{{ n.b }}", "2"),
        ("{%- set n.b = 1, 2 -%} {{ n.b }}", "(1, 2)"),
        ("{% set n.b = 'x' if n.a == 1 else 'y' %}{{ n.b }}", "x"),
        ("{% set n.b = 'x' if n.a == 2 %}[{{ n.b }}]", "[]"),
        ("{% set n.b %}a=b{% endset %}{{ n.b }}", "a=b"),
        ("{% set m = namespace(n=n) %}{{ m.n.a }}", "1"),
        ("{% set m = n.a == 1 %}{{ m }}", "True"),
        ("{% set n.b = 5 -%}  {{ n.b }}", "5"),
        ("{% set n.b = 5 - 2 %}{{ n.b }}", "3"),
        ("{% set setting = 2 %}{{ setting }}", "2"),
    ] {
        let message = json!([{"role": "user"}]);
        let whole = format!("{set}{store}").replace('\n', "");
        assert_eq!(rendered(&whole, message).unwrap(), text, "{store}");
    }
}

#[test]
fn strftime_now_formats_like_python() {
    let message = json!([{"role": "user", "content": ""}]);
    let date = rendered("{{ strftime_now('%d %b %Y') }}", message).unwrap();
    assert!(date.len() == 11 && date.as_bytes()[2] == b' ', "{date}");
    assert_eq!(
        refusal("{{ strftime_now('%Q') }}"),
        "chat_template.jinja: line 1: strftime_now does not support \"%Q\""
    );
}

#[test]
fn rejects_empty_list_of_messages() {
    assert_eq!(
        template("x").unwrap().render(&[], &[]).unwrap_err().to_string(),
        "chat_template.jinja: there are no messages"
    );
}

/// By jinja2 3.1.6: `Template(text.strip()).render(content="1 < 2")`.
#[test]
fn prompt_template_renders_as_in_easyr1() {
    let text =
        "\n{{ content | trim }}\n{% if true %}\n  Think.\n{% endif %}\nPut it in \\boxed{}.\n\n";
    let template = PromptTemplate::new("math.jinja", text.to_owned()).unwrap();
    assert_eq!(template.render("1 < 2").unwrap(), "1 < 2\n\n  Think.\n\nPut it in \\boxed{}.");
    assert_eq!(template.source(), text);
    assert_eq!(
        PromptTemplate::new("math.jinja", "{{ content".to_owned()).unwrap_err().to_string(),
        "math.jinja: line 1: syntax error: unexpected end of input, expected end of variable block"
    );
}
