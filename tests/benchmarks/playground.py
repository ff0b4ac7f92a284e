"""How quick the playground is in a browser: first picture and posterior after a move, many moves, many sessions.

Run ``python -m tests.benchmarks.playground`` on two quiet cores. It starts the command, opens the page in Chromium,
presses keys on its sliders, and times what appears.
"""

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from tests.playground import visitor

COMMAND = [sys.executable, "-c", "from bayesnn.cli import main; main()", "explore", "--port", "0", "--no-browser"]
WATCH = """() => {
  window.seen = []
  const found = document.getElementById("found")
  new MutationObserver(() => requestAnimationFrame(() => window.seen.push([performance.now(), found.textContent])))
    .observe(found, { childList: true, characterData: true, subtree: true })
  window.pressed = 0
  document.addEventListener("keydown", () => { window.pressed = performance.now() }, true)
}"""
FIRST = "mle map"
KEYS = {"Hidden units": 4, "Prior sd": None, "Rows shown": None}


class Server:
    """The command in a process of its own."""

    def __enter__(self):
        self.began = time.perf_counter()
        self.process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.url = re.search(r"http://\S+/", self.process.stdout.readline())[0]
        self.said = []
        threading.Thread(target=lambda: self.said.extend(self.process.stdout), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait(30)

    def memory(self):
        """Megabytes of the server and of its workers that are theirs alone, and their number."""
        import psutil

        if self.process.poll() is not None:
            raise RuntimeError(f"The server ended with {self.process.returncode}: {''.join(self.said)[-2000:]}")
        all_of_them = [psutil.Process(self.process.pid)]
        all_of_them += all_of_them[0].children(recursive=True)
        return sum(p.memory_full_info().uss for p in all_of_them) / 2**20, len(all_of_them)


class Visitor:
    """One page, moved by the keyboard."""

    def __init__(self, browser, url, query):
        self.page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.page.goto(url + query)
        self.page.wait_for_function("() => document.getElementById('found')?.textContent.includes('mle map')")

    def watch(self):
        self.page.wait_for_function(
            "() => document.getElementById('status').textContent === 'All fits are done.'", timeout=120_000
        )
        self.page.evaluate(WATCH)

    def state(self):
        """The settings whose pictures are on the page."""
        return self.page.evaluate("() => document.getElementById('found').textContent").partition(" ")[0]

    def slider(self, label):
        return self.page.get_by_role("slider", name=re.compile(label)).first

    def move(self, label, key, wait=30.0):
        """Press a key on a slider; give seconds until the first picture and the posterior, None if nothing moved."""
        before = self.page.evaluate("() => { window.seen = []; return document.getElementById('found').textContent }")
        self.slider(label).focus()
        self.page.keyboard.press(key)
        end = time.monotonic() + wait
        while time.monotonic() < end:
            seen, pressed = self.page.evaluate("() => [window.seen, window.pressed]")
            # What still comes of the state before is no answer to the move.
            seen = [(at, text) for at, text in seen if text.partition(" ")[0] != before.partition(" ")[0]]
            first = next((at for at, text in seen if FIRST in text), None)
            last = next((at for at, text in seen if "posterior" in text), None)
            if last is not None and first is not None:
                return (first - pressed) / 1000, (last - pressed) / 1000
            if not seen and time.monotonic() > end - wait + 3:
                return None
            self.page.wait_for_timeout(20)
        return (np.inf, np.inf) if seen else None


def random_move(rng, page):
    """Choose a slider and a key that keeps the network within four units."""
    label = list(KEYS)[rng.integers(len(KEYS))]
    key = ("ArrowLeft", "ArrowRight")[rng.integers(2)]
    if label == "Hidden units" and key == "ArrowRight" and int(page.slider(label).get_attribute("aria-valuenow")) >= 4:
        key = "ArrowLeft"
    return label, key


def measure(args, out):
    from playwright.sync_api import sync_playwright

    rng = np.random.default_rng(args.seed)
    with sync_playwright() as driver, Server() as server:
        out["listening_s"] = time.perf_counter() - server.began
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if args.moves:
            one = Visitor(browser, server.url, "?data=neal&noise=0.1")
            one.watch()
            times, new, visited = [], [], {one.state()}
            while len(times) < args.moves:
                took = one.move(*random_move(rng, one))
                if took is not None:
                    times.append(took)
                    new.append(one.state() not in visited)
                    visited.add(one.state())
                    print(f"move {len(times)}: first picture {took[0]:.2f} s, posterior {took[1]:.2f} s", flush=True)
            # What was on the page before is kept, and comes at once.
            out["new"] = int(sum(new))
            for which, kept in (("", np.ones(len(new), dtype=bool)), ("_new", np.array(new))):
                for name, values in zip(("first_picture_s", "posterior_s"), np.array(times)[kept].T, strict=True):
                    out[name + which] = quantiles(values)
        if args.memory:
            one = Visitor(browser, server.url, "")
            one.watch()
            levels = []
            for k in range(args.memory):
                label, key = random_move(rng, one)
                one.slider(label).focus()
                one.page.keyboard.press(key)
                one.page.wait_for_timeout(300)
                if k % (args.memory // 10) == 0:
                    levels.append(server.memory()[0])
                    print(f"move {k}: {levels[-1]:.0f} MB", flush=True)
            out["memory_mb"] = levels
        out["server_errors"] = [line for line in server.said if "Traceback" in line]
        browser.close()


def crowd(args):
    """Let a class of visitors without browsers move sliders for some time."""
    with Server() as server:
        seen = asyncio.run(visitor.crowd(server.url, args.sessions, args.seconds, np.random.default_rng(args.seed)))
        memory, processes = server.memory()
    first, posterior = np.reshape(seen["took"], (-1, 2)).T
    return {
        "sessions": args.sessions,
        "moves": len(first),
        "failed": seen["failed"],
        "opened_s": quantiles(seen["opened"]),
        "first_picture_s": quantiles(first),
        "posterior_s": quantiles(posterior),
        "memory_mb": memory,
        "processes": processes,
        "server_errors": [line for line in server.said if "Traceback" in line],
    }


def quantiles(values):
    found = np.quantile(values, [0.5, 0.9, 1]).round(3).tolist() if len(values) else [None] * 3
    return dict(zip(("median", "p90", "most"), found, strict=True))


def start(times=3):
    """Seconds from the command to the page, with pictures in place, in a browser that is open."""
    from playwright.sync_api import sync_playwright

    took = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(times):
            with Server() as server:
                page = browser.new_page()
                page.goto(server.url)
                page.wait_for_function("() => window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle")
                ready = time.perf_counter() - server.began
                page.wait_for_function("() => document.getElementById('found')?.textContent.includes('mle map')")
                took.append((ready, time.perf_counter() - server.began))
                page.close()
        browser.close()
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=50)
    parser.add_argument("--memory", type=int, default=0, help="moves over which memory is followed")
    parser.add_argument("--sessions", type=int, default=0, help="pages at once")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--start", action="store_true", help="time the start too")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    out = {}
    if args.start:
        out["start_s"] = start()
    if args.moves or args.memory:
        measure(args, out)
    if args.sessions:
        out["sessions"] = crowd(args)
    text = json.dumps(out, indent=2)
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
