"""What the browser has and the server has not: the address bar, the theme, and the words between the pictures."""

import param
from panel.custom import JSComponent


class Bridge(JSComponent):
    """Write words into the page's own elements, where screen readers find them, and follow the dark switch."""

    texts = param.Dict(default={}, doc="From the id of an element to its text.")
    query = param.String(default="", doc="What the address says after the question mark.")
    dark = param.Boolean(default=False, doc="Whether the page is dark.")
    ready = param.Boolean(default=False, doc="Whether the browser has said so.")
    sizing_mode = param.Parameter(default="fixed")

    _esm = """
    const write = (texts) => {
      for (const [id, text] of Object.entries(texts)) {
        const element = document.getElementById(id)
        if (!element) continue
        if (element.tagName === "PROGRESS") {
          element.hidden = text === ""
          if (text === "" || text === "?") element.removeAttribute("value")
          else element.value = Number(text)
        } else if (element.textContent !== text) {
          element.textContent = text
        }
        if (element.dataset.box) document.getElementById(element.dataset.box).hidden = text === ""
      }
    }
    const address = (query) => {
      const there = window.location.pathname + (query ? "?" + query : "")
      window.history.replaceState(window.history.state, "", there)
      const link = document.getElementById("address")
      if (link) link.href = there
    }
    export function render({ model }) {
      model.on("texts", () => write(model.texts))
      model.on("query", () => address(model.query))
      write(model.texts)
      if (model.query !== "?") address(model.query)
      const root = document.documentElement
      const follow = () => { model.dark = root.dataset.theme === "dark" }
      new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ["data-theme"] })
      model.dark = root.dataset.theme === "dark"
      model.ready = true
      return document.createElement("div")
    }
    """
