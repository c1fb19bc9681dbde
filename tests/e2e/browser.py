"""Drives the pages in a real, headless browser, as an officer would.

browser.py URL FOLDER RELEASE draft             all pages, the form; prints the statement shown
browser.py URL FOLDER RELEASE hand-in FILE      hands in FILE as the signature; prints what became of it

Fails if the browser's console says anything, if anything but URL was asked for, or if a page runs a
script. Leaves pictures of each page in FOLDER.
"""
import glob
import json
import os
import sys

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

URL, FOLDER, RELEASE, WHAT = sys.argv[1:5]
# The answer 303 and the statement that does not count are no faults of a page.
options = webdriver.ChromeOptions()
for argument in ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,1400", "--disable-dev-shm-usage"]:
    options.add_argument(argument)
# A browser has errands of its own; none of them may leave here, or be taken for ours.
for argument in [
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--no-pings",
]:
    options.add_argument(argument)
options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
# A page may be replaced by the next while it is looked at.
wait = WebDriverWait(driver, 30, ignored_exceptions=[StaleElementReferenceException, NoSuchElementException])


def emulate(scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def shoot(name):
    for width, word in [(1200, "wide"), (400, "narrow")]:
        for scheme in ["light", "dark"]:
            emulate(scheme)
            driver.set_window_size(width, 1400)
            overflow = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 0, f"{name} is {overflow} pixels too wide at {width}"
            driver.save_screenshot(f"{FOLDER}/{name}-{word}-{scheme}.png")


# What a checker of accessibility says (axe-core): names, labels, order, and contrast in either scheme.
checkers = glob.glob(os.path.dirname(__file__) + "/../../target/clients/lib/python3*/site-packages/axe_core_python/axe.min.js")
CHECKER = open(checkers[0]).read() if checkers else None


def check(name):
    for scheme in ["light", "dark"]:
        emulate(scheme)
        driver.execute_script(CHECKER)
        # Without a script, only a refresh shows what changes: the first page and what was handed in have one.
        rules = {"rules": {"meta-refresh": {"enabled": False}}}
        found = driver.execute_async_script("axe.run(arguments[0]).then(arguments[1])", rules)["violations"]
        assert not found, [(name, scheme, v["id"], v["help"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found]


def look(path, name):
    driver.get(URL + path)
    assert driver.find_elements(By.CSS_SELECTOR, "main h1"), driver.page_source
    assert not driver.find_elements(By.CSS_SELECTOR, "script, iframe, img, object"), "something was injected"
    for field in driver.find_elements(By.CSS_SELECTOR, "input, select, textarea"):
        assert driver.find_elements(By.CSS_SELECTOR, f"label[for='{field.get_attribute('id')}']"), "a field has no label"
    if CHECKER:
        check(name)
    shoot(name)


def fill():
    driver.get(f"{URL}/imports/{RELEASE}")
    if WHAT == "hand-in":
        # As an officer who comes back to the page with the signature.
        driver.get(f"{URL}/imports/{RELEASE}?decision=approve&officer=officer&reason=routine+update&days=2&issued={sys.argv[6]}")
        return
    Select(driver.find_element(By.ID, "decision")).select_by_value("approve")
    for field, text in [("officer", "officer"), ("reason", "routine update")]:
        element = driver.find_element(By.ID, field)
        element.clear()
        element.send_keys(text)
    driver.find_element(By.XPATH, "//button[text()='Show the statement']").click()
    wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, "#sign pre"))
    return driver.find_element(By.CSS_SELECTOR, "#sign pre").get_attribute("textContent")


try:
    if WHAT == "draft":
        for path, name in [("/", "today"), ("/imports", "imports"), (f"/imports/{RELEASE}", "release")]:
            look(path, name)
        others = {"/refusals": "refusals", "/agents": "agents", "/log?log=access": "log", "/witnesses": "witnesses", "/keys": "keys"}
        for path, name in others.items():
            look(path, name)
        # Filtering: only what holds the words is left.
        driver.get(URL + "/log")
        driver.find_element(By.ID, "words").send_keys("initialised")
        driver.find_element(By.XPATH, "//button[text()='Search']").click()
        wait.until(lambda d: len(d.find_elements(By.CSS_SELECTOR, "tbody tr")) == 1)
        # By kind and day; what is left is there as a file.
        driver.get(URL + "/log")
        Select(driver.find_element(By.ID, "kind")).select_by_value("imported")
        driver.execute_script("document.getElementById('since').value = '2026-01-01'")
        driver.find_element(By.XPATH, "//button[text()='Search']").click()
        wait.until(lambda d: len(d.find_elements(By.CSS_SELECTOR, "tbody tr")) == 2)
        assert "kind=imported" in driver.find_element(By.LINK_TEXT, "OCSF").get_attribute("href")
        # The keyboard alone reaches the page and its menu.
        first = driver.execute_script("return document.querySelectorAll('a, button, input, select')[0].className")
        assert first == "skip", first
        # On paper there is no menu and no form.
        driver.get(f"{URL}/imports/{RELEASE}")
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert not driver.find_element(By.TAG_NAME, "nav").is_displayed()
        assert not driver.find_element(By.TAG_NAME, "form").is_displayed()
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen"})
        sys.stdout.write(fill())
    else:
        fill()
        driver.find_element(By.ID, "signature").send_keys(sys.argv[5])
        driver.find_element(By.XPATH, "//button[text()='Hand in']").click()
        wait.until(lambda d: "count" in d.find_element(By.TAG_NAME, "main").text.split("\n")[1])
        shoot("handed-in")
        sys.stdout.write(driver.find_element(By.TAG_NAME, "main").text)
    said = driver.get_log("browser")
    assert not said, said
    for line in driver.get_log("performance"):
        message = json.loads(line["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked = message["params"]["request"]["url"]
            # The browser's own picture in a field for a date is data, asked of nobody.
            assert asked.startswith(URL + "/") or asked.startswith(("data:", "about:")), asked
finally:
    driver.quit()
