"""Checks the page of `report` in a real browser: what a reader sees, clicks, and hears from a screen reader.

`cargo test --test main report::` makes the pages in target/tmp/report and runs this script. Expected numbers are computed
here from the logs. With a second directory, it saves pictures of each page: light, dark, phone and paper.

    python3 tests/browser/report_check.py target/tmp/report [PICTURES]
"""
import base64
import csv
import json
import math
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import tokens_check
from tokens_check import driver_of

MODELS = Path(__file__).parent.parent / "fixtures" / "models"


def histories():
    """{label: {step: entropy}} of the fixtures; the later row of a step counts."""
    logs = {}
    for path in sorted(MODELS.glob("*/entropy_history_*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        logs[path.parent.name] = {row["step"]: row["entropy"] for row in rows}
    return logs


def ema(values, weight):
    """TensorBoard's debiased moving average."""
    last, shown = 0.0, []
    for n, value in enumerate(values, 1):
        last = weight * last + (1 - weight) * value
        shown.append(last / (1 - weight**n))
    return shown


def find(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


def all_of(driver, selector):
    return driver.find_elements(By.CSS_SELECTOR, selector)


def settle(driver):
    """Waits until the page is drawn."""
    driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30)))")


def picture(driver):
    """The pixels of the chart."""
    settle(driver)
    return driver.execute_script("return document.querySelector('#chart canvas').toDataURL()")


def hover(driver, share, height=0.5):
    """Puts the mouse at a share of the plot's width and height."""
    over = find(driver, ".u-over")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
    width, tall = over.size["width"], over.size["height"]
    ActionChains(driver).move_to_element_with_offset(over, round((share - 0.5) * width), round((height - 0.5) * tall)).perform()
    settle(driver)


def tip(driver):
    """The tooltip: its heading, and a value per name."""
    head = find(driver, ".tip .at").text
    rows = {find_in(row, ".name").get_attribute("textContent"): find_in(row, ".numbers").text for row in all_of(driver, ".tip li")}
    return head, rows


def four_digits(value):
    """A number from 1e-4 to 1e4 with four significant digits."""
    return f"{value:#.4g}"


def click_plot(driver, share, height=0.5):
    hover(driver, share, height)
    ActionChains(driver).click().perform()
    settle(driver)


def find_in(element, selector):
    return element.find_element(By.CSS_SELECTOR, selector)


def legend(driver):
    return driver.execute_script("""
        return Object.fromEntries([...document.querySelectorAll('.legend li')].map(row =>
            [row.querySelector('label').title, row.querySelector('.value').textContent]))""")


def check_quiet(driver, page):
    """Checks that there is no error, no warning, and no request except for the page."""
    said = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not said, said
    asked = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        # The browser's start page makes requests of its own.
        if message["method"] == "Network.requestWillBeSent" and not message["params"]["documentURL"].startswith("chrome://"):
            asked.append(message["params"]["request"]["url"])
    others = [url for url in asked if url != page.as_uri() and not url.startswith("data:")]
    assert page.as_uri() in asked and not others, others


def check_hover(driver, logs):
    hover(driver, (62 - 1) / 119)
    head, rows = tip(driver)
    assert head == "step 62", head
    shown = {label: values[62] for label, values in logs.items() if 62 in values}
    short_name = lambda label: label.removeprefix("qwen3-tiny_")
    for label, value in shown.items():
        name = short_name(label)
        assert rows.get(name) == four_digits(value), f"{name}: {rows.get(name)} instead of {four_digits(value)}"
        assert legend(driver)[label] == four_digits(value)
    # questioner_log5 logs every fifth step: its nearest point is shown, with its step.
    log5 = logs["qwen3-tiny_questioner_log5"]
    assert rows["questioner_log5"] == f"{four_digits(log5[60])} step 60", rows
    # A click fixes the cursor, and the values are exact.
    click_plot(driver, (62 - 1) / 119)
    hover(driver, 0.9)
    head, rows = tip(driver)
    values = legend(driver)
    assert head == "step 62", head
    for label, value in shown.items():
        assert rows[short_name(label)] == repr(value) == values[label], (label, rows, values)
    assert rows["questioner_log5"] == f"{log5[60]!r} step 60", rows
    wide, inside = driver.execute_script("""
        const [box, over] = ['.tip', '.u-over'].map((selector) => document.querySelector(selector).getBoundingClientRect());
        const cut = [...document.querySelectorAll('.tip li')].filter((row) => row.querySelector('.numbers').getBoundingClientRect().right > box.right);
        return [box.width / over.width, cut.length];""")
    assert 0.1 < wide <= 1 / 3 and inside == 0, (wide, inside)
    click_plot(driver, (62 - 1) / 119)
    hover(driver, (118 - 1) / 119)
    # After the end of a run, it has no value.
    head, rows = tip(driver)
    assert head == "step 118" and "solver_resumed" not in rows and rows["solver_s1"] == four_digits(logs["qwen3-tiny_solver_s1"][118]), rows


def check_narrow_tip(driver):
    """Where a third of the plot has no room for names, the values stand below the chart."""
    at_size(driver, 390, 800)
    hover(driver, 0.5)
    below, left, right = driver.execute_script("""
        const box = document.querySelector('.tip').getBoundingClientRect();
        return [box.top - document.querySelector('.u-wrap').getBoundingClientRect().bottom, box.left, innerWidth - box.right];""")
    assert below >= 0 and left >= 0 and right >= 0, (below, left, right)
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    settle(driver)


def check_runs(driver):
    """Hiding a run changes the drawing, and showing it again restores it."""
    before = picture(driver)
    boxes = all_of(driver, ".legend input")
    boxes[2].click()
    without = picture(driver)
    assert without != before, "hiding a run changed nothing"
    boxes[2].click()
    assert picture(driver) == before, "showing it again is not as before"
    ActionChains(driver).move_to_element(all_of(driver, ".legend li")[4]).perform()
    all_of(driver, ".legend .only")[4].click()
    assert [box.is_selected() for box in all_of(driver, ".legend input")] == [i == 4 for i in range(7)]
    assert picture(driver) not in (before, without)
    none, everything = find(driver, "[aria-label='Hide all runs']"), find(driver, "[aria-label='Show all runs']")
    none.click()
    assert not any(box.is_selected() for box in all_of(driver, ".legend input"))
    empty = picture(driver)
    everything.click()
    assert picture(driver) == before != empty


def slide(driver, value):
    driver.execute_script("const s = document.getElementById('smoothing'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))", value)
    settle(driver)


def check_smoothing(driver, logs):
    before = picture(driver)
    slide(driver, 0.8)
    assert picture(driver) != before, "the slider changed nothing"
    label = "qwen3-tiny_solver_s1"
    steps = sorted(logs[label])
    expected = ema([logs[label][step] for step in steps], 0.8)
    shown = driver.execute_script("return entropyViz.values(arguments[0])", label)
    assert shown["x"] == steps
    worst = max(abs(a - b) for a, b in zip(shown["y"], expected))
    assert worst < 1e-12, worst
    hover(driver, (62 - 1) / 119)
    head, rows = tip(driver)
    assert head == "step 62: smoothed (logged)" and rows["solver_s1"] == f"{four_digits(expected[61])} ({four_digits(logs[label][62])})", (head, rows)
    click_plot(driver, (62 - 1) / 119)
    shown, logged = tip(driver)[1]["solver_s1"].split(" logged ")
    assert abs(float(shown) - expected[61]) < 1e-12 and logged == repr(logs[label][62]), (shown, logged)
    ActionChains(driver).send_keys(Keys.ESCAPE).perform()
    ActionChains(driver).click().perform()
    slider = find(driver, "#smoothing")
    driver.execute_script("arguments[0].focus()", slider)
    slider.send_keys(Keys.ARROW_RIGHT)
    assert abs(driver.execute_script("return entropyViz.view.weight") - 0.81) < 1e-9
    slide(driver, 0)
    assert picture(driver) == before


def range_of(driver):
    """The shown range of the x axis."""
    found = re.search(r", (\S+) to (\S+) (?:steps|\w+), ", find(driver, "#chart").get_attribute("aria-label"))
    return [float(number.replace(",", "").replace("−", "-")) for number in found.groups()]


def check_zoom(driver):
    before = picture(driver)
    over = find(driver, ".u-over")
    width = over.size["width"]
    drag = ActionChains(driver).move_to_element_with_offset(over, round(-0.25 * width), 0).click_and_hold()
    drag.move_by_offset(round(0.25 * width), 5).move_by_offset(round(0.25 * width), 0).release().perform()
    zoomed = picture(driver)
    assert zoomed != before
    low, high = range_of(driver)
    assert abs(low - (1 + 119 / 4)) <= 1.5 and abs(high - (1 + 119 * 3 / 4)) <= 1.5, (low, high)
    ActionChains(driver).move_to_element(over).double_click().perform()
    assert picture(driver) == before and range_of(driver) == [1, 120]
    find(driver, "[aria-label='Zoom in']").click()
    settle(driver)
    low, high = range_of(driver)
    assert abs((high - low) - 60) <= 1, (low, high)
    find(driver, "[aria-label='Show all']").click()
    assert picture(driver) == before


def check_axes(driver, logs):
    before = picture(driver)
    find(driver, "#log-y").click()
    assert picture(driver) != before, "log y changed nothing"
    find(driver, "#log-y").click()
    assert picture(driver) == before
    relative = find(driver, "input[name=axis][value=relative]")
    driver.execute_script("arguments[0].click()", relative)
    hover(driver, 61 / 119)
    head, rows = tip(driver)
    assert head == "61 steps in", head
    assert rows["solver_s1"] == f"{four_digits(logs['qwen3-tiny_solver_s1'][62])} step 62", rows
    # Its first step is 5: 60 steps in is its step 65.
    assert rows["questioner_log5"] == f"{four_digits(logs['qwen3-tiny_questioner_log5'][65])} step 65", rows
    driver.execute_script("arguments[0].click()", find(driver, "input[name=axis][value=step]"))
    assert not all_of(driver, "input[name=axis][value=time]"), "no run has a clock"


def check_table(driver, logs):
    def column(section, head):
        return next(cell for cell in all_of(driver, f"#{section} thead th") if cell.text.startswith(head))

    means = {label.removeprefix("qwen3-tiny_"): sum(log.values()) / len(log) for label, log in logs.items()}
    names = lambda: [cell.text for cell in all_of(driver, "#runs tbody th")]
    assert names() == sorted(means), "runs stand in their order"
    head = column("runs", "Mean")
    find_in(head, "button").click()
    assert names() == sorted(means, key=means.get, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    find_in(head, "button").send_keys(Keys.ENTER)
    assert names() == sorted(means, key=means.get)
    assert head.get_attribute("aria-sort") == "ascending"
    cells = {find_in(row, "th").text: [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "td")] for row in all_of(driver, "#runs tbody tr")}
    log = logs["qwen3-tiny_solver_s1"]
    lowest = min(log, key=log.get)
    assert f"{log[lowest]:.4f} @ {lowest}" in cells["solver_s1"], cells["solver_s1"]
    # The numbers of a column have the same decimals.
    for table in all_of(driver, "#runs table, #findings table"):
        rows = [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "td")] for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]
        for column in zip(*rows):
            decimals = {len(found[1]) for text in column if (found := re.match(r"−?[\d,]+\.(\d+)", text))}
            whole = [text for text in column if re.fullmatch(r"−?[\d,]+", text)]
            assert len(decimals) <= 1 and not (decimals and whole), column
    assert "collapsed at step 68" in cells["questioner_collapse_s1"]
    assert "collapsed at step 68" in find(driver, "#findings").text
    assert len(all_of(driver, "#bars tbody tr")) == 7
    assert len(all_of(driver, "#groups tbody tr")) == 2 and find(driver, "#pairs").is_displayed()
    assert "7 rows were logged again" in find(driver, "#sources").text


def check_keyboard(driver, logs):
    chart = find(driver, "#chart")
    driver.execute_script("arguments[0].focus()", chart)
    told = lambda: find(driver, "#chart-told").get_attribute("textContent")
    chart.send_keys(Keys.ARROW_RIGHT)
    assert told().startswith("step 1: "), told()
    chart.send_keys(Keys.ARROW_RIGHT)
    assert told().startswith("step 2: ") and f"solver_s1 {logs['qwen3-tiny_solver_s1'][2]:.3f}" in told(), told()
    chart.send_keys(Keys.ENTER)
    assert f"solver_s1 {logs['qwen3-tiny_solver_s1'][2]!r}" in told(), told()
    chart.send_keys(Keys.ENTER, Keys.END)
    assert told().startswith("step 120: "), told()
    chart.send_keys(Keys.ARROW_LEFT)
    assert told().startswith("step 119: "), told()
    chart.send_keys("+")
    settle(driver)
    low, high = range_of(driver)
    assert high - low < 70, (low, high)
    chart.send_keys("0", Keys.ESCAPE)
    settle(driver)
    assert range_of(driver) == [1, 120] and not find(driver, ".tip").is_displayed()
    for element in all_of(driver, "button, input, [tabindex='0']"):
        name = element.accessible_name
        assert name or element.tag_name == "pre" or not element.is_displayed(), element.get_attribute("outerHTML")


def check_themes(driver):
    ground = lambda: find(driver, "body").value_of_css_property("background-color")
    first, before = ground(), picture(driver)
    find(driver, "#theme").click()
    assert ground() != first and picture(driver) != before
    dark = sorted([first, ground()])
    assert dark == ["rgba(18, 21, 26, 1)", "rgba(255, 255, 255, 1)"], dark
    find(driver, "#theme").click()
    assert ground() == first and picture(driver) == before


def check_new_data(driver):
    """`render` with another document keeps the reader's settings."""
    all_of(driver, ".legend input")[1].click()
    find(driver, "[aria-label='Zoom in']").click()
    slide(driver, 0.5)
    before, shown = picture(driver), range_of(driver)
    renew = "const data = JSON.parse(document.getElementById('report-data').textContent); data.title = 'Newer'; %s; entropyViz.render(data)"
    driver.execute_script(renew % "")
    assert picture(driver) == before and find(driver, "h1").text == "Newer"
    driver.execute_script(renew % "data.runs.splice(3, 1); delete data.bands")
    settle(driver)
    assert len(all_of(driver, ".legend li")) == 6 and range_of(driver) == shown
    assert [box.is_selected() for box in all_of(driver, ".legend input")] == [True, False, True, True, True, True]
    assert abs(driver.execute_script("return entropyViz.view.weight") - 0.5) < 1e-12


VIEW = "const v = entropyViz.view; return {...v, hidden: [...v.hidden], hiddenGroups: [...v.hiddenGroups], sort: null, theme: document.documentElement.dataset.theme ?? null}"


def fresh(driver, url):
    """Opens an address in a page that has no view yet."""
    driver.get("about:blank")
    driver.get(url)
    settle(driver)


def check_address(driver, page):
    """A copied address and a reload show the same view; an address that makes no sense shows the page as it opens."""
    fresh(driver, page.as_uri())
    first, opened = picture(driver), driver.execute_script(VIEW)
    time.sleep(0.4)
    assert driver.current_url == page.as_uri(), "nothing was chosen"
    find(driver, "#theme").click()
    driver.execute_script("arguments[0].click()", find(driver, "input[name=kind][value=runs]"))
    driver.execute_script("arguments[0].click()", find(driver, "input[name=axis][value=relative]"))
    find(driver, "#log-y").click()
    find(driver, "[aria-label='Zoom in']").click()
    slide(driver, 0.7)
    all_of(driver, ".legend input")[4].click()
    driver.execute_script("Object.assign(entropyViz.view, {query: 'solver', onlyMatches: true}); entropyViz.render(JSON.parse(document.getElementById('report-data').textContent))")
    chosen, shown = driver.execute_script(VIEW), picture(driver)
    assert shown != first and chosen["onlyMatches"] and chosen["hidden"] == ["qwen3-tiny_solver_resumed"], chosen
    time.sleep(0.4)
    url = driver.current_url
    assert url.startswith(page.as_uri() + "#") and len(url) < len(page.as_uri()) + 300, url
    for again in [lambda: fresh(driver, url), driver.refresh]:
        again()
        assert driver.execute_script(VIEW) == chosen and picture(driver) == shown
    # A link inside the page does not lose the view.
    driver.execute_script("location.hash = '#sources'")
    time.sleep(0.5)
    assert driver.current_url == url
    # A pasted address changes the page that is open.
    driver.execute_script("location.hash = '#smooth=0.25&view=runs&show=qwen3-tiny_solver_s1'")
    settle(driver)
    seen = driver.execute_script(VIEW)
    assert seen["weight"] == 0.25 and len(seen["hidden"]) == 6 and seen["theme"] is None and not seen["log"] and seen["axis"] == "step", seen
    assert [box.is_selected() for box in all_of(driver, ".legend input")] == [False] * 5 + [True, False]
    for odd in ["x=<b>&smooth=x&from=9&to=1&log=7&theme=red&view=all", "from=1e9&to=2e9", "low=nan&high=3", "%&=%ff", "hide=nobody"]:
        fresh(driver, page.as_uri() + "#" + odd)
        seen = driver.execute_script(VIEW)
        assert {**seen, "hidden": []} == opened and picture(driver) == first, (odd, seen)
    fresh(driver, page.as_uri())


def check_search(driver):
    """`Show only matches` hides what the search does not find; without it the search only shortens the list."""
    before = picture(driver)
    box = find(driver, "input[type=search]")
    box.send_keys("_SEED7")
    assert picture(driver) == before
    shown = [row.is_displayed() for row in all_of(driver, ".legend li")]
    assert sum(shown) == 1, sum(shown)
    find(driver, "#only-matches").click()
    one = picture(driver)
    label = find(driver, "#chart").get_attribute("aria-label")
    assert one != before and label.startswith("Entropy of 1 of 40 runs"), label
    box.send_keys("no such run")
    settle(driver)
    assert find(driver, "#chart .empty").text == "No run matches the search."
    driver.execute_script("const box = arguments[0]; box.value = ''; box.dispatchEvent(new Event('input'))", box)
    find(driver, "#only-matches").click()
    assert picture(driver) == before


def check_box_and_wheel(driver):
    """A drag across both axes zooms into a box; the wheel zooms only with Ctrl."""
    before = picture(driver)
    over = find(driver, ".u-over")
    width, height = over.size["width"], over.size["height"]
    values = lambda: [float(number) for number in re.search(r", ([\d.]+) to ([\d.]+) nats", find(driver, "#chart").get_attribute("aria-label")).groups()]
    low, high = values()
    drag = ActionChains(driver).move_to_element_with_offset(over, round(-0.25 * width), round(-0.25 * height)).click_and_hold()
    drag.move_by_offset(round(0.25 * width), round(0.25 * height)).move_by_offset(round(0.25 * width), round(0.25 * height)).release().perform()
    settle(driver)
    (left, right), (bottom, top) = range_of(driver), values()
    assert abs(left - (1 + 119 / 4)) <= 1.5 and abs(right - (1 + 119 * 3 / 4)) <= 1.5, (left, right)
    tall = high - low
    assert abs(bottom - (low + tall / 4)) < 0.02 * tall and abs(top - (high - tall / 4)) < 0.02 * tall, (bottom, top, low, high)
    ActionChains(driver).move_to_element(over).double_click().perform()
    ActionChains(driver).move_to_element(find(driver, "h1")).perform()
    assert picture(driver) == before
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
    at = driver.execute_script("return scrollY")
    turn = "arguments[0].dispatchEvent(new WheelEvent('wheel', {deltaY: -100, ctrlKey: arguments[1], bubbles: true, cancelable: true, clientX: arguments[0].getBoundingClientRect().left + arguments[0].clientWidth / 2}))"
    assert driver.execute_script("return " + turn, over, False), "the page may scroll"
    settle(driver)
    assert range_of(driver) == [1, 120]
    assert not driver.execute_script("return " + turn, over, True), "the page may not scroll"
    settle(driver)
    left, right = range_of(driver)
    assert 50 < right - left < 80 and abs((left + right) / 2 - 60.5) <= 1.5, (left, right)
    assert driver.execute_script("return scrollY") == at
    find(driver, "[aria-label='Show all']").click()
    assert picture(driver) == before


def check_width(driver):
    wide = driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} px too wide"


def at_size(driver, width, height):
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
    settle(driver)


def check_fold(driver):
    """The whole chart is in sight at 1280 x 800, beside a list that scrolls; on phones no table has a tall head."""
    at_size(driver, 1280, 800)
    chart, side, heads = driver.execute_script("""
        const box = (selector) => document.querySelector(selector).getBoundingClientRect();
        const list = document.querySelector('.legend');
        return [[box('#chart').bottom + scrollY, box('#chart').height], [box('.side').bottom - box('.main').bottom, list.scrollHeight - list.clientHeight],
                document.querySelectorAll('.legend li').length]""")
    assert chart[0] <= 800 and chart[1] >= 300, chart
    assert side[0] <= 1 and (side[1] > 0) == (heads > 15), (side, heads)
    at_size(driver, 390, 800)
    check_width(driver)
    tall, cut = driver.execute_script("""
        return [Math.max(...[...document.querySelectorAll('thead')].map((head) => head.getBoundingClientRect().height)),
                [...document.querySelectorAll('tbody th')].filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)]""")
    assert tall < 40 and cut == [], (tall, cut)
    outside = driver.execute_script("""
        return [...document.querySelectorAll('#curves button, #curves input, #curves label, .in-terminal')]
            .filter((element) => element.getBoundingClientRect().right > innerWidth).map((element) => element.outerHTML)""")
    assert outside == [], outside
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    settle(driver)


def check_long(driver):
    """Forty long names: each ends with what tells it from the others, in the list too."""
    check_folded_bars(driver)
    check_fold(driver)
    check_search(driver)
    ends = driver.execute_script("""
        const list = document.querySelector('.legend').getBoundingClientRect();
        return [...document.querySelectorAll('.legend li')].map((row) => {
            const tail = row.querySelector('.name').lastChild;
            return [row.querySelector('label').title.endsWith(tail.textContent) && tail.textContent.length >= 8, tail.getBoundingClientRect().right < list.right];
        })""")
    assert len(ends) == 40 and all(end == [True, True] for end in ends), ends
    # No run collapsed: the four highest and the four lowest are in colour, and stand first.
    assert "8 of 40 runs in colour: collapsed, exploded, highest and lowest; grey: the others" in find(driver, "#chart-words").text
    rows = driver.execute_script("return [...document.querySelectorAll('.legend li')].map((row) => [row.querySelector('label').title, row.querySelector('.swatch').classList.contains('unstyled')])")
    assert [grey for _, grey in rows] == [False] * 8 + [True] * 32, rows
    number = lambda label: int(re.search(r"(\d+)$", label)[1])
    assert sorted(number(label) for label, grey in rows if not grey) == [0, 1, 2, 3, 36, 37, 38, 39], rows


def members_of(logs, name, weight=0):
    """{step: values} of the runs of a group, each smoothed first."""
    values = {}
    for label, log in sorted(logs.items()):
        if name in label:
            steps = sorted(log)
            for step, value in zip(steps, ema([log[step] for step in steps], weight)):
                values.setdefault(step, []).append(value)
    return values


def check_groups(driver, logs):
    """Groups are means with bands: the numbers of the statistics module, for any weight."""
    assert [find_in(row, "label").get_attribute("title") for row in all_of(driver, ".legend li")] == ["questioner", "solver"]
    assert "band: ± standard deviation of runs" in find(driver, "#chart-words").text
    first = picture(driver)
    for weight in [0, 0.8, 0.35]:
        slide(driver, weight)
        group = driver.execute_script("return entropyViz.group('solver')")
        rows = members_of(logs, "solver", weight)
        assert group["x"] == sorted(rows) and group["runs"] == [len(rows[step]) for step in group["x"]]
        means = [statistics.fmean(rows[step]) for step in group["x"]]
        spreads = [statistics.stdev(rows[step]) for step in group["x"]]
        for numbers in (group["drawn"], group["computed"]):
            expected = [means, [m - sd for m, sd in zip(means, spreads)], [m + sd for m, sd in zip(means, spreads)]]
            worst = max(abs(a - b) for key, values in zip(["mean", "low", "high"], expected) for a, b in zip(numbers[key], values))
            assert worst < 1e-12, (weight, worst)
    assert "each smoothed by EMA with weight 0.35 first" in find(driver, "#chart-words").text
    # The last mean of a group says of how many runs it is, if some ended before.
    ended = [label for label, rows in logs.items() if "solver" in label and group["x"][-1] not in rows]
    value = find_in(all_of(driver, ".legend li")[1], ".value").text
    assert ended and value.endswith(f" ({group['runs'][-1]} runs)"), (ended, value)
    slide(driver, 0)
    assert picture(driver) == first
    click_plot(driver, (62 - 1) / 119)
    solver = members_of(logs, "solver")[62]
    mean, low, high = re.fullmatch(r"([\d.]+) ([\d.]+)–([\d.]+)", tip(driver)[1]["solver"]).groups()
    mid, sd = statistics.fmean(solver), statistics.stdev(solver)
    assert all(abs(float(a) - b) < 1e-12 for a, b in zip([mean, low, high], [mid, mid - sd, mid + sd])), (mean, low, high)
    # From step 101 on, one of three runs has ended.
    click_plot(driver, (110 - 1) / 119)
    assert tip(driver)[1]["solver"].endswith(", 2 runs"), tip(driver)
    ActionChains(driver).send_keys(Keys.ESCAPE).move_to_element(find(driver, "h1")).perform()
    all_of(driver, ".legend input")[0].click()
    assert picture(driver) != first
    find(driver, "[aria-label='Show all runs']").click()
    assert picture(driver) == first
    driver.execute_script("arguments[0].click()", find(driver, "input[name=kind][value=runs]"))
    assert len(all_of(driver, ".legend li")) == 7 and picture(driver) != first


def downloaded(driver, folder, kind):
    """Clicks a button of a file and returns its name and content."""
    for old in folder.iterdir():
        old.unlink()
    find(driver, f"[aria-label='Download what is shown as {kind}']").click()
    for _ in range(100):
        done = [path for path in folder.iterdir() if path.suffix == f".{kind.lower()}"]
        if done and done[0].stat().st_size > 0:
            time.sleep(0.1)
            return done[0].name, done[0].read_bytes()
        time.sleep(0.05)
    raise AssertionError(f"no {kind}: {list(folder.iterdir())}")


def check_downloads(driver, logs, page):
    """PNG, SVG and CSV have what is shown, with the title and the names; the command follows the view."""
    fresh(driver, page.as_uri() + "#view=runs&hide=qwen3-tiny_solver_s2&smooth=0.5")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        name, png = downloaded(driver, folder, "PNG")
        assert name == "Policy_entropy.png" and png[:8] == b"\x89PNG\r\n\x1a\n", name
        width, height = (int.from_bytes(png[at:at + 4], "big") for at in (16, 20))
        assert (width, height) == (2240, 1200) and len(png) > 50_000, (width, height, len(png))

        _, svg = downloaded(driver, folder, "SVG")
        root = ElementTree.fromstring(svg)
        space = "{http://www.w3.org/2000/svg}"
        texts = ["".join(text.itertext()) for text in root.iter(f"{space}text")]
        names = [label.removeprefix("qwen3-tiny_") for label in logs]
        assert "Policy entropy" in texts and "training step" in texts and "collapsed at step 68" in texts, texts
        assert [name for name in texts if name in names] == [name for name in names if name != "solver_s2"], texts
        # A smoothed line of 2 px and a faint one for each of the six runs.
        widths = [float(line.get("stroke-width")) for line in root.iter(f"{space}path") if line.get("stroke-width")]
        assert widths.count(2) >= 6 and widths.count(0.9) == 6, widths

        _, csv_bytes = downloaded(driver, folder, "CSV")
        rows = list(csv.DictReader(csv_bytes.decode().splitlines()))
        assert list(rows[0]) == ["run", "step", "entropy", "ema_0.5"]
        for label, log in logs.items():
            steps = sorted(log)
            found = [row for row in rows if row["run"] == label]
            if label.endswith("solver_s2"):
                assert found == []
                continue
            assert [float(row["step"]) for row in found] == steps and [float(row["entropy"]) for row in found] == [log[step] for step in steps]
            shown = ema([log[step] for step in steps], 0.5)
            assert max(abs(float(row["ema_0.5"]) - value) for row, value in zip(found, shown)) < 1e-12

        # A logarithmic axis has ticks at 1, 2 and 5 times the powers of ten.
        fresh(driver, page.as_uri() + "#view=runs&log=1")
        root = ElementTree.fromstring(downloaded(driver, folder, "SVG")[1])
        ticks = ["".join(text.itertext()) for text in root.iter(f"{space}text") if text.get("text-anchor") == "end"]
        assert len(ticks) >= 8 and {tick.strip("0.") for tick in ticks} == {"1", "2", "5"}, ticks

        # A range of steps, and groups.
        fresh(driver, page.as_uri() + "#from=10&to=20")
        _, csv_bytes = downloaded(driver, folder, "CSV")
        rows = [row for row in csv.DictReader(csv_bytes.decode().splitlines()) if row["group"] == "solver"]
        members = members_of(logs, "solver")
        assert [float(row["step"]) for row in rows] == list(range(10, 21))
        for row in rows:
            values = members[float(row["step"])]
            mean, sd = statistics.fmean(values), statistics.stdev(values)
            assert all(abs(float(row[key]) - value) < 1e-12 for key, value in [("mean", mean), ("low", mean - sd), ("high", mean + sd)])
        _, svg = downloaded(driver, folder, "SVG")
        root = ElementTree.fromstring(svg)
        texts = ["".join(text.itertext()) for text in root.iter(f"{space}text")]
        assert "questioner, n = 4" in texts and "solver, n = 3" in texts, texts
        assert [path.get("fill-opacity") for path in root.iter(f"{space}path") if path.get("fill-opacity")] == ["0.18", "0.18"]
    command = lambda: find(driver, ".in-terminal code").text
    base = "entropy-viz plot --terminal "
    assert command().startswith(base) and command().endswith(" --group 'questioner|solver' --from-step=10 --to-step=20"), command()
    driver.execute_script("arguments[0].click()", find(driver, "[aria-label='Show all']"))
    find(driver, "#log-y").click()
    slide(driver, 0.9)
    assert command().endswith(" --group 'questioner|solver' --smooth ema:0.9 --log-y"), command()
    find(driver, "[aria-label='Copy the command']").click()
    settle(driver)
    assert find(driver, "[aria-label='Copy the command']").text == "Copied"
    fresh(driver, page.as_uri())


def check_models(driver, logs, page):
    check_fold(driver)
    check_groups(driver, logs)
    check_hover(driver, logs)
    check_narrow_tip(driver)
    ActionChains(driver).move_to_element(find(driver, "h1")).perform()
    check_runs(driver)
    check_smoothing(driver, logs)
    check_zoom(driver)
    check_box_and_wheel(driver)
    check_axes(driver, logs)
    check_table(driver, logs)
    check_keyboard(driver, logs)
    check_themes(driver)
    check_new_data(driver)
    check_address(driver, page)
    check_downloads(driver, logs, page)
    paper = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert paper.startswith(b"%PDF") and len(paper) > 20_000
    settle(driver)
    assert range_of(driver) == [1, 120], "the page is as it was before printing"


def check_collapses(driver):
    """A text of an event is within 30 px of its circle, nearer than any other circle; a thin line joins them unless they touch."""
    with tempfile.TemporaryDirectory() as folder:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
        root = ElementTree.fromstring(downloaded(driver, Path(folder), "SVG")[1])
    space = "{http://www.w3.org/2000/svg}"
    circles, leaders = {}, set()
    for path in root.iter(f"{space}path"):
        circle = re.fullmatch(r"M([\d.]+) ([\d.]+)a4\.5 4\.5 .*", path.get("d"))
        if circle and path.get("stroke"):
            circles[float(circle[1]) + 4.5, float(circle[2])] = path.get("stroke")
        leader = re.fullmatch(r"M([\d.]+) ([\d.]+)L[\d.]+ [\d.]+", path.get("d"))
        if leader and path.get("stroke-width") == "1":
            leaders.add((float(leader[1]), float(leader[2])))
    assert len(circles) == 12, circles
    texts = [text for text in root.iter(f"{space}text") if "collapsed at" in "".join(text.itertext()) and text.get("fill") != "none"]
    assert texts, "no text has room"
    for text in texts:
        width = driver.execute_script("""
            const context = document.createElement('canvas').getContext('2d');
            context.font = `${arguments[1]}px ${arguments[2]}`;
            return context.measureText(arguments[0]).width;""", "".join(text.itertext()), text.get("font-size"), text.get("font-family"))
        left, baseline = float(text.get("x")), float(text.get("y"))
        far = lambda at: math.hypot(max(left - at[0], 0, at[0] - left - width), max(baseline - 12 - at[1], 0, at[1] - baseline - 4))
        nearest = min(circles, key=far)
        assert far(nearest) <= 30 and circles[nearest] == text.get("fill"), ("".join(text.itertext()), far(nearest))
        joined = any(math.hypot(at[0] - nearest[0], at[1] - nearest[1]) < 0.1 for at in leaders)
        assert joined or far(nearest) < 20, ("".join(text.itertext()), far(nearest), leaders)


def check_folded_bars(driver):
    """The bars of many runs are folded where each takes three lines, and printed open."""
    folded = lambda: not driver.execute_script("return document.querySelector('#bars details').open")
    assert not folded()
    at_size(driver, 390, 800)
    fresh(driver, driver.current_url)
    assert folded() and driver.execute_script("return document.getElementById('bars').offsetHeight") < 200
    driver.execute_cdp_cmd("Page.printToPDF", {})
    assert not folded(), "the bars are not on paper"
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    fresh(driver, driver.current_url)


def check_many(driver, tmp):
    """A reduced curve says so, and its buckets match the log."""
    assert "210,000 points are too many" in find(driver, "#chart-words").text
    hover(driver, 0.4)
    assert len(all_of(driver, ".tip li")) == 8 and find(driver, ".tip").text.endswith("and 13 more, in the list")
    click_plot(driver, 0.4)
    head, rows = tip(driver)
    low, high = [int(number.replace(",", "")) for number in re.fullmatch(r"steps ([\d,]+)–([\d,]+)", head).groups()]
    name, words = next(iter(rows.items()))
    labels = driver.execute_script("return [...document.querySelectorAll('.legend label')].map(l => [l.title, l.textContent])")
    label = next(title for title, text in labels if text == name)
    rows_of = json.loads((tmp / "many" / f"entropy_history_{label}.json").read_text(encoding="utf-8"))
    values = [row["entropy"] for row in rows_of if low <= row["step"] <= high]
    found = re.fullmatch(r"([\d.]+) mean of (\d+) steps, ([\d.]+)–([\d.]+)", words)
    assert found, words
    assert int(found[2]) == len(values) == high - low + 1
    for shown, expected in [(found[1], sum(values) / len(values)), (found[3], min(values)), (found[4], max(values))]:
        assert math.isclose(float(shown), expected, rel_tol=1e-3), (words, expected)


def check_clock(driver, tmp):
    rows = [json.loads(line) for line in (tmp / "clock.jsonl").read_text().splitlines()]
    driver.execute_script("arguments[0].click()", find(driver, "input[name=axis][value=time]"))
    settle(driver)
    assert "1 run has no clock" in find(driver, "#chart-words").text
    hover(driver, 20 / 59)
    head, shown = tip(driver)
    assert head == "30.00 min", head
    assert list(shown.values()) == [f"{four_digits(rows[20]['entropy'])} step 21"], shown


def check_hostile(driver):
    assert driver.execute_script("return document.querySelectorAll('img, b b, [onerror]').length") == 0
    text = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    for selector in [".legend", "#runs", "#sources", "#bars", "#pairs"]:
        assert text in find(driver, selector).get_attribute("textContent"), selector
    hover(driver, 0.5)
    assert text in find(driver, ".tip").get_attribute("textContent")


def keep(driver, pictures, name, width):
    tall = driver.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(tall, 8000), "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    (pictures / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def main():
    tmp = Path(sys.argv[1]).resolve()
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    logs = histories()
    checks = {
        "models": lambda driver: check_models(driver, logs, tmp / "models.html"),
        "many": lambda driver: check_many(driver, tmp),
        "clock": lambda driver: check_clock(driver, tmp),
        "hostile": check_hostile,
        "collapses": check_collapses,
        "long": check_long,
        "tokens": lambda driver: (tokens_check.check(driver), check_width(driver)),
    }
    with tempfile.TemporaryDirectory() as profiles:
        for name, check in checks.items():
            page = tmp / f"{name}.html"
            for width, height, scheme in [(1280, 900, "light"), (360, 780, "dark")]:
                started = time.monotonic()
                driver = driver_of(f"{profiles}/{name}-{width}", width, height, scheme)
                try:
                    driver.get(page.as_uri())
                    settle(driver)
                    check_width(driver)
                    if pictures:
                        pictures.mkdir(exist_ok=True)
                        keep(driver, pictures, f"{name}-{width}-{scheme}", width)
                    if width > 600 or name == "tokens":
                        check(driver)
                    check_quiet(driver, page)
                    print(f"ok {name} at {width} px, {scheme}: {time.monotonic() - started:.1f} s")
                finally:
                    driver.quit()


if __name__ == "__main__":
    main()
