//! Output files when several processes run, or one was killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::common::{files, stderr};
use crate::compute::{compute, compute_ok, model, read, temp_dir, text};
use serde_json::json;

/// Starts a computation that takes minutes, and waits until it has opened its outputs.
fn start_slow(directory: &Path, history: &str, tokens: &str) -> Child {
    fs::write(directory.join("slow.jsonl"), json!({"prompt": "hello"}).to_string()).unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("entropy-viz-compute"));
    command.args(["--device", "cpu", "--threads", "1", "--model", text(&model("qwen3"))]);
    command.args(["--prompts", "slow.jsonl", "--samples", "4000", "--max-new-tokens", "100"]);
    command.args(["-o", history, "--tokens-out", tokens, "--step", "1"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).current_dir(directory);
    let child = command.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    // The outputs are locked in this order; the last lock is taken after the others.
    while !files(directory).contains(&format!(".{tokens}.lock")) {
        assert!(Instant::now() < until, "the helper does not begin: {:?}", files(directory));
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn second_process_on_a_history_names_the_first() {
    let tmp = temp_dir();
    fs::write(tmp.path().join("p.jsonl"), json!({"prompt": "a", "response": "b"}).to_string())
        .unwrap();
    let path = model("qwen3");
    let arguments = ["--model", text(&path), "--prompts", "p.jsonl", "--step", "2"];
    let running = start_slow(tmp.path(), "h.json", "t.jsonl");
    for (outputs, file) in [
        (&["-o", "h.json"][..], "h.json"),
        (&["-o", "./h.json", "--overwrite"], "h.json"),
        (&["-o", "i.json", "--tokens-out", "t.jsonl"], "t.jsonl"),
    ] {
        let output = compute(tmp.path(), &[&arguments[..], outputs].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{outputs:?}: {said}");
        let words = format!("{file}: process {} on ", running.id());
        assert!(said.contains("cannot write") && said.contains(&words), "{outputs:?}: {said}");
        assert!(said.contains(&format!(".{file}.lock")), "{outputs:?}: {said}");
    }
    // Other files are free, and so are these when the process was killed.
    compute_ok(tmp.path(), &[&arguments[..], &["-o", "i.json"]].concat());
    kill(running);
    compute_ok(tmp.path(), &[&arguments[..], &["-o", "h.json"]].concat());
    assert_eq!(read(&tmp.path().join("h.json")).as_array().unwrap().len(), 1);
    let left: Vec<_> =
        files(tmp.path()).into_iter().filter(|name| name.ends_with(".lock")).collect();
    assert_eq!(left, [".t.jsonl.lock"]);
}

#[test]
#[cfg(target_os = "linux")] // the name of the machine
fn temporary_files_of_a_killed_process_are_removed() {
    let tmp = temp_dir();
    // A process of this machine that was killed while it wrote one file left it under such a name.
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let left = tmp.path().join(format!(".entropy-viz-{}-Ab12Cd", machine.trim()));
    fs::write(&left, "[").unwrap();
    let file = fs::File::options().write(true).open(&left).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    // One of another machine is only named.
    fs::write(tmp.path().join(".entropy-viz-elsewhere-Ab12Cd"), "").unwrap();
    fs::write(tmp.path().join("p.jsonl"), json!({"prompt": "a", "response": "b"}).to_string())
        .unwrap();
    let path = model("qwen3");
    let arguments = ["--model", text(&path), "--prompts", "p.jsonl", "--step", "2", "-o", "h.json"];
    let said = stderr(&compute_ok(tmp.path(), &arguments));
    assert!(said.contains("removed 1 temporary file of killed processes"), "{said}");
    assert!(said.contains("1 temporary file of another machine or version"), "{said}");
    let temporary = files(tmp.path()).into_iter().filter(|name| name.starts_with(".entropy-viz-"));
    assert_eq!(temporary.collect::<Vec<_>>(), [".entropy-viz-elsewhere-Ab12Cd"]);
}
