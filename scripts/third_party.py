"""Prints the licence texts of everything compiled into a program: `third_party.py [TARGET [PACKAGE]]`, entropy-viz by
default.

A text that several crates share, including its copyright line, is printed once, below all their names.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

cargo = os.environ.get("CARGO", "cargo")
target = ["--target", sys.argv[1]] if len(sys.argv) > 1 else []
program = sys.argv[2] if len(sys.argv) > 2 else "entropy-viz"


def cargo_output(*arguments):
    return subprocess.run([cargo, *arguments], capture_output=True, text=True, check=True).stdout


tree = cargo_output("tree", "--locked", "--package", program, "--edges", "normal", "--prefix", "none", "--format", "{p}", *target)
linked = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
packages = json.loads(cargo_output("metadata", "--locked", "--format-version", "1"))["packages"]

texts, without = {}, []
for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
    if (package["name"], "v" + package["version"]) not in linked or package["source"] is None:
        continue
    name = f"{package['name']} {package['version']} ({package['license']})"
    directory = Path(package["manifest_path"]).parent
    files = sorted(file for file in directory.iterdir() if re.match(r"(?i)(licen[cs]e|copying|notice|unlicense)", file.name) and file.is_file())
    of_mit = [file for file in files if "mit" in file.name.lower()]
    if of_mit and "MIT" in package["license"] and "AND" not in package["license"]:
        files = of_mit  # dual-licensed: MIT is the shorter text
    if not files:
        without.append(name)
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace").strip()
        texts.setdefault("\n".join(line.rstrip() for line in text.splitlines()), []).append(name)

print(f"{program} contains these crates, under these licences.")
for text, names in texts.items():
    print("\n" + "=" * 80)
    print("\n".join(dict.fromkeys(names)))
    print("-" * 80 + "\n" + text)
print("\n" + "=" * 80 + "\nThese packages name a licence but contain no text of it:")
print("\n".join(without))
root = Path(__file__).resolve().parent.parent
folders = [root / "assets", root / "crates/entropy-plot/assets"] if program == "entropy-viz" else []
assets = [file for folder in folders for file in folder.rglob("*")]
for file in sorted(file for file in assets if re.match(r"(?i)(ofl|licen[cs]e)", file.name)):
    print("\n" + "=" * 80 + f"\n{file.relative_to(root)}\n" + "-" * 80 + "\n" + file.read_text(encoding="utf-8").strip())
