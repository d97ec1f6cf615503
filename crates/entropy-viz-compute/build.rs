//! Tells the helper, and only the helper, where its libtorch lies, so that it also starts on its own.

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(directory) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg-bin=entropy-viz-compute=-Wl,-rpath,{directory}");
    }
}
