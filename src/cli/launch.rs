//! `entropy-viz compute`: finds the helper program and a matching libtorch, and replaces this process by the helper.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow};

use entropy_shell::compute::ComputeArgs;
use entropy_shell::{CliError, Outcome, Terminal, WithHint};

const HELPER: &str = "entropy-viz-compute";
/// The version that tch 0.24 supports; other versions have other function signatures.
const LIBTORCH_VERSION: &str = "2.11";
const INSTALL: &str = "pip install torch==2.11.0, or name its directory with --libtorch";

/// Spin iterations of an idle OpenMP thread before it sleeps: some microseconds.
const SPIN_COUNT: &str = "1000";

/// Runs `compute` by starting the helper.
pub(super) fn run(args: &ComputeArgs, terminal: &Terminal) -> Result<Outcome, CliError> {
    let helper = helper()
        .ok_or_else(|| anyhow!("cannot compute: the helper entropy-viz-compute is not installed"));
    let helper = helper.hint(
        "run `make compute && make install` in the source directory, or set \
         $ENTROPY_VIZ_COMPUTE to its path",
    )?;
    let libtorch = libtorch(args.libtorch.as_deref())?;
    terminal.verbose(|| format!("{} with libtorch of {}", helper.display(), libtorch.display()));
    exec_helper(&helper, &libtorch, std::env::args_os().skip(1))
}

/// The helper program: `$ENTROPY_VIZ_COMPUTE`, in the directory of this program, or on the PATH.
fn helper() -> Option<PathBuf> {
    let named = std::env::var_os("ENTROPY_VIZ_COMPUTE").filter(|path| !path.is_empty());
    if let Some(path) = named {
        return Some(path.into());
    }
    let name = format!("{HELPER}{}", std::env::consts::EXE_SUFFIX);
    let same_directory = std::env::current_exe().ok().map(|program| program.with_file_name(&name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|directory| directory.join(&name));
    same_directory.into_iter().chain(on_path).find(|candidate| candidate.is_file())
}

/// The directory of libtorch: `--libtorch`, `$LIBTORCH`, `.libtorch`, or the torch of the current python3.
///
/// # Errors
/// When none is found, or the first one found has another version or is incomplete.
fn libtorch(named: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(directory) = named {
        return checked(directory, "--libtorch");
    }
    let set = std::env::var_os("LIBTORCH").filter(|path| !path.is_empty());
    if let Some(directory) = set {
        return checked(Path::new(&directory), "$LIBTORCH");
    }
    if let Some(directory) = local_directory() {
        return checked(&directory, ".libtorch");
    }
    let Some(directory) = python_torch() else {
        return Err(anyhow!(
            "cannot compute: no libtorch {LIBTORCH_VERSION} found; searched --libtorch, $LIBTORCH, .libtorch \
             and the torch of python3"
        ))
        .hint(INSTALL);
    };
    checked(&directory, "the torch of python3")
}

/// `.libtorch` in the current directory, or in the source tree that this program was built in.
fn local_directory() -> Option<PathBuf> {
    let here = PathBuf::from(".libtorch");
    let program = std::env::current_exe().ok();
    let source_tree = program.iter().flat_map(|path| path.ancestors().skip(1).take(4));
    std::iter::once(here)
        .chain(source_tree.map(|directory| directory.join(".libtorch")))
        .find(|candidate| candidate.is_dir())
}

/// The directory of the Python package torch, found without importing it, which takes seconds.
fn python_torch() -> Option<PathBuf> {
    let find = "import importlib.util as u; s = u.find_spec('torch'); \
                print(s.submodule_search_locations[0] if s else '')";
    let output = Command::new("python3").args(["-c", find]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    Some(path.trim()).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The absolute path of a libtorch with the right version.
///
/// # Errors
/// When the version is missing or another one, or the library is missing.
fn checked(directory: &Path, origin: &str) -> Result<PathBuf, CliError> {
    let shown = directory.display();
    let version = version(directory);
    let version = version
        .with_context(|| format!("cannot compute: {shown} ({origin}) does not state its version"));
    let version = version.hint(INSTALL)?;
    if version.strip_prefix(LIBTORCH_VERSION).is_none_or(|rest| !rest.starts_with('.')) {
        return Err(anyhow!(
            "cannot compute: {shown} ({origin}) is libtorch {version}, but {LIBTORCH_VERSION} is needed"
        ))
        .hint(INSTALL);
    }
    let library =
        format!("{}torch_cpu{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = directory.join("lib").join(library);
    if fs::metadata(&library).map_or(0, |metadata| metadata.len()) == 0 {
        return Err(anyhow!(
            "cannot compute: {} of {origin} is missing or empty",
            library.display()
        ))
        .hint(INSTALL);
    }
    fs::canonicalize(directory).map_err(|error| anyhow!("cannot open {shown}: {error}").into())
}

/// The version of a Python package (`version.py`) or a libtorch archive (`build-version`).
fn version(directory: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(directory.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = fs::read_to_string(directory.join("version.py")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(line.trim_matches(['\'', '"']).to_owned())
}

/// Replaces this process by the helper, so that signals and exit codes pass through.
///
/// # Errors
/// When the helper cannot be started.
fn exec_helper(
    helper: &Path,
    libtorch: &Path,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Outcome, CliError> {
    let libraries = libtorch.join("lib");
    let before = std::env::var_os("LD_LIBRARY_PATH").filter(|paths| !paths.is_empty());
    let paths = std::iter::once(libraries)
        .chain(before.iter().flat_map(|paths| std::env::split_paths(paths)));
    let paths = std::env::join_paths(paths).context("cannot set LD_LIBRARY_PATH")?;
    let mut command = Command::new(helper);
    command.args(arguments).env("LD_LIBRARY_PATH", paths);
    // Threads of libtorch wait for each other by spinning, by default for milliseconds, which takes most of the
    // time on a shared machine.
    if std::env::var_os("OMP_WAIT_POLICY").is_none() && std::env::var_os("GOMP_SPINCOUNT").is_none()
    {
        command.env("GOMP_SPINCOUNT", SPIN_COUNT);
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let error = command.exec();
        Err(anyhow!("cannot start {}: {}", helper.display(), entropy_shell::io_message(&error)))
            .hint("build it with `make compute`")
    }
    #[cfg(not(unix))]
    {
        let status =
            command.status().with_context(|| format!("cannot start {}", helper.display()))?;
        if status.success() { Ok(Outcome::Done) } else { Ok(Outcome::Partial) }
    }
}
