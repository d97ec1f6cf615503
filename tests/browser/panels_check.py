"""Checks the panels of other quantities on the page of `report` in a real browser. `cargo test --test main panels::` makes the
pages in target/tmp/panels and runs this script. Expected numbers are computed here from the logs. With a third argument, it saves
pictures.

    python3 tests/browser/panels_check.py target/tmp/panels target/debug/entropy-viz [PICTURES]
"""
import csv
import json
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from report_check import all_of, at_size, check_quiet, check_width, downloaded, ema, find, four_digits, fresh, keep, legend, range_of, settle, slide, tip
from tokens_check import driver_of

VERL = Path(__file__).parent.parent / "fixtures" / "verl"
KEYS = {"": "actor/entropy", "reward": "critic/rewards/mean", "length": "response_length/mean"}
NAMES = ["questioner_collapse_s1", "questioner_s1", "solver_s1", "solver_s2"]
LACKING = "qwen3-tiny_questioner_s2"


def logged(name, panel):
    """{step: value} of a run."""
    rows = [json.loads(line) for line in (VERL / f"qwen3-tiny_{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    return {row["step"]: row["data"][KEYS[panel]] for row in rows}


def is_near(shown, expected):
    """Whether texts are values with four significant digits; a value between two such numbers may be rounded to either."""
    return shown.keys() == expected.keys() and all(abs(float(shown[name]) - value) <= 0.5001e-3 * abs(value) for name, value in expected.items())


def over(driver, panel):
    return all_of(driver, ".u-over")[list(KEYS).index(panel)]


def hover(driver, panel, share, height=0.5):
    element = over(driver, panel)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    size = element.size
    ActionChains(driver).move_to_element_with_offset(element, round((share - 0.5) * size["width"]), round((height - 0.5) * size["height"])).perform()
    settle(driver)


def pictures(driver):
    """The pixels of each chart."""
    settle(driver)
    return driver.execute_script("return [...document.querySelectorAll('#chart .uplot > .u-wrap > canvas')].map((canvas) => canvas.toDataURL())")


def check_values(driver):
    assert [title.text for title in all_of(driver, ".panel-title > :first-child")] == ["reward", "length (tokens)"]
    assert find(driver, ".panel-title .lacking").text == "not logged by 1 run: questioner_s2"
    for weight in [0, 0.7]:
        slide(driver, weight)
        for panel in KEYS:
            for name in NAMES:
                rows = logged(name, panel)
                shown = driver.execute_script("return entropyViz.values(arguments[0], arguments[1])", f"qwen3-tiny_{name}", panel)
                assert shown["x"] == list(rows)
                assert max(abs(a - b) for a, b in zip(shown["y"], ema(list(rows.values()), weight))) < 1e-12, (panel, name)
    slide(driver, 0)


def check_cursor(driver):
    """The tooltip and the list have the values of the panel that is pointed at, every panel has the line of the cursor."""
    hover(driver, "length", (62 - 1) / 119)
    head, rows = tip(driver)
    assert head == "length, step 62" and is_near(rows, {name: logged(name, "length")[62] for name in NAMES}), (head, rows)
    assert find(driver, ".values-at").text == "length at step 62"
    values = legend(driver)
    assert values[LACKING] == "" and values["qwen3-tiny_solver_s1"] == four_digits(logged("solver_s1", "length")[62]), values
    marked = driver.execute_script("""
        return [...document.querySelectorAll('.overlay')].map((layer) => layer.getContext('2d').getImageData(0, 0, layer.width, layer.height).data.some((part) => part > 0))""")
    assert marked == [True] * 3, marked
    wide = driver.execute_script("return document.querySelector('.tip').offsetWidth / document.querySelector('.u-over').offsetWidth")
    assert wide <= 1 / 3, wide
    ActionChains(driver).click().perform()
    hover(driver, "reward", 0.9)
    assert tip(driver)[1]["solver_s1"] == repr(logged("solver_s1", "length")[62]), "a click fixes the values of a panel"
    ActionChains(driver).send_keys(Keys.ESCAPE).move_to_element(find(driver, "h1")).perform()
    settle(driver)
    assert find(driver, ".values-at").text == "last value"
    # The panels have one x axis: their plot areas begin and end at the same places.
    sides = driver.execute_script("return [...document.querySelectorAll('.u-over')].map((over) => { const { left, right } = over.getBoundingClientRect(); return [left, right]; })")
    assert all(side == sides[0] for side in sides), sides


def check_keyboard(driver):
    chart = find(driver, "#chart")
    driver.execute_script("arguments[0].focus()", chart)
    told = lambda: find(driver, "#chart-told").get_attribute("textContent")
    chart.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert told().startswith("reward, step 1: "), told()
    chart.send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert told().startswith("length, step 2: ") and f"solver_s1 {logged('solver_s1', 'length')[2]:.2f}" in told(), told()
    chart.send_keys(Keys.ARROW_UP, Keys.ARROW_UP)
    assert told().startswith("step 2: "), told()
    chart.send_keys(Keys.ESCAPE)
    driver.execute_script("arguments[0].blur()", chart)


def check_zoom(driver, page):
    """A drag across steps zooms all panels, one across values only the panel that it is in; the address keeps both."""
    before = pictures(driver)
    element = over(driver, "reward")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    width, height = element.size["width"], element.size["height"]
    drag = ActionChains(driver).move_to_element_with_offset(element, round(-0.25 * width), 0).click_and_hold()
    drag.move_by_offset(round(0.25 * width), 3).move_by_offset(round(0.25 * width), 0).release().perform()
    zoomed = pictures(driver)
    low, high = range_of(driver)
    assert abs(low - (1 + 119 / 4)) <= 1.5 and abs(high - (1 + 119 * 3 / 4)) <= 1.5, (low, high)
    assert all(a != b for a, b in zip(before, zoomed))
    drag = ActionChains(driver).move_to_element_with_offset(element, 0, round(-0.25 * height)).click_and_hold()
    drag.move_by_offset(3, round(0.25 * height)).move_by_offset(0, round(0.25 * height)).release().perform()
    ActionChains(driver).move_to_element(find(driver, "h1")).perform()
    closer = pictures(driver)
    assert [a == b for a, b in zip(zoomed, closer)] == [True, False, True]
    slide(driver, 0.4)
    all_of(driver, ".legend input")[1].click()
    chosen = pictures(driver)
    assert all(a != b for a, b in zip(closer, chosen)), "smoothing and hidden runs are for all panels"
    time.sleep(0.4)
    url = driver.current_url
    assert re.search(r"low%3Areward=[-\d.e]+&high%3Areward=[-\d.e]+", url) and "low=" not in url, url
    fresh(driver, url)
    assert pictures(driver) == chosen and driver.current_url == url
    element = over(driver, "length")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    ActionChains(driver).move_to_element(element).double_click().perform()
    settle(driver)
    assert range_of(driver) == [1, 120] and driver.execute_script("return entropyViz.view.valueRanges") == {}
    fresh(driver, page.as_uri())
    assert pictures(driver) == before
    find(driver, "#log-y").click()
    assert [a == b for a, b in zip(before, pictures(driver))] == [False, True, True], "the logarithmic axis is for the entropy"
    find(driver, "#log-y").click()


def check_downloads(driver, page):
    fresh(driver, page.as_uri() + "#smooth=0.5&hide=qwen3-tiny_solver_s2&from=10&to=20")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        _, png = downloaded(driver, folder, "PNG")
        assert [int.from_bytes(png[at:at + 4], "big") for at in (16, 20)] == [2240, 2 * (600 + 2 * 178)]
        _, svg = downloaded(driver, folder, "SVG")
        space = "{http://www.w3.org/2000/svg}"
        root = ElementTree.fromstring(svg)
        texts = ["".join(text.itertext()) for text in root.iter(f"{space}text")]
        assert texts.count("training step") == 1 and "reward" in texts and "length (tokens)" in texts, texts
        widths = [float(line.get("stroke-width")) for line in root.iter(f"{space}path") if line.get("stroke-width")]
        assert widths.count(0.9) == 4 + 3 + 3, "a faint line of each shown run in each panel that has it"
        clips = [clip.get("id") for clip in root.iter(f"{space}clipPath")]
        assert len(set(clips)) == 3, clips
        _, text = downloaded(driver, folder, "CSV")
        rows = list(csv.DictReader(text.decode().splitlines()))
        assert list(rows[0]) == ["quantity", "run", "step", "value", "ema_0.5"]
        for panel, title in [("", "entropy"), ("reward", "reward"), ("length", "length")]:
            own = [row for row in rows if row["quantity"] == title]
            assert {row["run"] for row in own} == {f"qwen3-tiny_{name}" for name in NAMES[:3]} | ({LACKING} if panel == "" else set())
            log = logged("solver_s1", panel)
            found = {float(row["step"]): float(row["value"]) for row in own if row["run"].endswith("solver_s1")}
            assert found == {step: value for step, value in log.items() if 10 <= step <= 20}, title


def check_labels(driver, page):
    """No label of a collapse covers a line."""
    space = "{http://www.w3.org/2000/svg}"
    with tempfile.TemporaryDirectory() as folder:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
        found = 0
        for view in ["", "smooth=0.5", "from=40&to=90", "low=0.4&high=0.8", "from=60&to=75&low=0.5&high=0.9"]:
            fresh(driver, page.as_uri() + "#" + view)
            root = ElementTree.fromstring(downloaded(driver, Path(folder), "SVG")[1])
            first = next(group for group in root.iter(f"{space}g") if group.get("transform"))
            left, top = [float(number) for number in re.findall(r"[-\d.]+", first.get("transform"))]
            lines = []
            for path in first.iter(f"{space}path"):
                for part in path.get("d").split("M")[1:]:
                    points = [tuple(float(number) for number in pair.split()) for pair in part.rstrip("Z").split("L")]
                    lines += zip(points, points[1:])
            for text in root.iter(f"{space}text"):
                if "".join(text.itertext()).startswith("collapsed at"):
                    found += 1
                    x, y = float(text.get("x")) - left, float(text.get("y")) - top
                    crossing = [line for line in lines if crosses(line, (x, x + 90), (y - 8, y))]
                    assert not crossing, (view, x, y, crossing)
        assert found >= 2, "labels have room in some views"
    fresh(driver, page.as_uri())


def crosses(line, xs, ys):
    """Whether a line has a point in a box."""
    (ax, ay), (bx, by) = line
    low, high = max(min(ax, bx), xs[0]), min(max(ax, bx), xs[1])
    if low > high:
        return False
    at = lambda x: ay + (by - ay) * ((x - ax) / (bx - ax) if bx != ax else 0)
    ends = [ay, by] if ax == bx else [at(low), at(high)]
    return min(ends) <= ys[1] and max(ends) >= ys[0]


def check_command(driver, page, program):
    """The command of a terminal leaves out the hidden runs."""
    command = lambda: find(driver, ".in-terminal code").get_attribute("textContent")
    labels = [f"qwen3-tiny_{name}" for name in NAMES] + [LACKING]
    for hidden in [labels[3:4], labels[1:]]:
        fresh(driver, page.as_uri() + "#" + "&".join(f"hide={label}" for label in hidden))
        words = shlex.split(command())
        shown = [label for label in labels if label not in hidden]
        option, chosen = ("--exclude", hidden) if len(hidden) <= len(shown) else ("--select", shown)
        assert [word for word in words if word.startswith(option)] == [f"{option}={label}" for label in chosen], words
        printed = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=True, cwd=page.parent).stdout
        names = [label.removeprefix("qwen3-tiny_") for label in labels]
        assert [name in printed for name in names] == [label in shown for label in labels], printed
    fresh(driver, page.as_uri() + "#show=")
    assert not find(driver, ".in-terminal").is_displayed(), "no run is shown"
    fresh(driver, page.as_uri())


def check_layout(driver):
    """The chart of the entropy is in sight, the list of runs beside all panels; a phone shows everything in its width."""
    at_size(driver, 1280, 800)
    bottom, tall, side = driver.execute_script("""
        const box = document.querySelector('.plot').getBoundingClientRect();
        return [box.bottom + scrollY, box.height, document.querySelector('.side').getBoundingClientRect().height]""")
    assert bottom <= 800 and tall >= 300 and side <= 800, (bottom, tall, side)
    at_size(driver, 390, 844)
    check_width(driver)
    hover(driver, "reward", 0.5)
    below, next_panel = driver.execute_script("""
        const [box, before, after] = ['.tip', '[data-panel=reward]', '[data-panel=length]'].map((selector) => document.querySelector(selector).getBoundingClientRect());
        return [box.top - before.bottom, after.top - box.bottom]""")
    assert below >= 0 and next_panel >= 0, "the values stand below the panel that is touched"
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    ActionChains(driver).move_to_element(find(driver, "h1")).perform()
    settle(driver)


def check_groups(driver):
    """The mean of a group in a panel, and its band, are those of the logged values."""
    logs = [logged(name, "reward") for name in NAMES if name.startswith("solver")]
    for weight in [0, 0.6]:
        slide(driver, weight)
        smooth = [ema(list(log.values()), weight) for log in logs]
        group = driver.execute_script("return entropyViz.group('solver', 'reward')")
        for numbers in (group["drawn"], group["computed"]):
            for i, values in enumerate(zip(*smooth)):
                mean, sd = statistics.fmean(values), statistics.stdev(values)
                found = [numbers[key][i] for key in ("mean", "low", "high")]
                assert all(abs(a - b) < 1e-12 for a, b in zip(found, [mean, mean - sd, mean + sd])), (i, found)
    hover(driver, "reward", (62 - 1) / 119)
    assert find(driver, ".values-at").text == "reward at step 62"
    driver.execute_script("arguments[0].click()", find(driver, "input[name=kind][value=runs]"))
    settle(driver)
    assert len(all_of(driver, ".legend li")) == 5


def check_place(driver):
    """The page keeps its scroll position when its colours change."""
    driver.execute_script("scrollTo(0, 700)")
    settle(driver)
    for _ in range(2):
        driver.execute_script("document.getElementById('theme').click()")
        settle(driver)
        assert driver.execute_script("return scrollY") == 700
    driver.execute_script("scrollTo(0, 0)")


def check_new_data(driver):
    """A document with other panels, as `watch --serve` may send, keeps the view."""
    slide(driver, 0.3)
    renew = "const data = JSON.parse(document.getElementById('report-data').textContent); data.panels = %s; entropyViz.render(data)"
    for panels, count in [("[]", 1), ("data.panels.slice(1)", 2), ("data.panels", 3)]:
        driver.execute_script(renew % panels)
        settle(driver)
        assert len(all_of(driver, ".u-over")) == count and driver.execute_script("return entropyViz.view.weight") == 0.3


def main():
    tmp, program = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    with tempfile.TemporaryDirectory() as profiles:
        for name in ["runs", "groups"]:
            page = tmp / f"{name}.html"
            for width, height, scheme in [(1280, 900, "light"), (390, 844, "dark")]:
                driver = driver_of(f"{profiles}/{name}-{width}", width, height, scheme)
                try:
                    driver.get(page.as_uri())
                    settle(driver)
                    check_width(driver)
                    if folder:
                        folder.mkdir(exist_ok=True)
                        keep(driver, folder, f"{name}-{width}-{scheme}", width)
                    if width > 600 and name == "runs":
                        check_values(driver)
                        check_cursor(driver)
                        check_keyboard(driver)
                        check_zoom(driver, page)
                        check_downloads(driver, page)
                        check_labels(driver, page)
                        check_command(driver, page, program)
                        check_layout(driver)
                        check_place(driver)
                        check_new_data(driver)
                    elif width > 600:
                        check_groups(driver)
                    check_quiet(driver, page)
                    print(f"ok {name} at {width} px, {scheme}")
                finally:
                    driver.quit()


if __name__ == "__main__":
    main()
