"""Checks the section on token entropies in a real browser: templates/tokens.js and tokens.css.

`check(driver)` takes a selenium driver that is at a page with the section, and fails with an AssertionError that says
what is wrong. `check_hostile(driver)` is for the page of a dump whose texts would run if they were markup. Alone, this
script opens the pages that `cargo test --test tokens` leaves in target/tmp/tokens, under a policy as strict as the
report's, at two widths and in both themes, and can keep pictures:

    pip install selenium==4.51.0          # and a chromium with its driver
    cargo test --test tokens
    python3 tests/browser/tokens_check.py target/tmp/tokens [PICTURES]
"""
import base64
import hashlib
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
    check_keyboard(driver)
    check_steps(driver, data)
    check_contrast(driver)
    check_layout(driver)


def check_contents(driver, data):
    """The page shows the numbers of the document."""
    assert find(driver, "h2").text == "Tokens"
    last = len(data["scorings"]) - 1
    mine = [response for response in data["responses"] if response["scoring"] == last]
    rows = all_of(driver, ".responses [role=option]")
    assert len(rows) == len(mine), f"{len(rows)} rows for {len(mine)} responses"
    shown = driver.execute_script("return [...document.querySelectorAll('#tokens .reading [data-at]')].map(t => t.textContent)")
    kinds = [data["kinds"][kind] for kind in mine[0]["kinds"]]
    assert shown == [text if text is not None else f"⟨{kind}⟩" for kind, text in kinds], "tokens differ from the document"
    for what, many in [("th[scope=row]", len(data["scorings"])), (".chart svg", 2), (".legend svg", 1)]:
        assert len(all_of(driver, what)) >= many, f"too few {what}"
    assert not driver.execute_script("return document.querySelectorAll('#tokens [style]').length"), "a style attribute"


def check_keyboard(driver):
    """Arrow keys move through responses and tokens, and the focused one is announced."""
    listed = find(driver, ".responses")
    chosen = lambda: find(driver, ".responses [aria-selected=true]").get_attribute("id")
    rows = all_of(driver, ".responses [role=option]")
    driver.execute_script("arguments[0].focus()", listed)
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
    if len(data["scorings"]) < 2:
        return
    name = find(driver, ".about").text.split(":")[0]
    mean = find(driver, ".figures dd").text
    Select(find(driver, "#tokens-scoring")).select_by_index(0)
    names = lambda scoring: {(r["id"], r["sample"]) for r in data["responses"] if r["scoring"] == scoring}
    if names(0) == names(len(data["scorings"]) - 1):
        assert find(driver, ".about").text.split(":")[0] == name, "the response changed with the step"
    assert find(driver, ".figures dd").text != mean or data["scorings"][0]["mean"] == data["scorings"][-1]["mean"]
    assert len(all_of(driver, "tr.marked")) == 1
    order = Select(find(driver, "#tokens-order"))
    order.select_by_value("high")
    means = [float(row.text) for row in all_of(driver, ".responses .token")]
    assert means == sorted(means, reverse=True), means
    order.select_by_value("file")
    Select(find(driver, "#tokens-scoring")).select_by_index(len(data["scorings"]) - 1)


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


def check_hostile(driver):
    """Texts of a dump stay text: they create no element and run no script."""
    assert not driver.execute_script("return document.querySelectorAll('#tokens img, #tokens script, #tokens b, #tokens [onload], #tokens [onerror]').length")
    assert driver.execute_script("return document.querySelectorAll('#tokens svg').length") == 3
    text = find(driver, ".reading").text
    assert "</script><img src=x onerror=alert(1)>" in text, text
    assert "\\u{202e}reversed" in text and "\u202e" not in driver.page_source
    assert "<img src=x onerror=alert(4)>" in find(driver, ".odd").text


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
            for width, height, scheme in [(1100, 900, "light"), (1100, 900, "dark"), (390, 844, "light")]:
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
