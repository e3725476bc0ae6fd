//! The tests of the scripts, which are written in Python, so that `cargo test` runs all tests.
//! Without Python they are skipped with a message.

use std::process::Command;

#[test]
fn the_tests_of_the_scripts_pass() {
    let mut python = Command::new("python3");
    python.args(["-m", "unittest", "discover", "-q", "-s", "scripts", "-t", "scripts"]);
    python.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(env!("CARGO_MANIFEST_DIR"));
    match python.output() {
        Err(error) => eprintln!("skipped: cannot run python3: {error}"),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}\n{text}", output.status);
        }
    }
}
