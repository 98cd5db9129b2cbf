"""The page at the base path: links to all the others, for people with a browser."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keelback.monitor.facts import Facts

LINKS: Final = (
    ("/varz", "General"),
    ("/jsz", "JetStream"),
    ("/connz", "Connections"),
    ("/accountz", "Accounts"),
    ("/accstatz", "Account statistics"),
    ("/subsz", "Subscriptions"),
    ("/routez", "Routes"),
    ("/leafz", "Leaf nodes"),
    ("/gatewayz", "Gateways"),
    ("/raftz", "Raft groups"),
    ("/ipqueuesz", "Queues"),
    ("/stacksz", "Stacks"),
    ("/healthz", "Health"),
    ("/metrics", "Prometheus metrics"),
    ("/debug/vars", "Process"),
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{name}</title>
<style>body {{ font-family: sans-serif; margin: 2em }} td {{ padding: 0 2em .5em 0 }}</style>
</head>
<body>
<h1>{name}</h1>
<p>Keelback, as nats-server {version}</p>
<table>
{rows}
</table>
</body>
</html>
"""


def index(facts: Facts, base_path: str) -> bytes:
    """The page; `base_path` is "" or begins with a slash, and does not end with one."""
    rows = "\n".join(
        f'<tr><td><a href="{escape(base_path + path)}">{about}</a></td><td>{path}</td></tr>'
        for path, about in LINKS
    )
    page = _PAGE.format(name=escape(facts.server_name), version=escape(facts.version), rows=rows)
    return page.encode()
