"""Prints the licences of everything that is compiled into the program, as they ask for: `third_party.py [TARGET]`.

A text that many crates share, copyright line included, is printed once, under all their names.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

cargo = os.environ.get("CARGO", "cargo")
target = ["--target", sys.argv[1]] if len(sys.argv) > 1 else []


def said(*arguments):
    return subprocess.run([cargo, *arguments], capture_output=True, text=True, check=True).stdout


tree = said("tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}", *target)
linked = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
packages = json.loads(said("metadata", "--locked", "--format-version", "1", "--all-features"))["packages"]

texts, without = {}, []
for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
    if (package["name"], "v" + package["version"]) not in linked or package["source"] is None:
        continue
    name = f"{package['name']} {package['version']} ({package['license']})"
    directory = Path(package["manifest_path"]).parent
    files = sorted(file for file in directory.iterdir() if re.match(r"(?i)(licen[cs]e|copying|notice|unlicense)", file.name) and file.is_file())
    of_mit = [file for file in files if "mit" in file.name.lower()]
    if of_mit and "MIT" in package["license"] and "AND" not in package["license"]:
        files = of_mit  # the shorter of the two that may be chosen
    if not files:
        without.append(name)
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace").strip()
        texts.setdefault("\n".join(line.rstrip() for line in text.splitlines()), []).append(name)

print("entropy-viz contains these crates, under these licences.")
for text, names in texts.items():
    print("\n" + "=" * 80)
    print("\n".join(dict.fromkeys(names)))
    print("-" * 80 + "\n" + text)
print("\n" + "=" * 80 + "\nOf these the package holds no text of the licence that it names:")
print("\n".join(without))
assets = Path(__file__).resolve().parent.parent / "assets"
for file in sorted(file for file in assets.rglob("*") if re.match(r"(?i)(ofl|licen[cs]e)", file.name)):
    print("\n" + "=" * 80 + f"\n{file.relative_to(assets.parent)}\n" + "-" * 80 + "\n" + file.read_text(encoding="utf-8").strip())
