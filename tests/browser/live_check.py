"""Checks the page of `watch --serve` in headless Chromium while a log grows: a new point appears within two seconds, the
reader's settings and scroll position stay, and the page says whether it is live.

    python3 tests/browser/live_check.py target/debug/entropy-viz [PICTURES]
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tokens_check import driver_of

WITHIN = 2.0
VIEW = "const v = entropyViz.view; return {hidden: [...v.hidden], range: v.range, weight: v.weight, log: v.log, axis: v.axis, sort: v.sort}"


def entropy(run, step):
    return (2 + run) * step**-0.2


def append(path, run, steps):
    with path.open("a", encoding="utf-8") as log:
        for step in steps:
            log.write(json.dumps({"step": step, "entropy": entropy(run, step)}) + "\n")


def serve(program, tmp, pattern, port=0, more=()):
    arguments = [program, "watch", pattern, "--interval", "500ms", "--serve", f"127.0.0.1:{port}", *more]
    child = subprocess.Popen(arguments, cwd=tmp, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return child, child.stdout.readline().strip()


def last(driver, label):
    """The last drawn step of a run."""
    return driver.execute_script("try { return entropyViz.values(arguments[0]).x.at(-1) } catch { return null }", label)


def within(seconds, what, wanted):
    start = time.monotonic()
    while (seen := what()) != wanted:
        assert time.monotonic() - start < seconds, (seen, wanted)
        time.sleep(0.02)
    return time.monotonic() - start


def settle(driver):
    driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30)))")


def picture(driver):
    settle(driver)
    return driver.execute_script("return document.querySelector('#chart canvas').toDataURL()")


def check(driver, url, tmp, pictures):
    status = lambda: driver.find_element(By.ID, "live").text
    box = lambda name: driver.find_element(By.XPATH, f"//ul[@class='legend']//label[@title='{name}']/input")
    driver.get(url)
    within(5, status, "live")
    assert last(driver, "r0") == 60

    # The drawn curve grows.
    before = picture(driver)
    append(tmp / "r0.jsonl", 0, [61])
    took = within(WITHIN, lambda: last(driver, "r0"), 61)
    print(f"ok a point after {took:.2f} s")
    assert picture(driver) != before
    assert "121 points" in driver.find_element(By.ID, "subtitle").text
    shown = driver.execute_script("return entropyViz.values('r0').y.at(-1)")
    assert shown == entropy(0, 61), shown

    # The reader's settings and scroll position stay.
    driver.execute_script("document.getElementById('chart').focus()")
    ActionChains(driver).send_keys("+").perform()
    driver.execute_script("const s = document.getElementById('smoothing'); s.value = 0.6; s.dispatchEvent(new Event('input'))")
    driver.find_element(By.ID, "log-y").click()
    driver.find_element(By.XPATH, "//section[@id='runs']//button[.='Last']").click()
    box("r1").click()
    driver.execute_script("scrollTo(0, 150)")
    settle(driver)
    chosen = driver.execute_script(VIEW)
    assert chosen["hidden"] == ["r1"] and chosen["range"] and chosen["weight"] == 0.6 and chosen["log"], chosen
    append(tmp / "r0.jsonl", 0, [62, 63])
    within(WITHIN, lambda: last(driver, "r0"), 63)
    settle(driver)
    assert driver.execute_script(VIEW) == chosen
    assert driver.execute_script("return [document.activeElement.type, document.activeElement.closest('label').title, scrollY]") == ["checkbox", "r1", 150]
    assert not box("r1").is_selected() and box("r0").is_selected()
    assert driver.find_element(By.ID, "smoothing").get_attribute("value") == "0.6"

    # Nothing is redrawn during a drag; afterwards the newest data is.
    over = driver.find_element(By.CSS_SELECTOR, ".u-over")
    ActionChains(driver).move_to_element_with_offset(over, -100, 0).click_and_hold().move_by_offset(60, 0).perform()
    append(tmp / "r0.jsonl", 0, [64])
    time.sleep(1.5)
    assert last(driver, "r0") == 63
    ActionChains(driver).release().perform()
    within(WITHIN, lambda: last(driver, "r0"), 64)
    zoomed = driver.execute_script(VIEW)["range"]
    assert zoomed[1] - zoomed[0] < 0.5 * (chosen["range"][1] - chosen["range"][0]), (zoomed, chosen)

    # A new run appears.
    append(tmp / "r2.jsonl", 2, range(1, 40))
    within(2 * WITHIN, lambda: last(driver, "r2"), 39)
    assert driver.execute_script(VIEW)["hidden"] == ["r1"]
    if pictures:
        pictures.mkdir(exist_ok=True)
        driver.execute_script("scrollTo(0, 0)")
        driver.save_screenshot(str(pictures / "live.png"))
    severe = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not severe, severe


def main():
    program = os.path.abspath(sys.argv[1])
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as tmp:
        logs = Path(tmp) / "logs"
        logs.mkdir()
        for run in range(2):
            append(logs / f"r{run}.jsonl", run, range(1, 61))
        driver = driver_of(f"{tmp}/profile", 1100, 900, "light")
        children = []
        try:
            child, url = serve(program, logs, "*.jsonl")
            children.append(child)
            check(driver, url, logs, pictures)
            status = lambda: driver.find_element(By.ID, "live").text
            child.kill()
            within(5, status, "connection lost, trying again")
            if pictures:
                driver.save_screenshot(str(pictures / "lost.png"))
            child.wait()
            port = url.split("/")[2].split(":")[1]
            child, url = serve(program, logs, "*.jsonl", port)
            children.append(child)
            assert url, "the port is taken"
            within(15, status, "this address is no longer valid: open the address that entropy-viz watch printed last")
            print("ok lost")

            # If no run is shown, a text replaces the curves.
            driver.get(url)
            within(5, status, "live")
            empty = lambda: driver.find_element(By.CSS_SELECTOR, "#chart .empty").text
            within(5, empty, "")
            driver.find_element(By.CSS_SELECTOR, "[title='Hide all runs']").click()
            within(5, empty, "All runs are hidden.")
            if pictures:
                driver.save_screenshot(str(pictures / "hidden.png"))
            driver.find_element(By.CSS_SELECTOR, "[title='Show all runs']").click()
            within(5, empty, "")
            print("ok hidden")

            # The mean of a group grows with its runs.
            child, url = serve(program, logs, "r[01].jsonl", more=["--group", "(r)"])
            children.append(child)
            driver.get(url)
            within(5, status, "live")
            mean = "const g = entropyViz.group('r'); return [g.x.at(-1), g.drawn.mean.at(-1), g.runs.at(-1)]"
            append(logs / "r0.jsonl", 0, [65])
            append(logs / "r1.jsonl", 1, range(61, 66))
            expected = [65, entropy(0, 65) / 2 + entropy(1, 65) / 2, 2]
            within(3 * WITHIN, lambda: driver.execute_script(mean), expected)
            assert [row.text for row in driver.find_elements(By.CSS_SELECTOR, ".legend .name")] == ["r"]
            print("ok groups")

            # The panel of a quantity appears with its first value, and grows.
            child, url = serve(program, logs, "r[01].jsonl", more=["--with", "kl"])
            children.append(child)
            driver.get(url)
            within(5, status, "live")
            charts = lambda: len(driver.find_elements(By.CSS_SELECTOR, "#chart .uplot"))
            assert charts() == 1 and "No run has kl yet." in driver.find_element(By.ID, "findings").text
            for step in [66, 67]:
                with (logs / "r0.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps({"step": step, "entropy": entropy(0, step), "kl": step / 1000}) + "\n")
                values = "try { const { x, y } = entropyViz.values('r0', 'kl'); return [x.at(-1), y.at(-1)]; } catch { return null; }"
                within(2 * WITHIN, lambda: driver.execute_script(values), [step, step / 1000])
            assert charts() == 2 and "not logged by 1 run: r1" in driver.find_element(By.CSS_SELECTOR, ".panel-title").text
            print("ok quantities")

            # The page waits for the first run, and says when the program ended.
            child, url = serve(program, logs, "later/*.jsonl")
            children.append(child)
            driver.get(url)
            assert "No run yet: looking for logs in later/*.jsonl" in driver.find_element(By.TAG_NAME, "body").text
            if pictures:
                driver.save_screenshot(str(pictures / "waiting.png"))
            (logs / "later").mkdir()
            append(logs / "later" / "r0.jsonl", 0, range(1, 30))
            within(5, lambda: last(driver, "r0"), 29)
            within(5, status, "live")
            child.send_signal(signal.SIGINT)
            within(5, status, "entropy-viz watch has ended; no further updates")
            print("ok ended")
        finally:
            driver.quit()
            for child in children:
                child.kill()
                child.wait()


main()
