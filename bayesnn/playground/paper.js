// Paper waits for nobody: before a page is printed its pictures are laid out for the sheet, in light colours and twice
// as fine, without a word to the server; afterwards all is as it was.
(() => {
  const root = document.documentElement, undo = []
  const lay = (finish) => {
    for (const view of Bokeh.index.roots) view.compute_layout?.()
    for (const view of [...Bokeh.index.query((view) => view.model.type === "Figure" && view.is_displayed)]) {
      view.invalidate_painters()
      view.paint()
      finish?.(view.canvas_view)
    }
  }
  const finish = ({ primary, overlays }) => {
    if (root.dataset.theme === "dark") lighten(primary)
    // Chromium writes what a canvas is told, not what is on it: clearing the empty one on top clears the sheet.
    hide(overlays.canvas)
  }
  // Ink, grid and paper are grey, or paper shines through, and change places; colours, which mean something, stay.
  const lighten = ({ canvas, ctx }) => {
    const image = ctx.getImageData(0, 0, canvas.width, canvas.height), at = image.data
    for (let i = 0; i < at.length; i += 4) {
      const rgb = at.subarray(i, i + 3)
      const most = Math.max(...rgb)
      if (most < 70 || most - Math.min(...rgb) < 8) for (let k = 0; k < 3; k++) rgb[k] = 255 - rgb[k]
    }
    ctx.putImageData(image, 0, 0)
  }
  const hide = (element) => {
    const before = element.style.display
    element.style.display = "none"
    undo.push(() => { element.style.display = before })
  }
  const print = () => {
    if (undo.length) return
    document.getElementById("printed").textContent = location.href
    root.classList.add("paper")
    undo.push(() => root.classList.remove("paper"))
    // What can be pressed can't be pressed on paper.
    const pressed = ({ input_el, model }) =>
      input_el || model.type.endsWith("ReactComponent") || model.css_classes?.includes("screen")
    for (const view of [...Bokeh.index.query(pressed)]) hide(view.el)
    const ratio = Object.getOwnPropertyDescriptor(window, "devicePixelRatio")
    Object.defineProperty(window, "devicePixelRatio", { configurable: true, value: Math.max(2, devicePixelRatio) })
    undo.push(() => Object.defineProperty(window, "devicePixelRatio", ratio))
    lay(finish)
  }
  const restore = () => {
    if (!undo.length) return
    while (undo.length) undo.pop()()
    lay()
  }
  addEventListener("beforeprint", print)
  addEventListener("afterprint", restore)
  matchMedia("print").addEventListener("change", (event) => (event.matches ? print() : restore()))
})()
