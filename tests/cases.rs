//! Runs every case of `tests/fixtures/cases`: logs as people have them, with what the program must make of them.

use std::process::Command;

use crate::common::fixture;

#[test]
fn every_case_has_the_expected_outcome() {
    let mut command = Command::new("python3");
    command.arg(fixture("cases/check.py")).arg(env!("CARGO_BIN_EXE_entropy-viz"));
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("70 of 70 cases right"), "{said}");
}
