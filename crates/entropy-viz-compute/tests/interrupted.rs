//! Runs that are killed, interrupted or out of disk space: finished checkpoints are kept with all of their rows, and a
//! second run ends with the same bytes as one that was left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::common::{fixture, stderr};
use crate::compute::*;
use entropy_shell::lock::is_temporary;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A run of three checkpoints, with responses to score and to sample, and its flags.
struct Case {
    tmp: TempDir,
    tokens: &'static str,
}

impl Case {
    fn new(tokens: &'static str) -> Case {
        let tmp = temp_dir();
        run_directory(&tmp);
        let mut rows = fs::read_to_string(rollouts()).unwrap();
        for prompt in ["2+2?", "Name a prime."] {
            rows += &format!("{}\n", json!({"prompt": prompt}));
        }
        fs::write(tmp.path().join("prompts.jsonl"), rows).unwrap();
        Case { tmp, tokens }
    }

    fn arguments(&self) -> Vec<&str> {
        let given = ["--model", "models/tiny_v1", "--prompts", "prompts.jsonl", "-o", "h.json"];
        let more = ["--save-rollouts", "r.jsonl", "--max-new-tokens", "5", "--tokens-out"];
        [&given[..], &more, &[self.tokens]].concat()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    fn start(&self, more: &[&str]) -> Child {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("entropy-viz-compute"));
        command.args(["--device", "cpu"]).args(self.arguments()).args(more);
        command.current_dir(self.tmp.path());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs without earlier outputs, sends the signal as soon as the condition holds, and returns the exit code and the
    /// steps in the history.
    fn stop_when(&self, signal: &str, condition: &dyn Fn() -> bool) -> (Option<i32>, Vec<u64>) {
        self.stop_after(&|| self.remove_outputs(), &[], signal, condition)
    }

    /// Like [`Case::stop_when`], with other preparations and more arguments. A run that finished before the signal is
    /// repeated.
    fn stop_after(
        &self,
        prepare: &dyn Fn(),
        more: &[&str],
        signal: &str,
        condition: &dyn Fn() -> bool,
    ) -> (Option<i32>, Vec<u64>) {
        for _ in 0..100 {
            prepare();
            let mut child = self.start(more);
            wait_for(&mut child, condition);
            let id = child.id().to_string();
            // The process may have ended, but its number stays in use until `wait`.
            assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
            let code = child.wait().unwrap().code();
            self.age_temporary_files();
            let steps = self.steps();
            if steps.len() < 3 {
                return (code, steps);
            }
        }
        panic!("each of 100 runs finished before the signal");
    }

    /// The bytes of all outputs.
    fn outputs(&self) -> Vec<Vec<u8>> {
        ["h.json", self.tokens, "r.jsonl"].map(|name| fs::read(self.at(name)).unwrap()).to_vec()
    }

    fn remove_outputs(&self) {
        for name in ["h.json", self.tokens, "r.jsonl"] {
            let _ = fs::remove_file(self.at(name));
        }
    }

    /// The steps in the history.
    fn steps(&self) -> Vec<u64> {
        match fs::read(self.at("h.json")) {
            Ok(bytes) => {
                let rows: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
                rows.iter().map(|row| row["step"].as_u64().unwrap()).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    /// The names of the parts of an output.
    fn parts(&self, output: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at(&format!("{output}.parts"))) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Makes the temporary files of a killed process an hour old: young ones may belong to a running process and stay.
    fn age_temporary_files(&self) {
        for entry in fs::read_dir(self.tmp.path()).unwrap() {
            let entry = entry.unwrap();
            if is_temporary(&entry.file_name().to_string_lossy()) {
                let file = fs::File::options().append(true).open(entry.path()).unwrap();
                file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
            }
        }
    }

    /// Asserts that nothing but the outputs is left.
    fn assert_tidy(&self) {
        let mut left: Vec<String> = fs::read_dir(self.tmp.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        left.sort();
        assert_eq!(left, ["h.json", "models", "prompts.jsonl", "r.jsonl", self.tokens]);
    }
}

/// Waits until a condition holds, or the process has ended.
fn wait_for(child: &mut Child, condition: &dyn Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !condition() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "nothing happens");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn killed_run_continues_after_its_finished_steps() {
    for tokens in ["t.jsonl", "t.parquet"] {
        let case = Case::new(tokens);
        compute_ok(case.tmp.path(), &case.arguments());
        case.assert_tidy();
        let whole = case.outputs();
        let part_of_80 = || case.parts(tokens).iter().any(|name| name.starts_with("80-"));
        let moments: [(&str, &dyn Fn() -> bool); 4] = [
            ("the first part", &|| !case.parts(tokens).is_empty()),
            ("the first row", &|| case.steps().len() == 1),
            ("the second part", &part_of_80),
            ("the second row", &|| case.steps().len() == 2),
        ];
        for (moment, condition) in moments {
            let (code, finished) = case.stop_when("KILL", condition);
            assert_eq!(code, None, "{moment}: it ended by itself");
            for output in [tokens, "r.jsonl"] {
                let parts = case.parts(output);
                for step in &finished {
                    let is_part = |name: &String| name.starts_with(&format!("{step}-"));
                    assert!(parts.iter().any(is_part), "{moment}: {output} has {parts:?}");
                }
            }
            let output = compute_ok(case.tmp.path(), &case.arguments());
            let kept = stderr(&output).matches("already in").count();
            assert_eq!(kept, finished.len(), "{moment}: {}", stderr(&output));
            assert!(case.outputs() == whole, "{moment}: {tokens} or another file differs");
            case.assert_tidy();
        }
    }
}

#[test]
fn interrupted_run_assembles_its_outputs() {
    let case = Case::new("t.jsonl");
    compute_ok(case.tmp.path(), &case.arguments());
    let whole = case.outputs();
    for signal in ["TERM", "INT"] {
        let (code, finished) = case.stop_when(signal, &|| case.steps().len() == 1);
        assert_eq!(code, Some(130));
        case.assert_tidy();
        let mut steps: Vec<u64> =
            lines(&case.at("t.jsonl")).iter().map(|row| row["step"].as_u64().unwrap()).collect();
        steps.dedup();
        assert_eq!(steps, finished);
        compute_ok(case.tmp.path(), &case.arguments());
        assert!(case.outputs() == whole);
    }
}

#[test]
fn rows_are_self_describing() {
    let case = Case::new("t.jsonl");
    compute_ok(case.tmp.path(), &case.arguments());
    let history = read(&case.at("h.json"));
    let settings = |step: &Value| {
        history.as_array().unwrap().iter().find(|row| row["step"] == *step).unwrap()["settings"]
            .clone()
    };
    for name in ["t.jsonl", "r.jsonl"] {
        for row in lines(&case.at(name)) {
            assert_eq!(row["settings"], settings(&row["step"]), "{name}");
        }
    }
    // Saved rollouts and token files can be scored.
    for (given, step) in [("r.jsonl", "1"), ("t.jsonl", "2")] {
        let path = model("qwen3");
        let again = ["--model", text(&path), "--prompts", given, "-o", "again.json"];
        compute_ok(case.tmp.path(), &[&again[..], &["--step", step, "--overwrite"]].concat());
    }
}

#[test]
fn part_without_a_row_is_computed_again() {
    let case = Case::new("t.jsonl");
    compute_ok(case.tmp.path(), &case.arguments());
    let whole = case.outputs();
    // As if it was killed between the part of step 80 and its row.
    let mut rows: Vec<Value> = serde_json::from_slice(&whole[0]).unwrap();
    let settings = rows[1]["settings"].as_str().unwrap().to_owned();
    rows.truncate(1);
    fs::write(case.at("h.json"), serde_json::to_vec_pretty(&rows).unwrap()).unwrap();
    for output in ["t.jsonl", "r.jsonl"] {
        let (of_40, others): (Vec<String>, Vec<String>) = fs::read_to_string(case.at(output))
            .unwrap()
            .lines()
            .map(|line| format!("{line}\n"))
            .partition(|line| line.contains("\"step\":40"));
        fs::write(case.at(output), of_40.concat()).unwrap();
        let parts = case.at(&format!("{output}.parts"));
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join(format!("80-{settings}.jsonl")), &others[0]).unwrap();
        fs::write(parts.join(".entropy-viz-elsewhere-Ab12Cd"), "{").unwrap();
    }
    let output = compute_ok(case.tmp.path(), &case.arguments());
    assert_eq!(stderr(&output).matches("already in").count(), 1, "{}", stderr(&output));
    assert!(case.outputs() == whole);
    case.assert_tidy();
}

#[test]
fn rows_of_other_settings_are_never_mixed_in() {
    for tokens in ["t.jsonl", "t.parquet"] {
        let case = Case::new(tokens);
        let arguments = [&case.arguments()[..], &["--steps", "40:40"]].concat();
        compute_ok(case.tmp.path(), &arguments);
        let first = case.outputs();
        // Other flags with another history: neither the rows nor parts of a killed process are dropped.
        let other = ["--temperature", "0.5", "--overwrite", "--steps", "40:40"];
        let other = [&case.arguments()[..], &other].concat();
        let at = other.iter().position(|word| *word == "h.json").unwrap();
        let mut elsewhere = other.clone();
        elsewhere[at] = "other.json";
        elsewhere.retain(|word| *word != "--overwrite");
        let words = ["cannot add to", "other prompts or flags", "--overwrite"];
        assert_rejected(case.tmp.path(), &elsewhere, &words);
        assert!(case.outputs() == first);
        let parts = case.at(&format!("{tokens}.parts"));
        fs::create_dir(&parts).unwrap();
        let extension = tokens.split_once('.').unwrap().1;
        let part = parts.join(format!("40-{}-{}.{extension}", "a".repeat(16), "b".repeat(16)));
        fs::rename(case.at(tokens), &part).unwrap();
        fs::remove_file(case.at("r.jsonl")).unwrap();
        assert_rejected(case.tmp.path(), &arguments, &[tokens, "other prompts or flags"]);
        assert!(part.exists());
        // With --overwrite they go, and say so.
        let said = stderr(&compute_ok(case.tmp.path(), &other));
        assert!(said.contains("replacing all of its rows"), "{said}");
        let row = &read(&case.at("h.json"))[0];
        assert!(!parts.exists());
        let second = case.outputs();
        assert!(second[1] != first[1]);
        // The model of step 40 changes: its rows are not those of the step any more.
        copy(&model("qwen2"), &case.at("models/tiny_v1/global_step_40/actor/huggingface"));
        fs::remove_file(case.at("h.json")).unwrap();
        let mut changed = other.clone();
        changed.retain(|word| *word != "--overwrite");
        assert_rejected(case.tmp.path(), &changed, &["step 40", "other model files"]);
        compute_ok(case.tmp.path(), &other);
        assert_ne!(read(&case.at("h.json"))[0]["settings"], row["settings"]);
        assert!(case.outputs()[1] != second[1]);
    }
}

#[test]
fn overwritten_rows_are_gone_once_the_first_step_is_done() {
    let case = Case::new("t.jsonl");
    compute_ok(case.tmp.path(), &case.arguments());
    let old = case.outputs();
    let restore = || {
        for (name, bytes) in ["h.json", "t.jsonl", "r.jsonl"].iter().zip(&old) {
            fs::write(case.at(name), bytes).unwrap();
        }
    };
    fs::write(case.at("prompts.jsonl"), "{\"prompt\": \"1+1?\"}\n").unwrap();
    case.stop_after(&restore, &["--overwrite"], "KILL", &|| case.steps() == [40]);
    assert!(!case.at("t.jsonl").exists());
    let said = stderr(&compute_ok(case.tmp.path(), &case.arguments()));
    assert!(said.contains("step 40: already in"), "{said}");
    let resumed = case.outputs();
    assert_eq!(lines(&case.at("t.jsonl")).len(), 3);
    case.remove_outputs();
    compute_ok(case.tmp.path(), &case.arguments());
    assert!(case.outputs() == resumed);
}

#[test]
fn lines_of_other_programs_and_earlier_versions() {
    let case = Case::new("t.jsonl");
    let rest = ["--steps", "80:80"];
    for (line, why) in [
        ("{\"note\": \"mine\"}", "line 1 was not written by compute"),
        ("not JSON", "line 1 was not written by compute"),
        ("{\"step\": 7, \"loss\": 1.5}", "line 1 was not written by compute"),
        ("{\"step\": 40, \"response_token_ids\": [1]}", "step 40 are of an earlier version"),
    ] {
        fs::write(case.at("t.jsonl"), format!("{line}\n")).unwrap();
        let arguments = [&case.arguments()[..], &rest].concat();
        assert_rejected(case.tmp.path(), &arguments, &["cannot add to t.jsonl", why]);
        assert_eq!(fs::read_to_string(case.at("t.jsonl")).unwrap(), format!("{line}\n"));
    }
    // Lines of a step that is computed anyway are replaced by those with settings.
    compute_ok(case.tmp.path(), &[&case.arguments()[..], &["--steps", "40:40"]].concat());
    let rows = lines(&case.at("t.jsonl"));
    assert!(rows.iter().all(|row| row["settings"].is_string()));
    // A lost end of the last line is completed.
    let text = fs::read_to_string(case.at("t.jsonl")).unwrap();
    fs::write(case.at("t.jsonl"), text.trim_end()).unwrap();
    compute_ok(case.tmp.path(), &case.arguments());
    assert!(fs::read_to_string(case.at("t.jsonl")).unwrap().starts_with(&text));
    // A table of other columns stays too.
    let case = Case { tokens: "t.parquet", ..case };
    for (table, why) in [
        (fs::read(fixture("tokens/run.parquet")).unwrap(), "its columns are not those"),
        (b"PAR1 and no table PAR1".to_vec(), "it is no table"),
    ] {
        fs::write(case.at("t.parquet"), &table).unwrap();
        assert_rejected(case.tmp.path(), &case.arguments(), &["cannot add to t.parquet", why]);
        assert_eq!(fs::read(case.at("t.parquet")).unwrap(), table);
    }
}

#[test]
fn devices_and_pipes_get_the_rows_of_every_step() {
    let case = Case::new("/dev/stdout");
    let output = compute_ok(case.tmp.path(), &case.arguments());
    let said = String::from_utf8(output.stdout).unwrap();
    let rows = said.lines().filter(|line| line.starts_with("{\"step\":")).count();
    assert_eq!(rows, 3 * 14, "{said}");
    let case = Case { tokens: "/dev/null", ..case };
    compute_ok(case.tmp.path(), &case.arguments());
    let case = Case { tokens: "pipe.parquet", ..case };
    let pipe = case.at("pipe.parquet");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn(move || {
        // A reader of a table needs all of it.
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"PAR1") || bytes.len() < 100 {
            bytes.extend(fs::read(&pipe).unwrap());
        }
        bytes
    });
    compute_ok(case.tmp.path(), &case.arguments());
    assert!(reader.join().unwrap().starts_with(b"PAR1"));
}

#[test]
#[cfg(target_os = "linux")]
fn full_disk_keeps_finished_steps_and_names_the_file() {
    let case = Case::new("t.jsonl");
    compute_ok(case.tmp.path(), &case.arguments());
    let whole = case.outputs();
    case.remove_outputs();
    compute_ok(case.tmp.path(), &[&case.arguments()[..], &["--steps", ":80"]].concat());
    // Files are limited to the size of two steps: the part of the third fits, but not the assembled file.
    let program = assert_cmd::cargo::cargo_bin("entropy-viz-compute");
    let limited = |blocks: u64| {
        let mut command = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        command.args(["-c", &script, "bash", text(&program), "--device", "cpu"]);
        command.args(case.arguments()).current_dir(case.tmp.path());
        command.output().unwrap()
    };
    let kib = |path: &Path| fs::metadata(path).unwrap().len() / 1024;
    let output = limited(kib(&case.at("t.jsonl")));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write t.jsonl: "), "{said}");
    assert!(said.contains("the rows are kept in") && said.contains("t.jsonl.parts"), "{said}");
    assert_eq!((case.steps(), case.parts("t.jsonl").len()), (vec![40, 80, 120], 1));
    compute_ok(case.tmp.path(), &case.arguments());
    assert!(case.outputs() == whole);
    // Not even the part fits.
    case.remove_outputs();
    let output = limited(1);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("t.jsonl.parts/40-") && said.contains("run the command again"), "{said}");
    assert_eq!(case.steps(), [0; 0]);
    compute_ok(case.tmp.path(), &case.arguments());
    assert!(case.outputs() == whole);
}

#[test]
fn rollouts_that_never_exist_are_not_waited_for() {
    let case = Case::new("t.jsonl");
    fs::copy(rollouts(), case.at("prompts.jsonl")).unwrap();
    for already in [0, 1] {
        let flags = [&case.arguments()[..], &["--steps", "40:40"]].concat();
        let said = stderr(&compute_ok(case.tmp.path(), &flags));
        assert_eq!(said.matches("already in").count(), already, "{said}");
        assert!(said.contains("r.jsonl is not written: nothing was sampled"), "{said}");
    }
    assert!(!case.at("r.jsonl.parts").exists());
}

#[test]
fn names_of_one_file_are_not_two_outputs() {
    let case = Case::new("t.jsonl");
    std::os::unix::fs::symlink("r.jsonl", case.at("t.jsonl")).unwrap();
    assert_rejected(case.tmp.path(), &case.arguments(), &["given for two different files"]);
}

#[test]
fn outputs_behind_links_are_resumed() {
    let case = Case::new("t.jsonl");
    fs::create_dir(case.at("there")).unwrap();
    std::os::unix::fs::symlink("there/new.jsonl", case.at("t.jsonl")).unwrap();
    compute_ok(case.tmp.path(), &[&case.arguments()[..], &["--steps", "40:40"]].concat());
    compute_ok(case.tmp.path(), &case.arguments());
    assert_eq!(fs::read_link(case.at("t.jsonl")).unwrap(), Path::new("there/new.jsonl"));
    assert_eq!(lines(&case.at("there/new.jsonl")).len(), 3 * 14);
    assert_eq!(fs::read_dir(case.at("there")).unwrap().count(), 1);
}
