"""Draws every kind of picture, page and screen from the real logs in tests/fixtures, and puts them on one page to look at.

Each picture is drawn at three sizes (default, width of a text, column of a paper) and in the dark theme, with the command that drew it.
Pages are photographed at 1280, 768 and 390 px in both themes with the Chromium of scripts/browser.sh; without one, they are linked only.

12, 40 and 200 runs are made from the seven real ones: each value times a factor of the run, under names with a learning rate, a KL
coefficient and a seed.

    python3 scripts/gallery.py PROGRAM DIRECTORY [--only WORD]      # writes DIRECTORY/index.html
"""
import argparse
import html
import json
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
FIXTURES = "tests/fixtures"
MODELS = f"{FIXTURES}/models"
HISTORY = MODELS + "/qwen3-tiny_{0}/entropy_history_qwen3-tiny_{0}.json"
TOKENS = f"{FIXTURES}/token_groups/run.jsonl"
GRPO = f"{FIXTURES}/grpo/tokens.jsonl.gz"
DRIVER = REPO / ".venv" / "browser" / "bin" / "python"

SIZES = {
    "default": [],
    "6.5 × 4 in": ["--size", "6.5x4"],
    "--paper": ["--paper"],
    "dark": ["--theme", "dark"],
}


def history(name):
    return HISTORY.format(name)


def pictures(many):
    """Title, and the command without sizes and output file; `many` are directories of 12, 40 and 200 runs by their number."""
    smooth = ["--smooth", "ema:0.8"]
    plot = lambda title, *rest: (title, ["plot", *rest])
    yield plot("One run", history("solver_s1"), *smooth)
    yield plot("One collapsed run", history("questioner_collapse_s1"), *smooth)
    yield plot("Questioner and Solver", "Questioner=" + history("questioner_s1"), "Solver=" + history("solver_s1"), *smooth)
    yield plot("Five runs", *(history(name) for name in ("questioner_s1", "questioner_s2", "solver_s1", "solver_s2", "solver_resumed")), *smooth)
    yield plot("Seven runs", MODELS, *smooth)
    yield plot("Seven runs as logged", MODELS)
    yield plot("Long and Chinese names", "qwen3-tiny-grpo-kl0.001-lr1e-6-batch512-rollouts8-seed1-questioner=" + history("questioner_s1"),
               "求解器-第二轮=" + history("solver_s1"), *smooth)
    for runs, directory in many.items():
        yield plot(f"{runs} runs", directory, *smooth)
    yield plot("40 runs, some named", many[40], *smooth, "--highlight", "*kl0.01_s3*", "--highlight", "*lr1e-5_kl0_s1*")
    yield plot("40 runs, a panel per learning rate", many[40], *smooth, "--facet", "lr[^_]+")
    yield plot("40 runs in groups", many[40], *smooth, "--group", "lr[^_]+")
    yield plot("Groups with 95 % intervals", MODELS, "--group", "questioner|solver", "--band", "ci95", "--interpolate")
    yield plot("Logarithmic axis", MODELS, *smooth, "--log-y")
    yield plot("Lines and limits", MODELS, *smooth, "--hline", "0.5=floor", "--vline", "40=new data", "--y-max", "3")
    yield plot("Legend inside", MODELS, *smooth, "--legend", "inside")
    yield plot("Several quantities", f"{FIXTURES}/trainer_state", *smooth, "--with", "reward,kl,length")
    yield plot("Stages in a chain", "solver_v1=" + history("solver_s1"), "solver_v2=" + history("solver_s2"), "--chain", "(.*)_v([0-9]+)", *smooth)
    yield plot("Style talk", MODELS, *smooth, "--style", "talk")
    stats = lambda title, *rest: (title, ["stats", *rest, "--quiet"])
    yield stats("Statistics, a row per run", MODELS)
    yield stats("Statistics as bars", MODELS, "--style", "bars")
    for runs, directory in many.items():
        yield stats(f"Statistics of {runs} runs", directory)
    yield "Differences to a baseline", ["stats", MODELS, "--baseline", "qwen3-tiny_questioner_s1", "--quiet", "--no-plot", "--comparison-plot"]
    yield "Reward–entropy law", ["law", f"{FIXTURES}/trainer_state/qwen3-tiny_solver_resumed", "--reward", "reward", "--quiet"]
    for figure in ("histogram", "profile", "heat-map", "heat-map-tenths", "steps", "outcome", "groups", "covariance", "diversity"):
        by = ["--by", "env"] if figure == "groups" else []
        yield f"Tokens: {figure}", ["tokens", TOKENS, *by, "--figure", figure, "--quiet"]


def pages(many):
    """Title, and the command of a page without its output file."""
    yield "Report of seven runs", ["report", MODELS, "--smooth", "ema:0.8"]
    yield "Report of 40 runs", ["report", many[40], "--smooth", "ema:0.8"]
    yield "Report of 40 runs in groups", ["report", many[40], "--smooth", "ema:0.8", "--group", "lr[^_]+"]
    yield "Report with other quantities", ["report", f"{FIXTURES}/trainer_state", "--with", "reward,kl,length"]
    yield "Report with tokens", ["report", MODELS, "--tokens", GRPO]


def screens(many):
    """Title, and the command of a screen of the terminal."""
    for width, height in ((80, 24), (120, 40)):
        size = ["--width", str(width), "--height", str(height)]
        yield f"watch, {width} × {height}", ["watch", MODELS, "--once", "--smooth", "ema:0.8", *size]
        yield f"watch of 40 runs, {width} × {height}", ["watch", many[40], "--once", "--smooth", "ema:0.8", *size]
    yield "watch with other quantities", ["watch", f"{FIXTURES}/trainer_state", "--once", "--with", "reward,kl", "--width", "120", "--height", "40"]
    yield "plot --terminal", ["plot", MODELS, "--terminal", "--smooth", "ema:0.8"]


def write_runs(directory, count):
    """Writes `count` histories made from the real ones."""
    directory.mkdir(parents=True, exist_ok=True)
    sources = sorted((REPO / MODELS).glob("*/entropy_history_*.json"))
    settings = [(rate, kl) for rate in ("1e-6", "3e-6", "1e-5", "3e-5") for kl in ("0", "0.001", "0.01")]
    for number in range(count):
        rate, kl = settings[number % len(settings)]
        factor = 0.75 + 0.5 * (number * 0.618 % 1)
        points = json.loads(sources[number % len(sources)].read_text())
        scaled = [{"step": point["step"], "entropy": point["entropy"] * factor} for point in points]
        name = f"entropy_history_grpo_lr{rate}_kl{kl}_s{1 + number // len(settings)}.json"
        (directory / name).write_text(json.dumps(scaled))


ANSI = re.compile(r"\x1b\[([0-9;]*)m")


def ansi_to_html(text):
    """Text of a terminal as HTML, with its 24-bit colours and bold type."""
    parts, style, last = [], {}, 0

    def add(piece):
        if piece:
            css = ";".join(f"{key}:{value}" for key, value in style.items())
            parts.append(f'<span style="{css}">{html.escape(piece)}</span>' if css else html.escape(piece))

    for match in ANSI.finditer(text):
        add(text[last:match.start()])
        last = match.end()
        codes = [int(code or 0) for code in match[1].split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0:
                style.clear()
            elif code == 1:
                style["font-weight"] = "bold"
            elif code == 2:
                style["opacity"] = "0.6"
            elif code == 39:
                style.pop("color", None)
            elif code in (38, 48) and codes[:1] == [2]:
                style["color" if code == 38 else "background"] = "rgb({},{},{})".format(*codes[1:4])
                codes = codes[4:]
    add(text[last:])
    return "".join(parts)


def run(program, args):
    """Runs the program in the repository; returns what it printed, or ends with its message."""
    env = {"PATH": "/usr/bin:/bin", "COLORTERM": "truecolor", "CLICOLOR_FORCE": "1", "TERM": "xterm-256color"}
    done = subprocess.run([program, *args], cwd=REPO, env=env, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"failed: entropy-viz {shlex.join(args)}\n{done.stderr}")
    return done.stdout


def command(args):
    return f"<code>entropy-viz {html.escape(shlex.join(args))}</code>"


def photograph(driver_python, jobs):
    """Photographs pages: tuples of page, picture, width, height and theme."""
    script = """
import json, sys
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
import base64, shutil
options = webdriver.ChromeOptions()
for flag in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-background-networking"]:
    options.add_argument(flag)
driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
for page, picture, width, theme in json.load(sys.stdin):
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})
    driver.get("file://" + page)
    # Rows that the browser has not drawn yet would be empty in a picture of the whole page.
    driver.execute_script("document.head.append(Object.assign(document.createElement('style'), {textContent: '* { content-visibility: visible !important }'}))")
    driver.execute_async_script("setTimeout(arguments[0], 400)")
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    open(picture, "wb").write(base64.b64decode(shot["data"]))
driver.quit()
"""
    subprocess.run([driver_python, "-c", script], input=json.dumps(jobs), text=True, check=True)


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 24px; background: #f4f4f2; color: #222 }
section { margin: 0 0 40px } h2 { margin: 0 } code { font-size: 13px; color: #555; overflow-wrap: anywhere }
figure { display: inline-block; margin: 8px 12px 8px 0; vertical-align: top } figcaption { font-size: 12px; color: #666 }
img { display: block; border: 1px solid #ddd } pre { display: inline-block; background: #12151a; color: #ddd; padding: 12px; line-height: 1.2; font-size: 13px }
"""


def figure(path, caption, width):
    return f'<figure><a href="{path}"><img src="{path}" width="{width}" alt=""></a><figcaption>{html.escape(caption)}</figcaption></figure>'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", default="", help="only what has this word in its title")
    args = parser.parse_args()
    program, out = args.program.resolve(), args.directory.resolve()
    out.mkdir(parents=True, exist_ok=True)
    many = {}
    for count in (12, 40, 200):
        write_runs(out / f"runs{count}", count)
        many[count] = str(out / f"runs{count}")
    wanted = lambda entries: [entry for entry in entries if args.only.lower() in entry[0].lower()]
    sections, jobs = [], []
    for title, words in wanted(pictures(many)):
        figures = []
        for caption, flags in SIZES.items():
            name = re.sub(r"[^a-z0-9]+", "-", f"{title} {caption}".lower()).strip("-") + ".png"
            output = [] if words[-1] == "--comparison-plot" else ["-o"]
            jobs.append([*words, *output, str(out / name), *flags])
            figures.append(figure(name, caption, 312 if caption == "--paper" else 624))
        sections.append(f"<section><h2>{html.escape(title)}</h2>{command(words)}<br>{''.join(figures)}</section>")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run(program, job), jobs))
    photos = []
    for number, (title, words) in enumerate(wanted(pages(many))):
        page = f"page{number}.html"
        run(program, [*words, "--quiet", "-o", str(out / page)])
        figures = []
        if DRIVER.exists():
            for width, theme in ((1280, "light"), (768, "dark"), (390, "light"), (390, "dark")):
                picture = f"page{number}-{width}-{theme}.png"
                photos.append((str(out / page), str(out / picture), width, theme))
                figures.append(figure(picture, f"{width} px, {theme}", width // 2))
        sections.append(f'<section><h2><a href="{page}">{html.escape(title)}</a></h2>{command(words)}<br>{"".join(figures)}</section>')
    if photos:
        photograph(DRIVER, photos)
    for title, words in wanted(screens(many)):
        text = ansi_to_html(run(program, words))
        sections.append(f"<section><h2>{html.escape(title)}</h2>{command(words)}<br><pre>{text}</pre></section>")
    head = '<!doctype html><meta charset="utf-8"><title>entropy-viz gallery</title>'
    (out / "index.html").write_text(f"{head}<style>{STYLE}</style><h1>Gallery</h1>{''.join(sections)}\n")
    print(out / "index.html")


if __name__ == "__main__":
    main()
