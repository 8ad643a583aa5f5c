//! The Go peer: compiled when it is first needed, skipped where Go is not installed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the compiled program lies: beside the benchmark.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().unwrap_or(Path::new(".")).join("versus-go")
}

/// Compiles the Go program; the version of Go, or why it cannot be used.
pub(super) fn build() -> Result<String, String> {
    let version = Command::new("go").arg("version").output().map_err(|error| error.to_string())?;
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(program())
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/go"))
        .output()
        .map_err(|error| error.to_string())?;
    if built.status.success() {
        Ok(String::from_utf8_lossy(&version.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&built.stderr).trim().to_owned())
    }
}

/// Becomes the Go program.
pub(super) fn become_go(size: &str, arguments: &[String]) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    Command::new(program()).arg(size).args(arguments).exec()
}
