#!/usr/bin/env bash
# Runs the scripts of examples/ on a real Slurm and a real Ray of this machine, without a GPU. Arguments: the program, and
# options of tests/cluster/run.py. $HELPER is the helper of `compute`, by default the one beside the program.
#
# Ray is installed into .venv/cluster/ray. Slurm and munge are unpacked from Debian's packages into .venv/cluster/slurm:
# nothing is installed in the system, no daemon of the system is started, and root is not needed.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
PACKAGES=(slurmctld slurmd slurm-client munge)
program=${1:?usage: cluster.sh PROGRAM [OPTIONS]}
shift
venv=.venv/cluster/ray slurm=.venv/cluster/slurm

if ! cmp --quiet tests/cluster/requirements.txt "$venv/pins"; then
    echo "installing Ray into $venv" >&2
    rm -rf "$venv"
    "$PYTHON" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/cluster/requirements.txt
    cp tests/cluster/requirements.txt "$venv/pins"
fi

if [ ! -e "$slurm/complete" ]; then
    command -v apt-get >/dev/null || { echo "cluster.sh: Slurm is unpacked with apt-get, which this system lacks" >&2; exit 2; }
    # The packages and their dependencies that the system lacks; a package that it has is used as it is.
    if ! plan=$(apt-get install --simulate --no-install-recommends "${PACKAGES[@]}"); then
        echo "cluster.sh: apt-get cannot provide ${PACKAGES[*]}; run apt-get update first" >&2
        exit 2
    fi
    mapfile -t missing < <(awk '/^Inst/ { print $2 }' <<<"$plan")
    echo "unpacking into $slurm: ${missing[*]}" >&2
    rm -rf "$slurm"
    mkdir -p "$slurm/packages"
    if [ ${#missing[@]} != 0 ]; then
        (cd "$slurm/packages" && apt-get download --quiet=2 -o APT::Sandbox::User=root "${missing[@]}")
        for package in "$slurm"/packages/*.deb; do dpkg -x "$package" "$slurm"; done
        # An installation makes these links. The daemons behave by the name that they are started with.
        for name in slurmctld slurmd slurmstepd; do
            [ ! -e "$slurm/usr/sbin/$name-wlm" ] || ln -sf "$name-wlm" "$slurm/usr/sbin/$name"
        done
    fi
    rm -r "$slurm/packages"
    touch "$slurm/complete"
fi

exec "$venv/bin/python" tests/cluster/run.py "$program" --helper "${HELPER:-$(dirname "$program")/entropy-viz-compute}" \
    --slurm "$slurm" "$@"
