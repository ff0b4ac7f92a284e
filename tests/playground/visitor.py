"""Visitors without a browser: they speak the server's websocket protocol, so that two cores hold a class of them."""

import asyncio
import json
import re
import time

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect


class Visitor:
    """One page.

    Parameters
    ----------
    url : str
        Of the server, with a slash at the end.
    query : str
        Of the page's address.
    origin : str, optional
        The site that the page claims to be of; the server's own if left out.
    """

    def __init__(self, url, query="", origin=None):
        self.url, self.query, self.origin = url, query, origin or url.rstrip("/")
        self.texts, self.sliders, self.bridge, self._number = {}, {}, None, 0

    async def __aenter__(self):
        answer = await AsyncHTTPClient(max_clients=500).fetch(self.url + self.query, request_timeout=180)
        token = re.search(r'"token":"([^"]+)"', answer.body.decode())[1]
        request = HTTPRequest(self.url.replace("http", "ws", 1) + "ws", headers={"Origin": self.origin})
        self.socket = await websocket_connect(request, subprotocols=["bokeh", token], max_message_size=10**8)
        # The server takes nothing before it has said that it is there.
        await self._hear()
        self._news, self._end = asyncio.Event(), None
        self._reader = asyncio.create_task(self._listen())
        await self.send("PULL-DOC-REQ", {})
        await self.until(lambda texts: self.bridge is not None, 180)
        await self.set(self.bridge, "ready", True)
        return self

    async def __aexit__(self, *error):
        self.socket.close()
        await self._reader

    async def send(self, kind, content):
        """Send a message in its three parts."""
        self._number += 1
        header = {"msgid": str(self._number), "msgtype": kind}
        for part in (header, {}, content):
            await self.socket.write_message(json.dumps(part))

    async def set(self, model, name, value):
        """Change a property, as somebody who moves a slider does."""
        event = {"kind": "ModelChanged", "model": {"id": model}, "attr": name, "new": value}
        await self.send("PATCH-DOC", {"events": [event]})

    async def _part(self):
        part = await self.socket.read_message()
        if part is None:
            raise ConnectionError(f"The server has closed the page ({self.socket.close_code}).")
        return part

    async def _listen(self):
        """Take in what comes, as a browser does, to the end."""
        try:
            while True:
                await self._hear()
                self._news.set()
        except (OSError, WebSocketClosedError) as error:
            self._end = error
            self._news.set()

    async def _hear(self):
        """Take the next message in."""
        header, _, content = [json.loads(await self._part()) for _ in range(3)]
        for _ in range(2 * header.get("num_buffers", 0)):
            await self._part()
        if header["msgtype"] == "ERROR":
            raise ConnectionError(content["text"])
        for entry in _objects(content):
            properties = entry.get("attributes") or {}
            if "label" in properties and "value" in properties:
                self.sliders[properties["label"]] = (entry["id"], properties)
            if "texts" in properties:
                self.bridge = entry["id"]
                self.texts.update(properties["texts"]["entries"])
            if entry.get("attr") == "texts":
                # A page that was asked for before it had anything to say.
                self.bridge = entry["model"]["id"]
                self.texts.update(entry["new"]["entries"])

    async def until(self, test, seconds=60.0):
        """Listen until the page's texts pass a test; give the time at which they did."""
        async with asyncio.timeout(seconds):
            while not test(self.texts):
                if self._end is not None:
                    raise self._end
                self._news.clear()
                await self._news.wait()
        return time.perf_counter()

    def found(self):
        """Give the query of the settings whose answers are shown, and the names of these answers."""
        words = self.texts.get("found", "").split(" ")
        return words[0], set(words[1:])

    async def move(self, label, step, seconds=60.0):
        """Move a slider by a step within its bounds; give seconds until the first picture and until the posterior."""
        before, (model, slider) = self.found()[0], self.sliders[label]
        least, most = slider.get("start", 0), slider.get("end", len(slider.get("options", ())) - 1)
        slider["value"] = slider["value"] + step if least <= slider["value"] + step <= most else slider["value"] - step
        began = time.perf_counter()
        await self.set(model, "value", slider["value"])

        def shown(*names):
            query, there = self.found()
            return query != before and there >= set(names)

        first = await self.until(lambda texts: shown("mle", "map"), seconds)
        last = await self.until(lambda texts: shown("mle", "map", "posterior"), seconds)
        return first - began, last - began


def _objects(content):
    """Give every object of a message, at whatever depth."""
    if isinstance(content, dict):
        yield content
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _objects(part)


async def crowd(url, sessions, seconds, rng, pause=(5.0, 10.0)):
    """Open many pages at once and let everybody move a slider now and then.

    Parameters
    ----------
    url : str
        Of the server.
    sessions : int
        Visitors.
    seconds : float
        How long they stay once all are there.
    rng : numpy.random.Generator
        When they move what.
    pause : tuple of float
        Least and most seconds between an answer and the next move.

    Returns
    -------
    dict
        Seconds until each page was open, and from each move to the first picture and to the posterior; what failed.
    """
    opened, took, failed, there = [], [], [], asyncio.Barrier(sessions)

    async def stay(number):
        began = time.perf_counter()
        try:
            async with Visitor(url, f"?hidden={1 + number % 3}&seed={number + 1}") as visitor:
                await visitor.until(lambda texts: {"mle", "map"} <= visitor.found()[1], 180)
                opened.append(time.perf_counter() - began)
                await there.wait()
                end = time.perf_counter() + seconds
                await asyncio.sleep(rng.uniform(0, pause[1]))
                while time.perf_counter() < end:
                    # A network stays within four units.
                    label = ("Prior sd", "Rows shown", "Hidden units")[rng.integers(3)]
                    wide = label == "Hidden units" and visitor.sliders[label][1]["value"] >= 4
                    took.append(await visitor.move(label, -1 if wide else int(rng.choice((-1, 1)))))
                    await asyncio.sleep(rng.uniform(*pause))
        except (OSError, TimeoutError, WebSocketClosedError, asyncio.BrokenBarrierError) as error:
            failed.append(f"visitor {number}: {type(error).__name__} {error}")
            await there.abort()

    await asyncio.gather(*map(stay, range(sessions)))
    return {"opened": opened, "took": took, "failed": failed}
