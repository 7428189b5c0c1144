"""The pages of the benchmark: templates, data, and the same pages written by hand, without the engine.

Each repetition gets sources and data of its own (`build` and `rng`), always of the same size, so that nothing
remembered from one repetition is the answer to the next.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

Data = dict[str, object]

_SOURCES = {
    "head": """<!doctype html>
<html><head><title>{{ title }} · {{ site.name }}</title>
<meta name="build" content="BUILD">
{# the style sheet is served by the front end, and its address changes with each release #}
<link rel="stylesheet" href="{{ site.assets }}/page.css?v={{ site.release }}">
</head><body class="{{ kind|default("plain") }}">
<nav>{% for entry in site.menu %}<a href="{{ entry.href }}"{% if entry.href == here %} class="here"{% endif %}>{{
 entry.label }}</a>{% if not loop.last %} | {% endif %}{% endfor %}</nav>
<h1>{{ title }}</h1>
""",
    "foot": """<footer>{{ "©"|safe }} {{ 2000 + 25 }} {{ site.name }}, {{ site.city|default("nowhere") }}.
{# BUILD #}
{% if user %}Signed in as {{ user.name }} ({{ user.role|lower }}).{% else %}Not signed in.{% endif %}

</footer></body></html>
""",
    "badge": """<b class="badge {{ product.stock|default("none") }}">{{ product.tag|upper }}</b>{# BUILD #}""",
    "catalogue": """{% include "head" %}
{# BUILD: one row for each product, in the order of the shelf #}
<table>
{% for product in products %}
{% set net = product.price * (100 - product.discount) / 100 %}
<tr class="{% if loop.index % 2 == 0 %}even{% else %}odd{% endif %}">
<td>{{ loop.index }}</td><td>{{ product.name|truncate(28) }}</td><td>{{ product.vendor|title }}</td>
<td>{{ product.category }}{{ " / " }}{{ product.shelf|upper }}</td>
<td>{% if product.discount > 0 %}<s>{{ product.price|money }}</s> {% endif %}{{ net|money }}{{ " " }}{{ currency }}</td>
<td>{% if product.tag %}{% include "badge" %}{% endif %}</td></tr>
{% else %}
<tr><td>{{ "Nothing here" }}</td></tr>
{% endfor %}
</table>
{% include "foot" %}""",
    "heatmap": """{% include "head" %}
<!-- BUILD --><table>
{% for row in rows %}
<tr><th>{{ row.label }}</th>{% for cell in row.cells %}<td{% if cell > limit %} class="hot"{% endif %}>{{ cell }}{{
 unit }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% include "foot" %}""",
    "inbox": """{% include "head" %}
<!-- BUILD -->
{% for message in messages %}
<article{% if message.unread and not message.muted %} class="unread"{% endif %}>
<h2>{{ message.subject }}</h2>
<p class="from">{{ message.sender.name }} &lt;{{ message.sender.address|lower }}&gt;{# the sender #}</p>
<p>{{ message.body|truncate(240) }}</p>
<p>{% if message.labels %}{{ message.labels|join(", ") }}{% else %}{{ "no labels" }}{% endif %}</p>
</article>
{% endfor %}
{% include "foot" %}""",
}

_WORDS = "amber & brick <cedar> delta 'ember' flint \"grove\" hazel iris juniper kelp larch maple nettle onyx".split()
_VENDORS = ["o'brien & sons", "meyer gmbh", "<anonymous>", 'north "star" ltd', "fjord works", "casa verde"]
_CATEGORIES = ["tools & parts", "toys", "books <used>", "garden"]
_TAGS = ["new", "", "sale", "", "last one", ""]


def sources(build: str) -> dict[str, str]:
    return {name: source.replace("BUILD", build) for name, source in _SOURCES.items()}


def data(rng: random.Random) -> dict[str, Data]:
    """What each page shows. Every draw has the same number of items and characters."""
    shared = _shared(rng)
    return {
        "catalogue": {**shared, "title": "Tools & more", "here": "/shop", "kind": "wide", **_catalogue(rng)},
        "heatmap": {**shared, "title": "Load <per hour>", "here": "/load", "kind": None, **_heatmap(rng)},
        "inbox": {**shared, "title": "Inbox", "here": "/mail", "kind": "", "user": None, **_inbox(rng)},
    }


def _code(rng: random.Random) -> str:
    return f"{rng.randrange(16**6):06x}"


def _sentence(rng: random.Random) -> str:
    words = _WORDS * 3
    rng.shuffle(words)
    return " ".join(words)


def _shared(rng: random.Random) -> Data:
    menu = [{"href": f"/{word}", "label": f"{word.title()} & co"} for word in ("shop", "load", "mail", "help", "about")]
    site = {"name": "Corner 'Shop'", "assets": "/static", "release": _code(rng), "menu": menu, "city": "Ghent"}
    return {"site": site, "user": {"name": f"ada <{_code(rng)}>", "role": "Editor"}, "currency": "EUR"}


def _catalogue(rng: random.Random) -> Data:
    products = [
        {
            "name": f'Part <{_code(rng)}> & "fittings", boxed' if k % 3 else f"Kit {_code(rng)}",
            "vendor": _VENDORS[k % len(_VENDORS)],
            "category": _CATEGORIES[k % len(_CATEGORIES)],
            "shelf": f"r{k % 7}",
            "price": rng.randrange(1000, 9999) + 0.25,
            "discount": (k % 4) * 10,
            "tag": _TAGS[k % len(_TAGS)],
            "stock": "low" if k % 5 else None,
        }
        for k in range(36)
    ]
    return {"products": products}


def _heatmap(rng: random.Random) -> Data:
    rows = []
    for k in range(20):
        cells = [100 + 37 * c for c in range(16)]
        rng.shuffle(cells)
        rows.append({"label": f"host-{k:02d}-{_code(rng)}", "cells": cells})
    return {"rows": rows, "limit": 400, "unit": " req/s"}


def _inbox(rng: random.Random) -> Data:
    messages = [
        {
            "subject": f'Re: {_code(rng)} & the "rest"',
            "sender": {"name": f"Bo O'{_code(rng).title()}", "address": f"Bo.{_code(rng)}@Example.ORG"},
            "body": _sentence(rng),
            "unread": k % 2 == 0,
            "muted": k % 3 == 0,
            "labels": ["work & play", "to <do>"][: k % 3],
        }
        for k in range(12)
    ]
    return {"messages": messages}


# The same pages by hand. Types are loose on purpose: this mirrors templates.


def expected(page: str, build: str, d: Mapping[str, object]) -> str:
    body = {"catalogue": _expect_catalogue, "heatmap": _expect_heatmap, "inbox": _expect_inbox}[page]
    return _expect_head(d, build) + body(d, build) + _expect_foot(d)


def _e(value) -> str:
    text = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _expect_head(d, build: str) -> str:
    site = d["site"]
    links = [
        f'<a href="{_e(entry["href"])}"{" class=" + chr(34) + "here" + chr(34) if entry["href"] == d["here"] else ""}>'
        f"{_e(entry['label'])}</a>"
        for entry in site["menu"]
    ]
    return (
        f"<!doctype html>\n<html><head><title>{_e(d['title'])} · {_e(site['name'])}</title>\n"
        f'<meta name="build" content="{build}">\n'
        f'<link rel="stylesheet" href="{_e(site["assets"])}/page.css?v={_e(site["release"])}">\n'
        f'</head><body class="{_e(d["kind"] or "plain")}">\n'
        f"<nav>{' | '.join(links)}</nav>\n<h1>{_e(d['title'])}</h1>\n"
    )


def _expect_foot(d) -> str:
    user = d["user"]
    who = f"Signed in as {_e(user['name'])} ({_e(user['role'].lower())})." if user else "Not signed in."
    return f"<footer>© 2025 {_e(d['site']['name'])}, {_e(d['site']['city'])}.\n{who}\n</footer></body></html>\n"


def _expect_catalogue(d, build: str) -> str:
    out = ["<table>\n"]
    for index, p in enumerate(d["products"], 1):
        net = p["price"] * (100 - p["discount"]) / 100
        old = f"<s>{p['price']:,.2f}</s> " if p["discount"] > 0 else ""
        badge = f'<b class="badge {p["stock"] or "none"}">{_e(p["tag"].upper())}</b>' if p["tag"] else ""
        out.append(
            f'<tr class="{"odd" if index % 2 else "even"}">\n'
            f"<td>{index}</td><td>{_e(_cut(p['name'], 28))}</td><td>{_e(p['vendor'].title())}</td>\n"
            f"<td>{_e(p['category'])} / {_e(p['shelf'].upper())}</td>\n"
            f"<td>{old}{net:,.2f} {_e(d['currency'])}</td>\n<td>{badge}</td></tr>\n"
        )
    return "".join([*out, "</table>\n"])


def _expect_heatmap(d, build: str) -> str:
    out = [f"<!-- {build} --><table>\n"]
    for row in d["rows"]:
        cells = [
            f"<td{' class=' + chr(34) + 'hot' + chr(34) if cell > d['limit'] else ''}>{cell}{_e(d['unit'])}</td>"
            for cell in row["cells"]
        ]
        out.append(f"<tr><th>{_e(row['label'])}</th>{''.join(cells)}</tr>\n")
    return "".join([*out, "</table>\n"])


def _expect_inbox(d, build: str) -> str:
    out = [f"<!-- {build} -->\n"]
    for m in d["messages"]:
        unread = ' class="unread"' if m["unread"] and not m["muted"] else ""
        labels = ", ".join(m["labels"]) if m["labels"] else "no labels"
        out.append(
            f"<article{unread}>\n<h2>{_e(m['subject'])}</h2>\n"
            f'<p class="from">{_e(m["sender"]["name"])} &lt;{_e(m["sender"]["address"].lower())}&gt;</p>\n'
            f"<p>{_e(_cut(m['body'], 240))}</p>\n<p>{_e(labels)}</p>\n</article>\n"
        )
    return "".join(out)
