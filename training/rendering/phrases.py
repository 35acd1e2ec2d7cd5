"""What people type when they want one of the rendered scenes. Data alone.

In COLOURED {c} is the set's colour and {s} what the table is made of; BARE are the same scenes
without a colour.
"""

from training.words import BARE as OLD_BARE
from training.words import PHRASES as OLD_COLOURED


def _split(words: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(part.strip() for part in text.split(";")) for key, text in words.items()}


COLOURED: dict[str, tuple[str, ...]] = {
    "paper": OLD_COLOURED["paper"],
    "podium": OLD_COLOURED["podium"],
    "silk": OLD_COLOURED["silk"],
    "perfume": OLD_COLOURED["perfume"],
    "window_light": OLD_COLOURED["window_light"],
    "white_marble": OLD_COLOURED["white_marble"],
    "black_marble": OLD_COLOURED["black_marble"],
    "wood_table": OLD_COLOURED["wood_table"],
    **_split(
        {
            "spotlight": (
                "{c} spotlight; spotlight on a {c} wall; {c} studio with a spotlight; {c} with a "
                "glow behind; {c} with vignette; glowing {c} wall; {c} halo; {c} dramatic "
                "spotlight"
            ),
            "blocks": (
                "{c} blocks; {c} cubes; {c} geometric podium; {c} steps; square {c} podium; "
                "geometric {c} shapes; {c} block podium; {c} geometric set; {c} platforms"
            ),
            "arch": (
                "{c} arch; {c} arches; {c} archway; arch and podium in {c}; {c} arched niche; "
                "{c} arch for cosmetics; minimal {c} arch; {c} cosmetics; {c} skincare set; {c} "
                "beauty product; {c} arch stage"
            ),
            "leaf_shadows": (
                "{c} with leaf shadows; leaf shadows on a {c} wall; palm shadow on {c}; plant "
                "shadows on a {c} wall; {c} tropical shadows; {c} wall with palm leaf shadow; "
                "tree shadow on {c}"
            ),
            "plaster": (
                "{c} plaster wall; {c} stucco; textured {c} wall; rough {c} wall; {c} plaster; "
                "{c} clay wall; {c} limewash wall"
            ),
            "drapes": (
                "{c} curtain; {c} drapes; {c} velvet curtain; stage with a {c} curtain; {c} "
                "draped curtain; {c} theatre curtain"
            ),
            "linen": (
                "{c} tablecloth; {c} linen; table with {c} linen; {c} linen cloth; {c} cotton "
                "tablecloth; {c} woven fabric table"
            ),
            "ripples": (
                "{c} water; {c} water ripples; ripples in {c} water; {c} liquid; {c} water "
                "surface; {c} water with a podium; product in {c} water"
            ),
            "stone_table": (
                "stone table with {c} wall; {s} table, {c} wall; stone slab before a {c} wall; "
                "{c} wall and stone table; stone counter, {c} background"
            ),
        }
    ),
}

BARE: dict[str, tuple[str, ...]] = {
    **OLD_BARE,
    **_split(
        {
            "spotlight": "spotlight; dramatic spotlight; spotlight on the wall; halo; vignette",
            "blocks": "blocks; cubes; geometric podium; steps; geometric shapes; platforms",
            "arch": (
                "arch; arches; archway; cosmetics; beauty product; skincare; makeup; arch and "
                "podium; cosmetic set; spa"
            ),
            "leaf_shadows": "leaf shadows; palm shadow; plant shadows; tropical shadows",
            "plaster": "plaster wall; stucco; textured wall; clay wall; limewash wall",
            "drapes": "curtain; drapes; velvet curtain; theatre curtain; stage curtain",
            "linen": "tablecloth; linen; linen table; linen tablecloth; cotton tablecloth",
            "ripples": "water ripples; ripples; liquid; rippling water; product in water",
            "stone_table": (
                "stone table; stone slab; {s} table; {s}; stone counter; stone surface; {s} slab"
            ),
            "concrete": "concrete; concrete wall; cement; concrete table; industrial concrete",
            "brick": (
                "brick wall; {w} wall; table before a {w} wall; {w}; bricks; loft with a {w} "
                "wall; {w} background"
            ),
            "black_gold": (
                "luxury black background with gold; black and gold; black and gold luxury; "
                "golden ring on black; black with gold accents; elegant black and gold; premium "
                "black gold; luxury black; dark luxury"
            ),
            "white_studio": (
                "white background; pure white; white background for amazon listing; for amazon; "
                "amazon listing; plain white; amazon white; marketplace white; ebay listing; "
                "white studio; clean white; isolated on white; etsy listing; catalogue white"
            ),
            "black_studio": (
                "black background; pure black; black studio; plain black; dark studio; isolated "
                "on black; dark background; all black"
            ),
            "kitchen": (
                "kitchen; bright kitchen; kitchen counter; {s} table in a bright kitchen; "
                "blurred kitchen; {s} counter in a kitchen; kitchen worktop; kitchen table; "
                "breakfast table; modern kitchen"
            ),
            "bathroom": (
                "bathroom; bathroom counter; {s} counter in a bathroom; bathroom sink; spa "
                "bathroom; blurred bathroom; bathroom shelf; washroom; tiled bathroom"
            ),
        }
    ),
}

SURFACES: dict[str, tuple[str, ...]] = _split(
    {
        "white_marble": "marble; white marble",
        "black_marble": "black marble; dark marble",
        "wood": "wooden; wood; oak",
        "dark_wood": "dark wood; wooden; walnut",
        "stone": "stone; natural stone",
        "concrete": "concrete; cement",
        "slate": "slate; dark slate; slate stone",
        "travertine": "travertine; beige stone",
        "granite": "granite; granite stone",
        "terrazzo": "terrazzo; speckled stone",
    }
)

SHADOWS: dict[str, tuple[str, ...]] = _split(
    {
        "window": "window light; window shadow; sunlight through a window; sun from the window",
        "leaves": "leaf shadows; plant shadow; shadow of leaves; palm leaf shadow",
        "both": "window and leaf shadows; sunlight and plant shadows; window shadow",
        "back": "backlight; lit from behind; back lit",
    }
)

TABLES: tuple[str, ...] = ("on a {s} table", "{s} table", "on {s}", "{s} surface")
"""How a table before a far view is named beside it."""
