"""Fails if a relative link in a Markdown file of the repository is broken."""
import re
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=root, capture_output=True, text=True, check=True)
broken = []
for name in listed.stdout.split("\n"):
    if not name or name.startswith("templates/"):
        continue
    text = re.sub(r"```.*?```", "", (root / name).read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = target.split("#")[0]
        if path and "://" not in path and not ((root / name).parent / path).exists():
            broken.append(f"{name}: broken link {target}")
print("\n".join(broken) or "all relative links are valid")
sys.exit(bool(broken))
