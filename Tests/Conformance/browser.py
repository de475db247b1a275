# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium over the Chrome DevTools Protocol: as much of it as a person's test of a page needs."""

import base64
import itertools
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

from websockets.sync.client import connect

from stack import wait_until

# Answers hold screenshots.
ANSWER_BYTES_MAX = 64 << 20
KEYS = {"Tab": 9, "Enter": 13, " ": 32}


class Browser:
    def __init__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program, "Chromium is not installed: compose/scripts/setup.sh --test installs it"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-browser-"))
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--remote-debugging-port=0", f"--user-data-dir={self.folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        port_file = self.folder / "DevToolsActivePort"

        def written():
            # Chromium makes the file first and fills it afterwards.
            lines = port_file.read_text().split() if port_file.exists() else []
            return lines if len(lines) == 2 else None

        lines = wait_until(written, "Chromium's start", 30)
        self.address = f"127.0.0.1:{lines[0]}"
        self.control = Wire(f"ws://{self.address}{lines[1]}")

    def person(self, url: str) -> "Page":
        """A page of somebody with a storage of their own."""
        context = self.control.ask("Target.createBrowserContext")["browserContextId"]
        target = self.control.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        page = Page(Wire(f"ws://{self.address}/devtools/page/{target}"))
        page.open(url)
        return page

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


class Wire:
    """One DevTools connection: questions with answers, and the events that came between."""

    def __init__(self, url: str):
        self.socket = connect(url, max_size=ANSWER_BYTES_MAX)
        self.numbers = itertools.count(1)
        self.events = []

    def ask(self, method: str, **parameters):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        deadline = time.monotonic() + 20
        while True:
            message = json.loads(self.socket.recv(timeout=max(0.0, deadline - time.monotonic())))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append(message)


class Page:
    def __init__(self, wire: Wire):
        self.wire = wire
        for domain in ("Page", "Runtime", "Log"):
            wire.ask(f"{domain}.enable")

    def open(self, url: str):
        self.wire.ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'", f"{url} loaded")

    def run(self, script: str):
        """The value of an expression; promises are awaited."""
        answer = self.wire.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def until(self, fact: str, what: str, seconds: float = 20):
        return wait_until(lambda: self.run(fact), what, seconds)

    def text(self, selector: str) -> str:
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def fill(self, selector: str, text: str):
        """Types as a person does: into the focused field."""
        self.run(f"(() => {{ const field = document.querySelector({json.dumps(selector)}); "
                 "field.focus(); field.select?.(); })()")
        self.wire.ask("Input.insertText", text=text)

    def press(self, key: str):
        code = KEYS[key]
        text = {"Enter": "\r", " ": " "}.get(key)
        common = {"key": key, "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code}
        self.wire.ask("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self.wire.ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def tab_to(self, selector: str, most: int = 120):
        """Reaches an element by the Tab key alone."""
        for _ in range(most):
            if self.run(f"document.activeElement?.matches({json.dumps(selector)}) ?? false"):
                return
            self.press("Tab")
        raise AssertionError(f"{selector} is not reached by {most} presses of Tab")

    def size(self, width: int, height: int):
        self.wire.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=width < 600)

    def screenshot(self, path: pathlib.Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        data = self.wire.ask("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def failures(self) -> list:
        """Exceptions of the page's scripts so far."""
        self.wire.ask("Runtime.evaluate", expression="0")
        return [event for event in self.wire.events if event["method"] == "Runtime.exceptionThrown"]
