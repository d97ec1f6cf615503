"""Fails if a relative link in a Markdown file of the repository is broken: to a missing file, or to a heading that its file does not have."""
import re
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent


def text_of(path: Path) -> str:
    """The text of a file without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)


def anchors(path: Path) -> set[str]:
    """The anchors of the headings of a file, as GitHub makes them: equal ones are numbered."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text_of(path), flags=re.M):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number, wanted = 0, anchor
        while anchor in found:
            number += 1
            anchor = f"{wanted}-{number}"
        found.add(anchor)
    return found


listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=root, capture_output=True, text=True, check=True)
broken = []
for name in listed.stdout.split("\n"):
    if not name or name.startswith("templates/"):
        continue
    source = root / name
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(source)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = source.parent / path if path else source
        if not file.exists():
            broken.append(f"{name}: broken link {target}")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            broken.append(f"{name}: {target}: the file has no such heading")
print("\n".join(broken) or "all relative links are valid")
sys.exit(bool(broken))
