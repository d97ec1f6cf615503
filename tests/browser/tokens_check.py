"""Checks the section on token entropies in a real browser: templates/tokens/*.js and tokens.css.

`check(driver)` takes a selenium driver that is at a page with the section, and fails with an AssertionError that says
what is wrong. `check_hostile(driver)` is for the page of a dump whose texts would run if they were markup. Alone, this
script opens the pages that `cargo test report::tokens` leaves in target/tmp/tokens, under a policy as strict as the
report's, at two widths and in both themes, and can keep pictures:

    pip install selenium==4.51.0          # and a chromium with its driver
    cargo test --bin entropy-viz report::tokens
    python3 tests/browser/tokens_check.py target/tmp/tokens [PICTURES]
"""
import base64
import hashlib
import math
import re
import shutil
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]


def find(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, "#tokens " + selector)


def all_of(driver, selector):
    return driver.find_elements(By.CSS_SELECTOR, "#tokens " + selector)


def document(driver):
    return driver.execute_script("return JSON.parse(document.getElementById('tokens-data').textContent)")


def check(driver):
    data = document(driver)
    check_contents(driver, data)
    check_histogram(driver, data)
    check_heat_map(driver, data)
    check_bands(driver, data)
    check_finish(driver, data)
    check_keyboard(driver)
    check_steps(driver, data)
    check_groups(driver, data)
    check_contrast(driver)
    check_layout(driver)


def of_step(data, step, group=None):
    """The responses on the page of a step and a group."""
    return [response for response in data["responses"] if response["step"] == step and (group is None or group in response["groups"])]


def check_contents(driver, data):
    """The page shows the numbers of the document, and names what the dump cannot carry."""
    assert find(driver, "h2").text == "Tokens"
    mine = of_step(data, len(data["steps"]) - 1)
    rows = all_of(driver, ".responses [role=option]")
    assert len(rows) == len(mine), f"{len(rows)} rows for {len(mine)} responses"
    shown = driver.execute_script("return [...document.querySelectorAll('#tokens .reading [data-at]')].map(t => t.textContent)")
    kinds = [data["kinds"][kind] for kind in mine[0]["kinds"]]
    assert shown == [text if text is not None else f"⟨{kind}⟩" for kind, text in kinds], "tokens differ from the document"
    for missing in data["missing"]:
        assert f"{missing['section']} ({missing['reason']})" in find(driver, ".missing").text, missing
    last = data["steps"][-1]
    headings = [heading.text for heading in all_of(driver, "h3")]
    for section, words in [("covariance", "Covariance"), ("mismatch", "Mismatch"), ("diversity", "Diversity")]:
        has = any(step[section] for step in data["steps"])
        assert has == any(heading.startswith(words) for heading in headings), f"{section}: {headings}"
    for grouping in data["groupings"]:
        assert f"By {grouping['title']}" in headings, headings
    assert ("KL to the reference, and other columns" in headings) == any(column[0] == "kl" for column in last["all"]["columns"])
    links = driver.execute_script("return [...document.querySelectorAll('#tokens .contents a')].map(a => !!document.querySelector(a.getAttribute('href')))")
    assert links and all(links), "a link of the contents leads nowhere"
    assert "aggregates of every token" in find(driver, ".note").text
    left_out = data["left_out"]["responses"]
    if left_out:
        assert f"{len(data['responses']):,} of {data['totals']['responses']:,} responses" in find(driver, ".note").text
    assert not driver.execute_script("return document.querySelectorAll('#tokens [style]').length"), "a style attribute"


def check_histogram(driver, data):
    """Bins are drawn side by side, each as wide as its range of entropies on the axis, and as high as its count."""
    entropy = data["steps"][-1]["all"]["entropy"]
    if not entropy:
        assert not all_of(driver, "[data-bin]")
        return
    bars = driver.execute_script("""
        const svg = document.querySelector('#tokens [data-bin]').ownerSVGElement;
        const ticks = [...svg.querySelectorAll('text[text-anchor=middle]')].map(t => [t.textContent, Number(t.getAttribute('x'))]).filter(([t]) => /^[0-9.]+$/.test(t));
        const bars = [...svg.querySelectorAll('[data-bin]')].map(bar => [Number(bar.dataset.bin), ...['x', 'width', 'height'].map(name => Number(bar.getAttribute(name)))]);
        return [ticks, bars];""")
    (zero, at_zero), (tick, at_tick) = [(float(words), x) for words, x in (bars[0][0], bars[0][-1])]
    per_nat = (at_tick - at_zero) / (tick - zero)
    counts = entropy["histogram"]
    width = data["settings"]["histogram_max"] / len(counts)
    assert [bar[0] for bar in bars[1]] == [i for i, count in enumerate(counts) if count], "bins with tokens"
    heights = {}
    for index, x, drawn, height in bars[1]:
        assert abs(drawn - width * per_nat) < 0.01, f"bin {index} is {drawn} px wide, not {width * per_nat}"
        assert abs(x - (at_zero + index * width * per_nat)) < 0.01, f"bin {index} is at {x}"
        heights[index] = height
    most = max(heights, key=lambda index: counts[index])
    for index, height in heights.items():
        expected = math.log10(1 + counts[index]) / math.log10(1 + counts[most]) * heights[most]
        assert abs(height - expected) < 0.01, f"bin {index} is {height} px high, not {expected}"


def check_heat_map(driver, data):
    """Every cell with tokens is drawn; pointing shows its numbers, a click the responses behind it."""
    steps = data["steps"]
    source = steps[-1]["source"]
    cells = {(i, bin): numbers for i, step in enumerate(steps) if step["source"] == source
             for bin, numbers in enumerate(step["all"]["positions"]) if numbers[0]}
    drawn = driver.execute_script("return [...document.querySelectorAll('#tokens [data-cell]')].map(cell => cell.dataset.cell)")
    assert sorted(drawn) == sorted(f"{step} {bin}" for step, bin in cells), "cells differ from the document"
    if not cells:
        return
    place, bin = list(cells)[len(cells) // 2]
    tokens, behind, mean, *_ = cells[place, bin]
    driver.execute_script("""
        const cell = document.querySelector(`#tokens [data-cell="${arguments[0]} ${arguments[1]}"]`);
        cell.dispatchEvent(new MouseEvent('mousemove', {bubbles: true}));""", place, bin)
    tip = find(driver, ".token-tip").get_attribute("textContent")
    assert f"step {steps[place]['step']}" in tip and f"n = {tokens:,} token" in tip and f"of {behind:,} response" in tip, tip
    assert abs(float(re.search(r"mean ([0-9.]+)", tip).group(1)) - mean) < 2e-3, tip
    driver.execute_script("""
        const cell = document.querySelector(`#tokens [data-cell="${arguments[0]} ${arguments[1]}"]`);
        cell.dispatchEvent(new MouseEvent('click', {bubbles: true}));""", place, bin)
    said = find(driver, ".behind p").text
    assert f"{tokens:,} token" in said and f"{behind:,} response" in said, said
    width = data["settings"]["position_width"]
    expected = sum(len(response["kinds"]) > bin * width for response in of_step(data, place)) + \
        sum((excerpt["step"], excerpt["bin"]) == (place, bin) for excerpt in data["excerpts"])
    rows = all_of(driver, ".behind-list li")
    assert len(rows) == expected and expected >= min(2, behind), f"{len(rows)} responses behind the cell, not {expected}"
    means = [float(re.search(r"mean ([0-9.]+)", row.text).group(1)) for row in rows]
    assert means == sorted(means, reverse=True), means
    # A response of the list opens at the cell's first token.
    links = all_of(driver, ".behind-list .link")
    if links:
        driver.execute_script("arguments[0].click()", links[0])
        assert driver.switch_to.active_element.get_attribute("data-at") == str(bin * width)
        assert links[0].text in find(driver, ".about").text
    driver.execute_script("document.querySelector('#tokens [name=tokens-positions][value=tenths]').click()")
    drawn = driver.execute_script("return document.querySelectorAll('#tokens [data-cell]').length")
    assert drawn == sum(bool(numbers[0]) for step in steps if step["source"] == source for numbers in step["all"]["tenths"])
    driver.execute_script("document.querySelector('#tokens [name=tokens-positions][value=positions]').click()")
    choose_last(driver, data)


def check_bands(driver, data):
    """Bands say what the intervals are over, and are at their values; a band beyond the axis is said to be."""
    clusters = data["settings"]["clusters"]
    charts = driver.execute_script("""
        return [...document.querySelectorAll('#tokens figure')].filter(figure => !figure.hidden).map(figure => {
            const ticks = [...figure.querySelectorAll('svg > text[text-anchor=end]')].map(t => [t.textContent, Number(t.getAttribute('y')) - 4]);
            const bands = [...figure.querySelectorAll('.band')].map(band => [...band.getAttribute('d').matchAll(/ ([-0-9.e]+)/g)].map(found => Number(found[1])));
            return [figure.querySelector('figcaption').textContent, ticks, bands];
        });""")
    for caption, _, _ in charts:
        if "band:" in caption:
            assert f"band: 95 % interval of the mean over {clusters}" in caption, caption
    source = data["steps"][-1]["source"]
    found = [step["covariance"] for step in data["steps"] if step["source"] == source and step["covariance"]]
    if len(found) > 1 and all(one["low"] is not None for one in found):
        [(caption, ticks, bands)] = [chart for chart in charts if chart[0].startswith("Mean covariance over steps")]
        values = [(float(words.replace("−", "-").removesuffix("k")) * (1000 if words.endswith("k") else 1), y) for words, y in ticks]
        (low, at_low), (high, at_high) = values[0], values[-1]
        drawn = [low + (y - at_low) * (high - low) / (at_high - at_low) for y in bands[0]]
        expected = [one["high"] for one in found] + [one["low"] for one in reversed(found)]
        size = max(abs(value) for value in expected)
        assert len(drawn) == len(expected) and all(abs(a - b) <= 1e-6 * size for a, b in zip(drawn, expected)), (caption, drawn, expected)
    for grouping in data["groupings"]:
        chart = [chart for chart in charts if chart[0].startswith(f"Mean entropy by {grouping['title']} (nats)")]
        if not chart:
            continue
        rows = [[step["groups"][place]["entropy"] and step["groups"][place]["entropy"]["mean"] if step["groups"][place] else None for step in data["steps"] if step["source"] == source]
                for place, (other, _) in enumerate((g, name) for g in data["groupings"] for name in g["groups"]) if other is grouping]
        # Entropies are not negative, and the axis is not.
        below = [mean[1] for row in rows for mean, after in zip(row, row[1:]) if mean and after and None not in mean + after and mean[1] < 0]
        assert not below or "beyond the axis" in chart[0][0], (chart[0][0], below)
    if any(step["covariance"] for step in data["steps"]):
        tops = [step["covariance"]["top"] for step in data["steps"] if step["covariance"]]
        kept = [i for i in range(len(tops[0])) if i + 1 == len(tops[0]) or any(top[i]["tokens"] != top[i + 1]["tokens"] for top in tops)]
        heads = [head.get_attribute("textContent") for head in all_of(driver, "[aria-label='Covariance by step'] thead th")]
        shown = [head for head in heads if head.startswith("mean of ")]
        assert shown == [f"mean of {tops[0][i]['share'] * 100:.3g} %" for i in kept], (shown, kept)
        said = driver.execute_script("return document.querySelector('#tokens').textContent.includes('has the same tokens as the next larger share')")
        assert said == (len(kept) < len(tops[0])), "a share that is left out is not named"


def check_finish(driver, data):
    """A response that the length limit ended says so."""
    for row, response in zip(all_of(driver, ".responses [role=option]"), of_step(data, len(data["steps"]) - 1)):
        said = "stopped at the length limit" in row.get_attribute("textContent")
        assert said == (response["finish"] in ("length", "max_tokens")), (response["finish"], row.text)


def choose_last(driver, data):
    if len(data["steps"]) > 1:
        Select(find(driver, "#tokens-step")).select_by_index(len(data["steps"]) - 1)


def check_keyboard(driver):
    """Arrow keys move through responses and tokens, and the focused one is announced."""
    listed = find(driver, ".responses")
    chosen = lambda: find(driver, ".responses [aria-selected=true]").get_attribute("id")
    rows = all_of(driver, ".responses [role=option]")
    driver.execute_script("arguments[0].focus()", listed)
    listed.send_keys(Keys.HOME)
    first = chosen()
    if len(rows) > 1:
        listed.send_keys(Keys.ARROW_DOWN)
        assert chosen() != first, "the arrow key did not move to the next response"
        assert listed.get_attribute("aria-activedescendant") == chosen()
        listed.send_keys(Keys.END)
        assert chosen() == rows[-1].get_attribute("id")
        listed.send_keys(Keys.HOME)
        assert chosen() == first
    listed.send_keys(Keys.ENTER)
    token = driver.switch_to.active_element
    assert token.get_attribute("data-at") == "0", "Enter did not lead into the tokens"
    assert "entropy" in find(driver, ".detail").text and "log-prob" in find(driver, ".detail").text
    assert "nats" in token.get_attribute("aria-label")
    token.send_keys(Keys.ARROW_RIGHT)
    second = driver.switch_to.active_element
    if len(all_of(driver, ".reading [data-at]")) > 1:
        assert second.get_attribute("data-at") == "1", "the arrow key did not move to the next token"
        assert second.get_attribute("aria-describedby") == "tokens-detail"
    assert len(all_of(driver, ".reading [tabindex='0']")) == 1, "one token alone is in the tab order"
    second.send_keys(Keys.END)
    assert driver.switch_to.active_element.get_attribute("data-at") == all_of(driver, ".reading [data-at]")[-1].get_attribute("data-at")
    before = driver.switch_to.active_element.get_attribute("data-at")
    driver.switch_to.active_element.send_keys(Keys.ARROW_UP)
    assert int(driver.switch_to.active_element.get_attribute("data-at")) <= int(before)


def check_steps(driver, data):
    """Another step shows its own numbers, and the same response if it has it."""
    if len(data["steps"]) < 2:
        return
    name = find(driver, ".about").text.split(":")[0]
    mean = find(driver, ".figures dd").text
    Select(find(driver, "#tokens-step")).select_by_index(0)
    names = lambda step: {(r["name"], r["sample"], r["turn"], r["nth"]) for r in of_step(data, step)}
    last = len(data["steps"]) - 1
    if names(0) == names(last):
        assert find(driver, ".about").text.split(":")[0] == name, "the response changed with the step"
    means = [step["all"]["entropy"] and step["all"]["entropy"]["mean"] for step in data["steps"]]
    assert find(driver, ".figures dd").text != mean or means[0] == means[-1]
    marked = [row.text for row in all_of(driver, "tr.marked th")]
    assert marked and all(text.endswith(f"step {data['steps'][0]['step']}") for text in marked), marked
    order = Select(find(driver, "#tokens-order"))
    order.select_by_value("high")
    means = [float(row.text) for row in all_of(driver, ".responses .token") if row.text != "–"]
    assert means == sorted(means, reverse=True), means
    order.select_by_value("file")
    if last > 1:
        # The slider chooses a step too.
        driver.execute_script("""
            const slider = document.querySelector('#tokens input[type=range]');
            slider.value = 1;
            slider.dispatchEvent(new Event('input'));""")
        # The page follows with its next frame.
        driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        assert find(driver, "#tokens-step").get_attribute("value") == "1"
        assert find(driver, "tr.marked th").text.endswith(f"step {data['steps'][1]['step']}")
    choose_last(driver, data)


def check_groups(driver, data):
    """A group has its own numbers in every section that has groups, and its own responses."""
    if not data["groupings"]:
        assert not all_of(driver, "#tokens-group")
        return
    last = len(data["steps"]) - 1
    select = Select(find(driver, "#tokens-group"))
    for group, slice in enumerate(data["steps"][-1]["groups"]):
        select.select_by_value(str(group))
        if slice is None:
            assert "no response of this group" in find(driver, ".about").text.lower()
            continue
        assert len(all_of(driver, ".responses [role=option]")) == len(of_step(data, last, group))
        if slice["entropy"]:
            shown = float(find(driver, ".figures dd").text)
            assert abs(shown - slice["entropy"]["mean"][0]) <= 6e-4 * max(1, shown), f"group {group} has the mean {shown}"
            bins = driver.execute_script("return document.querySelectorAll('#tokens [data-bin]').length")
            assert bins == sum(count > 0 for count in slice["entropy"]["histogram"])
    check_layout(driver)
    select.select_by_value("")
    assert len(all_of(driver, ".responses [role=option]")) == len(of_step(data, last))


def check_contrast(driver):
    """Text on each of the ten colours is readable (WCAG 2.1, contrast 4.5), and lightness is monotonic."""
    colours = driver.execute_script("""
        const probe = document.createElement('span');
        document.getElementById('tokens').append(probe);
        const seen = Array.from({length: 10}, (_, i) => {
            probe.className = `token h${i}`;
            const style = getComputedStyle(probe);
            return [style.backgroundColor, style.color];
        });
        probe.remove();
        return seen;""")

    def luminance(colour):
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    grounds = [luminance(ground) for ground, _ in colours]
    for i, (ground, ink) in enumerate(colours):
        light, dark = sorted([luminance(ground), luminance(ink)], reverse=True)
        ratio = (light + 0.05) / (dark + 0.05)
        assert ratio >= 4.5, f"colour {i}: contrast {ratio:.2f} of {ink} on {ground}"
    assert grounds in (sorted(grounds), sorted(grounds, reverse=True)), grounds
    steps = [abs(a - b) for a, b in zip(grounds, grounds[1:])]
    assert min(steps) > 0.004, f"two colours are too alike: {steps}"


def check_layout(driver):
    """Nothing overflows the page, and no text overflows a drawing."""
    wide = driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} px too wide"
    out = driver.execute_script("""
        return [...document.querySelectorAll('#tokens svg')].flatMap(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter(text => {
                const box = text.getBoundingClientRect();
                return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
            }).map(text => text.textContent);
        });""")
    assert not out, f"outside of their drawing: {out}"
    narrow = driver.execute_script("""
        return [...document.querySelectorAll('#tokens figure')].filter(figure => !figure.hidden).map(figure =>
            [figure.textContent, figure.clientWidth, figure.querySelector('svg').getBoundingClientRect().width])
            .filter(([, all, drawn]) => Math.abs(all - drawn) > 1);""")
    assert not narrow, f"drawings that are not as wide as their place: {narrow}"


def check_hostile(driver):
    """Texts of a dump stay text: they create no element and run no script."""
    assert not driver.execute_script("return document.querySelectorAll('#tokens img, #tokens script, #tokens b, #tokens [onload], #tokens [onerror]').length")
    text = find(driver, ".reading").text
    assert "</script><img src=x onerror=alert(1)>" in text, text
    assert "\\u{202e}reversed" in text and "\u202e" not in driver.page_source
    assert "<img src=x onerror=alert(4)>" in find(driver, ".warning").text


def with_policy(page):
    """The page with the report's security policy, which allows its own scripts and styles by their hashes."""
    def digests(tag):
        bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        return " ".join("'sha256-" + base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() + "'" for body in bodies)
    policy = f"default-src 'none'; script-src {digests('script')}; style-src {digests('style')}"
    return page.replace("<meta charset", f'<meta http-equiv="Content-Security-Policy" content="{policy}"><meta charset', 1)


def driver_of(profile, width, height, scheme):
    options = webdriver.ChromeOptions()
    for flag in FLAGS + [f"--user-data-dir={profile}", f"--window-size={width},{height}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.binary_location = shutil.which("chromium")
    # Given explicitly, so that selenium does not download one.
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    # A window has a minimum width that is larger than a phone.
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1.5, "mobile": width < 600})
    return driver


def main():
    pages = Path(sys.argv[1])
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as tmp:
        for path in sorted(pages.glob("*.html")):
            strict = Path(tmp) / path.name
            strict.write_text(with_policy(path.read_text(encoding="utf-8")), encoding="utf-8")
            for width, height, scheme in [(1280, 900, "light"), (768, 1024, "dark"), (390, 844, "light")]:
                name = f"{path.stem}-{width}-{scheme}"
                driver = driver_of(f"{tmp}/{name}", width, height, scheme)
                try:
                    driver.get(strict.as_uri())
                    if pictures:
                        pictures.mkdir(exist_ok=True)
                        point = "document.querySelectorAll('#tokens .reading [data-at]')[5]?.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))"
                        driver.execute_script(point)
                        box = driver.execute_script("return document.documentElement.scrollHeight")
                        whole = {"x": 0, "y": 0, "width": width, "height": box, "scale": 1}
                        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": whole})
                        (pictures / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
                    check(driver)
                    if path.stem == "hostile":
                        check_hostile(driver)
                    severe = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
                    assert not severe, severe
                    print("ok", name)
                finally:
                    driver.quit()


if __name__ == "__main__":
    main()
