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
    Helper::find(args.libtorch.as_deref(), terminal)?.exec(std::env::args_os().skip(1))
}

/// The helper program and a libtorch that it can use.
pub(super) struct Helper {
    program: PathBuf,
    libtorch: PathBuf,
}

impl Helper {
    /// Finds the helper, and libtorch in the directory of `--libtorch` or elsewhere.
    ///
    /// # Errors
    /// When one of them is missing, or libtorch has another version.
    pub(super) fn find(libtorch: Option<&Path>, terminal: &Terminal) -> Result<Helper, CliError> {
        let program = helper().ok_or_else(|| {
            anyhow!("cannot compute: the helper entropy-viz-compute is not installed")
        });
        let program = program.hint(
            "pip install 'entropy-viz[compute]', or run `make compute && make install` in the source directory, or \
             set $ENTROPY_VIZ_COMPUTE to its path",
        )?;
        let libtorch = find_libtorch(libtorch)?;
        terminal.verbose(|| {
            let (directory, origin) = (libtorch.directory.display(), libtorch.origin);
            format!("{} with libtorch in {directory} ({origin})", program.display())
        });
        Ok(Helper { program, libtorch: libtorch.directory })
    }

    /// The command that starts the helper with these arguments.
    ///
    /// # Errors
    /// When the search path of libraries cannot be set.
    pub(super) fn command(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Command, CliError> {
        let libraries = self.libtorch.join("lib");
        let before = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        // An empty or relative entry makes the loader search the current directory.
        let before = std::env::split_paths(&before).filter(|directory| directory.is_absolute());
        let paths = std::iter::once(libraries).chain(before);
        let paths = std::env::join_paths(paths).context("cannot set LD_LIBRARY_PATH")?;
        let mut command = Command::new(&self.program);
        command.args(arguments).env("LD_LIBRARY_PATH", paths);
        // Threads of libtorch wait for each other by spinning, by default for milliseconds, which takes most of the
        // time on a shared machine.
        if std::env::var_os("OMP_WAIT_POLICY").is_none()
            && std::env::var_os("GOMP_SPINCOUNT").is_none()
        {
            command.env("GOMP_SPINCOUNT", SPIN_COUNT);
        }
        command.env("GLIBC_TUNABLES", tunables(std::env::var_os("GLIBC_TUNABLES")));
        Ok(command)
    }

    /// The error of a helper that could not be started.
    pub(super) fn cannot_start(&self, error: &std::io::Error) -> CliError {
        let message = entropy_shell::io_message(error);
        let error = anyhow!("cannot start {}: {message}", self.program.display());
        CliError { error, hint: Some("build it with `make compute`".to_owned()) }
    }

    /// Replaces this process by the helper, so that signals and exit codes pass through.
    ///
    /// # Errors
    /// When the helper cannot be started.
    fn exec(&self, arguments: impl Iterator<Item = OsString>) -> Result<Outcome, CliError> {
        let mut command = self.command(arguments)?;
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            let error = command.exec();
            Err(self.cannot_start(&error))
        }
        #[cfg(not(unix))]
        {
            let status = command.status().map_err(|error| self.cannot_start(&error))?;
            if status.success() { Ok(Outcome::Done) } else { Ok(Outcome::Partial) }
        }
    }
}

/// The helper program: `$ENTROPY_VIZ_COMPUTE`, in the directory of this program, or on the PATH.
fn helper() -> Option<PathBuf> {
    let named = std::env::var_os("ENTROPY_VIZ_COMPUTE").filter(|path| !path.is_empty());
    if let Some(path) = named {
        return Some(path.into());
    }
    let name = format!("{HELPER}{}", std::env::consts::EXE_SUFFIX);
    let same_directory = std::env::current_exe().ok().map(|program| program.with_file_name(&name));
    same_directory.filter(|candidate| candidate.is_file()).or_else(|| on_path(&name))
}

/// A program on the PATH. Relative entries of the PATH, which depend on the current directory, are skipped.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// A libtorch with the right version, and what named it.
struct Libtorch {
    directory: PathBuf,
    origin: &'static str,
}

/// Finds libtorch: `--libtorch`, `$LIBTORCH`, the program's own directories, the torch of the Python environment that
/// the program is installed in, or that of `python3 -I`.
///
/// The current directory is never searched: it may be a repository or a data set of somebody else, and loading a
/// library runs its code.
///
/// # Errors
/// When none is found, or the first one found has another version or is incomplete.
fn find_libtorch(named: Option<&Path>) -> Result<Libtorch, CliError> {
    if let Some(directory) = named {
        return checked(directory, "--libtorch");
    }
    let set = std::env::var_os("LIBTORCH").filter(|path| !path.is_empty());
    if let Some(directory) = set {
        return checked(Path::new(&directory), "$LIBTORCH");
    }
    if let Some(directory) = installed_directory() {
        return checked(&directory, "the program's directory");
    }
    if let Some(directory) = environment_torch() {
        return checked(&directory, "the program's Python environment");
    }
    let Some(directory) = python_torch() else {
        return Err(anyhow!(
            "cannot compute: no libtorch {LIBTORCH_VERSION} found; searched --libtorch, $LIBTORCH, libtorch/ beside \
             the program, ../lib/entropy-viz/libtorch, ../lib/python3.*/site-packages/torch, and the torch of \
             `python3 -I`"
        ))
        .hint(INSTALL);
    };
    checked(&directory, "the torch of python3")
}

/// The directory of this program, without symbolic links.
fn own_directory() -> Option<PathBuf> {
    let program = fs::canonicalize(std::env::current_exe().ok()?).ok()?;
    program.parent().map(Path::to_owned)
}

/// `libtorch` beside this program (`make compute` links it there), or in its lib directory (`make install`).
fn installed_directory() -> Option<PathBuf> {
    let directory = own_directory()?;
    [directory.join("libtorch"), directory.join("../lib/entropy-viz/libtorch")]
        .into_iter()
        .find(|candidate| candidate.is_dir())
}

/// The package torch of the environment whose `bin` has this program. `pip install --user` has one `bin` for all
/// versions of Python: of several packages, one with the right version is taken.
fn environment_torch() -> Option<PathBuf> {
    let prefix = own_directory()?.parent()?.to_owned();
    let pythons =
        fs::read_dir(prefix.join("lib")).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_python = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3"))
    };
    let mut packages: Vec<PathBuf> = pythons
        .filter(is_python)
        // Debian's Python has its packages in the second one.
        .flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name)))
        .map(|packages| packages.join("torch"))
        .filter(|torch| torch.is_dir())
        .collect();
    packages.sort();
    let fits = packages.iter().position(|torch| version(torch).is_some_and(|v| is_supported(&v)));
    (!packages.is_empty()).then(|| packages.swap_remove(fits.unwrap_or(0)))
}

/// The directory of the package torch of the Python beside this program, else of that on the PATH. It is found without
/// importing it, which takes seconds.
///
/// `-I` keeps the current directory, `$PYTHONPATH` and the user's site-packages out of the search.
fn python_torch() -> Option<PathBuf> {
    let find = "import importlib.util as u; s = u.find_spec('torch'); \
                print(s.submodule_search_locations[0] if s else '')";
    let name = format!("python3{}", std::env::consts::EXE_SUFFIX);
    // That of a virtual environment also finds the packages of the Python that it was made from, if it uses them.
    let beside = own_directory().map(|directory| directory.join(&name));
    let python = beside.filter(|python| python.is_file()).or_else(|| on_path(&name))?;
    let output = Command::new(python).args(["-I", "-c", find]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    Some(path.trim()).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Checks a libtorch's version and files, and makes its path absolute.
///
/// # Errors
/// When the version is missing or another one, or the library is missing.
fn checked(directory: &Path, origin: &'static str) -> Result<Libtorch, CliError> {
    let shown = directory.display();
    let version = version(directory);
    let version = version
        .with_context(|| format!("cannot compute: {shown} ({origin}) does not state its version"));
    let version = version.hint(INSTALL)?;
    if !is_supported(&version) {
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
    let directory =
        fs::canonicalize(directory).with_context(|| format!("cannot open {shown} ({origin})"))?;
    Ok(Libtorch { directory, origin })
}

fn is_supported(version: &str) -> bool {
    version.strip_prefix(LIBTORCH_VERSION).is_some_and(|rest| rest.starts_with('.'))
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

/// The settings of the C library for the helper: the user's, and large pages for the memory of `malloc`. Each layer gets
/// its memory anew, and with pages of 4 KiB the kernel spends a tenth of a scoring pass on clearing and mapping them.
/// C libraries that do not know the setting ignore it.
fn tunables(given: Option<OsString>) -> OsString {
    const LARGE_PAGES: &str = "glibc.malloc.hugetlb";
    match given {
        Some(given) if given.to_string_lossy().contains(LARGE_PAGES) => given,
        Some(mut given) if !given.is_empty() => {
            given.push(format!(":{LARGE_PAGES}=1"));
            given
        }
        _ => format!("{LARGE_PAGES}=1").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_c_library_keep_those_of_the_user() {
        let of = |given: Option<&str>| tunables(given.map(OsString::from)).into_string().unwrap();
        assert_eq!(of(None), "glibc.malloc.hugetlb=1");
        assert_eq!(of(Some("")), "glibc.malloc.hugetlb=1");
        let both = of(Some("glibc.malloc.arena_max=1"));
        assert_eq!(both, "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1");
        assert_eq!(of(Some("glibc.malloc.hugetlb=0")), "glibc.malloc.hugetlb=0");
    }
}
