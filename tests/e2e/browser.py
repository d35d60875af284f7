"""A headless Chromium, driven over its DevTools protocol by pipe: the standard library suffices.

Nothing leaves the machine but what a page asks for, and every request of a page is kept.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# As root there is no sandbox; the rest keeps the browser itself from the network.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"]
START_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 30
# The browser reads its commands there and writes its answers there.
ONTO_3_AND_4 = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    def __init__(self):
        self._profile = tempfile.TemporaryDirectory(prefix="tandem-", ignore_cleanup_errors=True)
        from_us, self._to_browser = os.pipe()
        self._from_browser, to_us = os.pipe()
        from_us, to_us = (self._above_4(one) for one in (from_us, to_us))
        self._process = subprocess.Popen(
            [sys.executable, "-c", ONTO_3_AND_4, str(from_us), str(to_us), CHROMIUM, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"],
            pass_fds=(from_us, to_us), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(to_us)
        self._unread = b""
        self._last_id = 0
        self.listeners = {}  # by the id of a page's session
        self.call("Browser.getVersion", timeout=START_TIMEOUT_S)

    @staticmethod
    def _above_4(descriptor: int) -> int:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(descriptor)
        return moved

    def close(self) -> None:
        try:
            self.call("Browser.close")
        except (OSError, TimeoutError, EOFError):
            self._process.kill()
        finally:
            os.close(self._to_browser)
            os.close(self._from_browser)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._profile.cleanup()

    def call(self, method: str, session: str | None = None, timeout: float = ANSWER_TIMEOUT_S,
             **parameters):
        """Sends a command and gives its result; events that come meanwhile go to their page."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + timeout
        while True:
            answer = self.receive(deadline)
            if answer is None:
                raise TimeoutError(f"no answer to {method}")
            if answer.get("id") != self._last_id:
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def receive(self, deadline: float):
        """The next message, None where there is none in time."""
        while b"\0" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._from_browser], [], [], left)[0]:
                return None
            some = os.read(self._from_browser, 1 << 16)
            if not some:
                raise EOFError("the browser has gone")
            self._unread += some
        text, self._unread = self._unread.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message and message.get("sessionId") in self.listeners:
            self.listeners[message["sessionId"]](message["method"], message["params"])
        return message

    def open(self, url: str, width: int, height: int) -> Page:
        return Page(self, url, width, height)


class Page:
    """One tab, and what went wrong in it."""

    def __init__(self, browser: Browser, url: str, width: int, height: int):
        self.browser = browser
        self.faults: list[str] = []    # exceptions, console errors, policy violations
        self.requested: list[str] = []  # URLs
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target,
                                    flatten=True)["sessionId"]
        browser.listeners[self.session] = self._on_event
        for domain in ("Runtime", "Log", "Network", "Page", "Audits"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.navigate(url)

    def call(self, method: str, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def _on_event(self, method: str, event: dict) -> None:
        if method == "Network.requestWillBeSent":
            self.requested.append(event["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(event["exceptionDetails"])[:2000])
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.faults.append(json.dumps(event["args"])[:2000])
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            entry = event["entry"]
            self.faults.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        elif method == "Audits.issueAdded":
            issue = event["issue"]
            if issue["code"] in ("ContentSecurityPolicyIssue", "MixedContentIssue"):
                self.faults.append(json.dumps(issue)[:2000])

    def close(self) -> None:
        self.browser.listeners.pop(self.session, None)
        self.browser.call("Target.closeTarget", targetId=self.target)

    def navigate(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme: str) -> None:
        """"light" or "dark"."""
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, expression: str):
        outcome = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                            awaitPromise=True)
        if "exceptionDetails" in outcome:
            details = outcome["exceptionDetails"]
            raise RuntimeError(f"{expression}: {details.get('exception', details)}"[:2000])
        return outcome["result"].get("value")

    def wait(self, expression: str, timeout: float = 20.0):
        """Polls until the expression gives something true, and gives that."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                value = self.evaluate(expression)
            except RuntimeError as error:  # the page is between two documents
                value, text = None, str(error)
            else:
                text = f"it gives {value!r}"
            if value:
                return value
            if time.monotonic() >= deadline:
                raise AssertionError(f"not so after {timeout} s: {expression}; {text}; the page: "
                                     f"{self.evaluate('document.body.innerText')[:3000]}")
            select.select([], [], [], 0.05)

    def click(self, selector: str) -> None:
        """With the pointer, so that what hides an element also hides it from this."""
        x, y = self.wait(f"""(() => {{
            const target = document.querySelector({json.dumps(selector)});
            if (target === null || target.disabled) return null;
            target.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = target.getBoundingClientRect();
            const at = [box.left + box.width / 2, box.top + box.height / 2];
            return target.contains(document.elementFromPoint(...at)) ? at : null;
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def point(self, selector: str, across: float = 0.5) -> None:
        """Moves the pointer to a place within the element, `across` from its left to its right."""
        x, y = self.evaluate(f"""(() => {{
            const target = document.querySelector({json.dumps(selector)});
            target.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = target.getBoundingClientRect();
            return [box.left + {across} * box.width, box.top + box.height / 2];
        }})()""")
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str) -> None:
        """A key by its DOM name: Tab, Enter, Escape, ArrowLeft."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}
        more = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key,
                  windowsVirtualKeyCode=codes[key], **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key,
                  windowsVirtualKeyCode=codes[key])

    def type(self, text: str) -> None:
        """Into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def picture(self, path: Path) -> None:
        """Of the whole page, however long."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.evaluate("scrollTo(0, 0)")
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"],
                               "scale": 1})
        path.write_bytes(base64.b64decode(shot["data"]))
