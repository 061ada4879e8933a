"""The emoji.json of iamcal's emoji-data."""

from __future__ import annotations

import json

from ..options import blaming
from ..tree import Tree
from .table import Table, table_of

SKIN_TONES = {"1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark", "1F3FF": "dark"}


def read_emoji_table(tree: Tree, pictures: str) -> Table:
    """Categories as labels, names as captions. Files are those below `pictures`."""
    rows: list[dict[str, str]] = []
    with blaming(f"emoji.json of {tree.place} cannot be read", "download it again", Exception):
        for emoji in json.loads(tree.read("emoji.json")):
            name, category = emoji["name"].lower(), emoji["category"]
            rows.append({"file": pictures + emoji["image"], "label": category, "caption": name})
            for code, variation in emoji.get("skin_variations", {}).items():
                tones = " and ".join(SKIN_TONES[tone] for tone in code.split("-"))
                caption = f"{name}, {tones} skin tone"
                rows.append({"file": pictures + variation["image"], "label": category, "caption": caption})
    return table_of("emoji.json", rows)
