"""The frame in which the page draws figures of Plotly: a document without access to anything.

The page fetches plotly.js and the figure, which the run's script chose, and sends both into the
frame. The frame has an origin of its own, no cookie and no network.
"""

from typing import Any, Final

from starlette.responses import Response

from stepwell_hub.api.blobs import PAGE_POLICY
from stepwell_hub.endpoints import Call, endpoint

# Plotly compiles its programs for WebGL.
_POLICY: Final = PAGE_POLICY.replace("'unsafe-inline'", "'unsafe-inline' 'unsafe-eval'", 1)
_DOCUMENT: Final = """<!doctype html>
<meta charset="utf-8">
<title>Figure</title>
<style>html, body, #figure { width: 100%; height: 100%; margin: 0; overflow: hidden }</style>
<div id="figure"></div>
<script>
"use strict";
const tell = (state, text) => parent.postMessage({ state, text }, "*");
addEventListener("message", async ({ source, data }) => {
  if (source !== parent) return;
  try {
    if (!window.Plotly) {
      const script = document.createElement("script");
      script.textContent = data.library;
      document.head.append(script);
    }
    const { data: traces, layout = {}, frames } = data.figure;
    const { width, height, ...others } = layout;
    const config = { responsive: true, displaylogo: false };
    const figure = { data: traces, layout: { ...others, autosize: true }, frames, config };
    await window.Plotly.newPlot("figure", figure);
    tell("drawn", "");
  } catch (error) {
    tell("failed", String(error));
  }
});
tell("ready", "");
</script>
"""


@endpoint("GET", "/figures/frame", media="text/html")
async def get_figure_frame(call: Call) -> Any:
    """Get the frame that draws a figure of Plotly, which the page sends into it."""
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return Response(_DOCUMENT, media_type="text/html; charset=utf-8", headers=headers)
