# entropy-viz with the helper of `compute`:
#   docker build --tag entropy-viz .                       for the CPU
#   docker build --tag entropy-viz:cuda --target cuda .    with torch's CUDA libraries (about 8 GB)
#   docker run --rm -v "$PWD:/work" entropy-viz compute --model runs/solver --prompts prompts.jsonl
# `make pin` adds digests to the base images; the release workflow does, and the image says which ones it was built from.
# It runs as user 1000; pass `--user "$(id -u):$(id -g)"` to own the files it writes.

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The image is this toolchain; rust-toolchain.toml would make rustup download clippy and rustfmt as well.
ENV RUSTUP_TOOLCHAIN=1.95.0
# The large download that seldom changes comes first, so that its layer is cached.
COPY scripts/libtorch.sh scripts/
RUN scripts/libtorch.sh
COPY . .
RUN make compute && make install PREFIX=/opt/entropy-viz
# The parts of torch that the helper needs on the CPU, in the package's layout: its libraries find each other by relative path.
RUN packages=$(dirname "$(readlink -f .libtorch)") && mkdir -p /opt/packages/torch/lib \
    && cp "$packages"/torch/version.py /opt/packages/torch/ \
    && cp "$packages"/torch/lib/libtorch_cpu.so "$packages"/torch/lib/libc10.so "$packages"/torch/lib/libgomp* /opt/packages/torch/lib/ \
    && cp -r "$packages"/nvidia /opt/packages/

FROM python:3.12.11-slim-bookworm AS cuda
RUN pip install --no-cache-dir --disable-pip-version-check torch==2.11.0
COPY --from=build /opt/entropy-viz /usr/local
ENV LIBTORCH=/usr/local/lib/python3.12/site-packages/torch
RUN useradd --uid 1000 --create-home viz
USER viz
WORKDIR /work
RUN ["entropy-viz", "compute", "--self-test", "--device", "cpu"]
ENTRYPOINT ["entropy-viz"]
CMD ["--help"]
LABEL org.opencontainers.image.title="entropy-viz" \
    org.opencontainers.image.description="Policy-entropy histories of language models: computed, drawn, compared" \
    org.opencontainers.image.licenses="Apache-2.0"

FROM debian:12.12-slim AS cpu
RUN apt-get update && apt-get install --yes --no-install-recommends libstdc++6 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/packages /opt/packages
COPY --from=build /opt/entropy-viz /usr/local
ENV LIBTORCH=/opt/packages/torch
RUN useradd --uid 1000 --create-home viz
USER viz
WORKDIR /work
RUN ["entropy-viz", "compute", "--self-test", "--device", "cpu"]
ENTRYPOINT ["entropy-viz"]
CMD ["--help"]
LABEL org.opencontainers.image.title="entropy-viz" \
    org.opencontainers.image.description="Policy-entropy histories of language models: computed, drawn, compared" \
    org.opencontainers.image.licenses="Apache-2.0"
