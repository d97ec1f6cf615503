"""Checks the section of `explain` in a real browser: templates/explain.js and explain.css.

    pip install selenium==4.51.0          # and a chromium with its driver
    python3 tests/browser/explain_check.py PAGE.html [PICTURES]

At two widths and in both themes: every sentence of the document is shown, marked if it is not clear; the bars have the
lengths of their numbers; nothing is wider than the page; the browser reports no error.
"""
import json
import shutil
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--hide-scrollbars"]


def all_of(driver, selector):
    return driver.find_elements(By.CSS_SELECTOR, "#explanation " + selector)


def check(driver):
    data = driver.execute_script("return JSON.parse(document.getElementById('explanation-data').textContent)")
    shown = all_of(driver, "ul.sentences li")
    assert [item.text for item in shown] == [sentence["text"] for sentence in data["sentences"]]
    for item, sentence in zip(shown, data["sentences"]):
        assert ("unclear" in item.get_attribute("class")) != sentence["clear"], sentence
    assert data["splits"] and len(all_of(driver, ".parts")) == len(data["splits"])
    for split, bars in zip(data["splits"], all_of(driver, ".parts")):
        width = lambda row: row.find_element(By.CSS_SELECTOR, "rect").rect["width"]
        rows = bars.find_elements(By.CSS_SELECTOR, ".part")
        assert [row.find_element(By.CSS_SELECTOR, ".name").text for row in rows] == [part["name"] for part in split["parts"]]
        largest = max(range(len(rows)), key=lambda at: abs(split["parts"][at]["value"]))
        unit = width(rows[largest]) / abs(split["parts"][largest]["value"])
        for row, part in zip(rows, split["parts"]):
            assert abs(width(row) - abs(part["value"]) * unit) < 1.5, (split["heading"], part)
        whole = sum(part["value"] for part in split["parts"])
        assert abs(whole - data["change"]) < 1e-9, split["heading"]
    wide = driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0, f"{wide} px too wide"
    logged = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert not logged, json.dumps(logged)


def main():
    page = Path(sys.argv[1]).resolve()
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    for theme in ("light", "dark"):
        options = webdriver.ChromeOptions()
        for flag in FLAGS:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            for width in (1280, 390):
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False})
                driver.get(page.as_uri())
                check(driver)
                if pictures:
                    pictures.mkdir(parents=True, exist_ok=True)
                    driver.save_screenshot(str(pictures / f"explain_{theme}_{width}.png"))
        finally:
            driver.quit()
    print("explain: ok")


if __name__ == "__main__":
    main()
