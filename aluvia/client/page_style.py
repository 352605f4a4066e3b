"""
What the page looks like: its style sheet and its icon.

They stand in the code, since they are short and a file beside it could be left out of a package.
"""

from __future__ import annotations

from twisted.web.server import Request

from aluvia.client.admin_forms import Page, Written


class Asset(Page):
    """Something that a page refers to, and that never changes."""

    def __init__(self, text: str, content_type: str) -> None:
        super().__init__()
        self._written = Written(text.encode("utf-8"), content_type)

    def answer(self, request: Request) -> Written:
        """It, whoever asks."""
        return self._written


#: Two ways that part.
ICON = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<g fill="none" stroke-width="4" stroke-linecap="round">
<path d="M4 16h8c6 0 6-9 12-9h4" stroke="#1f7a5c"/>
<path d="M12 16c6 0 6 9 12 9h4" stroke="#8a8f98"/>
</g></svg>
"""

STYLE = """\
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --ink: #1e2225; --soft: #5f666d; --line: #e2dfd9; --card: #ffffff;
  --accent: #17664c; --good: #17664c; --bad: #a5261d; --bad-paper: #fbeceb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181a; --ink: #e4e2dd; --soft: #9da3a8; --line: #2e3235; --card: #1d2022;
    --accent: #74cfae; --good: #74cfae; --bad: #ff9b90; --bad-paper: #371d1b;
  }
}
*, *::before { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 58rem; padding: 2.5rem 1.5rem 4rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif;
}
a { color: var(--accent); text-underline-offset: 0.15em; text-decoration-thickness: 0.06em; }
a:focus-visible, button:focus-visible, input:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px;
}
code, .code {
  font-family: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace;
  font-size: 0.9em; overflow-wrap: anywhere;
}
.soft { color: var(--soft); }
.bad { color: var(--bad); }

header { margin-bottom: 2.5rem; }
.name {
  display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: space-between;
  margin: 0 0 1.75rem; color: var(--soft); font-size: 0.9rem;
}
.name strong { color: var(--ink); letter-spacing: 0.01em; }
h1 {
  margin: 0 0 0.5rem; font-size: 2.1rem; line-height: 1.2; font-weight: 600;
  letter-spacing: -0.015em;
}
h1::before {
  content: ""; display: inline-block; width: 0.5em; height: 0.5em; margin-right: 0.45em;
  border-radius: 50%; background: var(--good); vertical-align: 0.1em;
}
h1.not-ready::before { background: none; border: 0.12em solid var(--bad); }
.lede { margin: 1rem 0 0; font-size: 1.05rem; }
.notice {
  margin: 0.5rem 0; padding: 0.6rem 1rem; border-left: 3px solid var(--bad);
  background: var(--bad-paper); overflow-wrap: anywhere;
}
.try {
  margin: 0.75rem 0 0; padding: 0.7rem 1rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--card); white-space: pre-wrap;
}

h2 { margin: 3rem 0 0.75rem; font-size: 1.15rem; font-weight: 600; line-height: 1.3; }
section > p { margin: 0.5rem 0; }

dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1.25rem 2rem;
}
dl, dd { margin: 0; }
dl > :first-child { grid-column: span 2; }
dt { color: var(--soft); font-size: 0.85rem; }
dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }

form { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: end; }
label { flex: 1 1 14rem; color: var(--soft); font-size: 0.85rem; }
input, button {
  font: inherit; font-size: 1rem; padding: 0.45rem 0.75rem; border: 1px solid var(--line);
  border-radius: 6px; background: var(--card); color: var(--ink);
}
input { display: block; width: 100%; margin-top: 0.25rem; }
button { background: var(--accent); border-color: var(--accent); color: var(--paper); }
output {
  display: block; margin-top: 1rem; padding-left: 1rem; border-left: 3px solid var(--accent);
  white-space: pre-line; overflow-wrap: anywhere;
}

table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.45rem 0; text-align: left; vertical-align: baseline; }
thead th {
  color: var(--soft); font-size: 0.85rem; font-weight: 400; border-bottom: 1px solid var(--line);
}
tbody th { font-weight: 400; overflow-wrap: anywhere; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tfoot th, tfoot td { border-top: 1px solid var(--ink); font-weight: 600; }
.number { width: 6.5rem; padding-left: 0.75rem; text-align: right; white-space: nowrap; }
.by { display: block; color: var(--soft); font-size: 0.85rem; }
.gateway { color: var(--accent); }

.rules { margin: 0; padding: 0; list-style: none; columns: 10rem 3; column-gap: 2rem; }
.rules li { padding: 0.1rem 0; break-inside: avoid; }
.excludes { color: var(--soft); }

footer { margin-top: 3.5rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
footer ul { margin: 0; padding: 0; list-style: none; color: var(--soft); font-size: 0.9rem; }
footer li { display: flex; gap: 0 1rem; padding: 0.15rem 0; }
footer li > :first-child { flex: 0 0 8rem; }

@media (max-width: 34rem) {
  body { padding: 1.5rem 1rem 3rem; }
  header { margin-bottom: 2rem; }
  h1 { font-size: 1.75rem; }
  h2 { margin-top: 2.25rem; }
  dl { grid-template-columns: 1fr 1fr; gap: 1rem; }
  .number { width: 4.75rem; }
  .up { display: none; }
  .rules { column-gap: 1rem; }
}
"""
