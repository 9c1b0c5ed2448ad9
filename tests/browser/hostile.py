"""Names that would do harm where a page takes text for HTML, for a script or for an address."""

from typing import Final

FLAG: Final = "__hostile_ran"
"""A page where this window property is set has run a name."""

_RUN = f"window.{FLAG}=1"

HTML: Final = (
    f"<script>{_RUN}</script>",
    f"<img src=x onerror={_RUN}>",
    f"<svg/onload={_RUN}>",
    f"'\"><svg onload={_RUN}>",
    f"<iframe srcdoc='<script>parent.{FLAG}=1</script>'></iframe>",
    f"<a href=javascript:{_RUN}>press</a>",
    "<style>@import 'https://foreign.example/x.css';</style>",
    "<link rel=stylesheet href=https://foreign.example/x.css>",
    "<base href=https://foreign.example/>",
    "<meta http-equiv=refresh content='0;url=https://foreign.example/'>",
    f"</title><script>{_RUN}</script>",
    f"{{{{constructor.constructor('{_RUN}')()}}}}",
    f"${{{_RUN}}}",
    f"javascript:{_RUN}",
    f"&lt;script&gt;{_RUN}&lt;/script&gt;",
)
"""Of no control characters, so that they may be a project, a run or a metric."""

TEXTS: Final = (
    *HTML,
    "\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07",
    "\x1b[31mred\x1b[0m \x1b[38;5;999mtoo far\x1b[999;999H",
    "\u202egnp.exe\u202c",
    "a\u0000b",
    "\ud83d\ude00" * 50,
    "x" * 5000,
    "__proto__",
    "constructor",
    "toString",
    "../../etc/passwd",
    "%2e%2e%2f%00",
    "?login=AAAA#fragment",
)
"""What else a tag, a value or a log line may hold."""
