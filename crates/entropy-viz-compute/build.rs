//! Sets the library path of the helper to the libtorch that it is linked to, so that it starts without
//! `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(directory) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg-bin=entropy-viz-compute=-Wl,-rpath,{directory}");
    }
}
