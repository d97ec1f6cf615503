//! The recipes of the help and the documents that stop a training, as they are written: only a state of `--exit-on`
//! may stop it, not an error of `watch` or an interrupt.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{root, run, stdout};
use crate::watch::{PROGRAM, TIMEOUT, append, row};

/// Commands that stop a training.
const STOPS: [&str; 2] = ["kill ", "scancel "];

/// How `watch` ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Collapse,
    Error,
    Interrupt,
}

fn stops(text: &str) -> bool {
    text.contains("--exit-on") && STOPS.iter().any(|stop| text.contains(stop))
}

/// The recipes in a text: single lines, or whole blocks whose `--exit-on` and `kill` are on different lines.
fn recipes(text: &str) -> Vec<String> {
    let lines: Vec<String> =
        text.lines().filter(|line| stops(line)).map(|line| line.trim().to_owned()).collect();
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let scripts =
        blocks.map(|(_, block)| block).filter(|block| stops(block) && !block.lines().any(stops));
    lines.into_iter().chain(scripts.map(str::to_owned)).collect()
}

fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents(&path, found);
        } else if path
            .extension()
            .is_none_or(|e| ["md", "sh", "sbatch", "py", "rs"].iter().any(|x| e == *x))
        {
            found.push(path);
        }
    }
}

/// Each recipe with the name of its source.
fn all_recipes() -> Vec<(String, String)> {
    let help = stdout(&run(&root(), &["watch", "--help"]));
    let mut texts = vec![("--help".to_owned(), help)];
    let mut paths: Vec<PathBuf> = ["README.md", "README.zh-CN.md"].map(|n| root().join(n)).into();
    documents(&root().join("docs"), &mut paths);
    documents(&root().join("examples"), &mut paths);
    for path in paths {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        texts.push((name, fs::read_to_string(&path).unwrap()));
    }
    let named = |(name, text): (String, String)| {
        recipes(&text).into_iter().map(|recipe| (name.clone(), recipe)).collect::<Vec<_>>()
    };
    texts.into_iter().flat_map(named).collect()
}

fn write_program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn kill(signal: &str, pid: &str) {
    Command::new("kill").args([signal, pid.trim()]).stderr(Stdio::null()).status().unwrap();
}

/// Kills the trainer and `watch` when a test fails.
struct Job<'t> {
    tmp: &'t Path,
    bash: Child,
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        let _ = self.bash.kill(); // an error means that it has ended
        let _ = self.bash.wait();
        for file in ["trainer.pid", "watch.pid"] {
            let pid = read(&self.tmp.join(file));
            if !pid.is_empty() {
                kill("-KILL", &pid);
            }
        }
    }
}

/// Runs a recipe in a job script with a trainer that sleeps. Returns the exit codes of `watch` and of the trainer.
fn run_recipe(recipe: &str, shell: &[&str], end: End) -> (String, String) {
    let tmp = tempfile::tempdir().unwrap();
    let (tmp, bin) = (tmp.path(), tmp.path().join("bin"));
    write_program(&bin.join("python"), "#!/bin/sh\necho $$ > trainer.pid\nexec sleep 1000\n");
    write_program(&bin.join("scancel"), "#!/bin/sh\nkill \"$@\"\n");
    let watch = format!(
        "#!/bin/bash\n'{PROGRAM}' \"$@\" --interval 50ms &\necho $! > watch.pid\nwait $!\ncode=$?\n\
         echo $code > watch.code\nexit $code\n"
    );
    write_program(&bin.join("entropy-viz"), &watch);
    for log in ["runs/solver.jsonl", "wandb/metrics.jsonl"] {
        let last = if end == End::Collapse { 0.1 } else { 2.0 };
        let rows = (1..=90).map(|step| row(step, if step > 60 { last } else { 2.0 }));
        append(&tmp.join(log), &rows.collect::<String>());
    }
    let mut command = Command::new("bash");
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    command.env_remove("ENTROPY_VIZ_NOTIFY");
    if end == End::Error {
        if recipe.contains("solver.jsonl") {
            fs::write(tmp.join("runs/solver.jsonl"), "no log\0\n").unwrap();
        } else {
            // `watch` waits for logs in a directory; a wrong setting is an error at once.
            command.env("ENTROPY_VIZ_NOTIFY", "no URL");
        }
    }
    let start = match recipe.contains("train.py") {
        true => "",
        false => "python train.py & TRAINER=$! SLURM_JOB_ID=$!",
    };
    let after = "trap 'c=0; wait \"${trainer:-$TRAINER}\" || c=$?; echo $c > trainer.code' EXIT";
    let script = format!("{after}\n{start}\n{recipe}\n");
    let out = fs::File::create(tmp.join("out")).unwrap();
    command.args(shell).args(["-c", &script]).current_dir(tmp).stdin(Stdio::null()).stdout(out);
    let mut job = Job { tmp, bash: command.stderr(Stdio::null()).spawn().unwrap() };

    let file = |name: &str| read(&tmp.join(name));
    if end == End::Interrupt {
        wait_for("watching", || file("out").contains("healthy"));
        kill("-INT", &file("watch.pid"));
    }
    wait_for("the end of watch", || file("watch.code").ends_with('\n'));
    if end != End::Collapse {
        std::thread::sleep(Duration::from_millis(500)); // for a recipe that kills by mistake
        kill("-KILL", &file("trainer.pid"));
    }
    wait_for("the end of the trainer", || file("trainer.code").ends_with('\n'));
    job.bash.wait().unwrap();
    (file("watch.code").trim().to_owned(), file("trainer.code").trim().to_owned())
}

#[test]
fn recipes_stop_the_training_only_for_a_state() {
    let recipes = all_recipes();
    let sources: Vec<&str> = recipes.iter().map(|(source, _)| source.as_str()).collect();
    let documents = ["README.md", "README.zh-CN.md", "docs/watching.md"];
    assert_eq!(sources, [&["--help"][..], &documents.map(|name| [name; 2]).concat()].concat());
    // 143 is the trainer that the recipe stopped, 137 the one that the test stopped.
    let cases =
        [(End::Collapse, "1", "143"), (End::Error, "2", "137"), (End::Interrupt, "130", "137")];
    for (source, recipe) in &recipes {
        for shell in [&[][..], &["-e"]] {
            for (end, watch, trainer) in cases {
                let codes = run_recipe(recipe, shell, end);
                let expected = (watch.to_owned(), trainer.to_owned());
                assert_eq!(codes, expected, "{source}, bash {shell:?}, {end:?}:\n{recipe}");
            }
        }
    }
}
