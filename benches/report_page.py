"""Measures the page of `report` for many long runs in headless Chromium: when the chart is first painted after the page
is opened, and how long a step of the smoothing slider takes until the next frame is painted. Several programs are
measured in turn on the same logs, because the numbers depend on what else the machine does.

`scripts/browser.sh .venv/browser` installs the browser and selenium.

    .venv/browser/bin/python benches/report_page.py BINARY... [--runs 200] [--points 10000] [--repeats 5]
"""
import argparse
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "browser"))
from tokens_check import driver_of  # noqa: E402

# Notes the time of the first frame after the first curves were drawn.
FIRST_PAINT = """
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...given) {
  CanvasRenderingContext2D.prototype.drawImage = draw;
  requestAnimationFrame(() => { const after = new MessageChannel(); after.port1.onmessage = () => { globalThis.firstPaint = performance.now(); }; after.port2.postMessage(0); });
  return draw.apply(this, given);
};"""

# One step of the slider: milliseconds of work in the frame that redraws, with its layout and painting.
SLIDE = """
const [value, done] = arguments;
const slider = document.getElementById('smoothing');
setTimeout(() => {
  slider.value = value;
  slider.dispatchEvent(new Event('input'));
  requestAnimationFrame((frame) => { const after = new MessageChannel(); after.port1.onmessage = () => done(performance.now() - frame); after.port2.postMessage(0); });
}, 30);"""


def write_runs(directory, runs, points):
    for run in range(runs):
        draw = random.Random(run)
        rows = [{"step": step, "entropy": 2 * math.exp(-step * (run % 4) / points) + 0.3 * draw.random()} for step in range(1, points + 1)]
        (directory / f"entropy_history_run_{run:03}.json").write_text(json.dumps(rows))


def measure(page, profile, repeats):
    """First paints and slider steps in milliseconds."""
    driver = driver_of(profile, 1280, 900, "light")
    try:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": FIRST_PAINT})
        paints = []
        for _ in range(repeats):
            driver.get(page.as_uri())
            for _ in range(200):
                painted = driver.execute_script("return globalThis.firstPaint ?? null")
                if painted is not None:
                    break
                time.sleep(0.05)
            paints.append(painted)
        time.sleep(1)
        return paints, [driver.execute_async_script(SLIDE, 0.4 + 0.5 * step / (5 * repeats)) for step in range(5 * repeats)]
    finally:
        driver.quit()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries", nargs="+")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        logs = Path(tmp) / "runs"
        logs.mkdir()
        write_runs(logs, given.runs, given.points)
        pages = []
        for number, binary in enumerate(given.binaries):
            pages.append(Path(tmp) / f"{number}.html")
            subprocess.run([shutil.which(binary) or binary, "report", str(logs), "-o", str(pages[-1]), "-q"], check=True)
        for turn in range(2):
            for number, (binary, page) in enumerate(zip(given.binaries, pages)):
                paints, slides = measure(page, f"{tmp}/profile-{turn}-{number}", given.repeats)
                print(f"{binary}: {page.stat().st_size / 1e6:.2f} MB; chart painted after {statistics.median(paints):.0f} ms (best {min(paints):.0f}); "
                      f"slider {statistics.median(slides):.0f} ms (best {min(slides):.0f})", flush=True)


if __name__ == "__main__":
    main()
