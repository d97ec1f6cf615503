#!/usr/bin/env bash
# Adds the digest of today's image to each base image of the Dockerfile that has none: `FROM debian:12.12-slim` becomes
# `FROM debian:12.12-slim@sha256:…`. A tag can be moved to another image; a digest cannot. Needs docker and a network.
# Run it to update a digest too, after removing the old one, and commit what it wrote.
set -euo pipefail
cd "$(dirname "$0")/.."

sed -n 's/^FROM \([^ @]*:[^ @]*\)\( .*\)\{0,1\}$/\1/p' Dockerfile | sort -u | while read -r image; do
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
    [[ "$digest" =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "no digest for $image: '$digest'" >&2; exit 1; }
    sed -i.old "s#^FROM $image\( .*\)*\$#FROM $image@$digest\1#" Dockerfile
    rm Dockerfile.old
    echo "$image@$digest"
done
