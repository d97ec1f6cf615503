//! The commands of README.md and README.zh-CN.md run as they are written. `make test` runs those of `compute` too, with the
//! helper.

use std::process::Command;

use crate::common::root;

#[test]
#[allow(clippy::print_stdout)] // shown with --nocapture: what was not run, and why
fn commands_of_both_readmes_run_as_written() {
    let mut command = Command::new("python3");
    command.arg(root().join("tests/readme.py")).arg(env!("CARGO_BIN_EXE_entropy-viz"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" commands ran, 0 failed"), "{said}");
    println!("{said}");
}
