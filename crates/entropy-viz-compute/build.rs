//! Sets where the helper looks for libtorch when it is started without `LD_LIBRARY_PATH`: beside itself, where
//! `make compute` links it, or in its lib directory, where `make install` does.
//!
//! No path of the building machine enters a release build: such a path may belong to somebody else where the helper
//! runs. Debug builds, which the tests run in place, also have the path of the libtorch that they are linked to.

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    for directory in ["$ORIGIN/libtorch/lib", "$ORIGIN/../lib/entropy-viz/libtorch/lib"] {
        set_runpath(directory);
    }
    let debug = std::env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    if let (true, Ok(directory)) = (debug, std::env::var("DEP_TCH_LIBTORCH_LIB")) {
        set_runpath(&directory);
    }
}

fn set_runpath(directory: &str) {
    println!("cargo:rustc-link-arg-bin=entropy-viz-compute=-Wl,-rpath,{directory}");
}
