"""The words of the scenes: colours, lights, phrases, templates.

Data alone. A phrase with {c} takes a colour's name; BARE holds the same scenes' phrases without
one.
"""

from typing import TypeAlias

Colour: TypeAlias = tuple[float, float, float]


def _split(words: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Phrases are written in one text, parted by semicolons."""
    return {key: tuple(part.strip() for part in text.split(";")) for key, text in words.items()}


COLOURS: dict[str, Colour] = {
    "white": (0.96, 0.96, 0.95),
    "grey": (0.6, 0.6, 0.62),
    "black": (0.07, 0.07, 0.08),
    "red": (0.78, 0.1, 0.1),
    "burgundy": (0.42, 0.07, 0.14),
    "pink": (0.96, 0.66, 0.75),
    "magenta": (0.86, 0.2, 0.52),
    "orange": (0.95, 0.52, 0.16),
    "peach": (0.98, 0.78, 0.65),
    "yellow": (0.98, 0.86, 0.3),
    "gold": (0.84, 0.65, 0.28),
    "beige": (0.9, 0.83, 0.72),
    "brown": (0.42, 0.27, 0.17),
    "green": (0.22, 0.58, 0.3),
    "olive": (0.45, 0.47, 0.22),
    "mint": (0.7, 0.92, 0.8),
    "teal": (0.1, 0.52, 0.52),
    "sky blue": (0.6, 0.82, 0.96),
    "blue": (0.18, 0.38, 0.8),
    "navy": (0.06, 0.11, 0.3),
    "purple": (0.46, 0.24, 0.62),
    "lavender": (0.78, 0.72, 0.93),
}

COLOUR_WORDS: dict[str, tuple[str, ...]] = _split(
    {
        "white": "white; pure white; bright white",
        "grey": "grey; gray; neutral grey",
        "black": "black; jet black; dark black",
        "red": "red; bright red; crimson",
        "burgundy": "burgundy; dark red; wine red; maroon",
        "pink": "pink; light pink; rose; blush pink",
        "magenta": "magenta; hot pink; fuchsia",
        "orange": "orange; bright orange; tangerine",
        "peach": "peach; apricot; salmon",
        "yellow": "yellow; bright yellow; lemon yellow",
        "gold": "gold; golden; mustard",
        "beige": "beige; cream; sand coloured; ivory",
        "brown": "brown; chocolate; dark brown",
        "green": "green; bright green",
        "olive": "olive; olive green; khaki",
        "mint": "mint; mint green; light green; pastel green",
        "teal": "teal; turquoise; petrol",
        "sky blue": "sky blue; light blue; pale blue; pastel blue",
        "blue": "blue; bright blue; royal blue",
        "navy": "navy; navy blue; dark blue; midnight blue",
        "purple": "purple; violet; deep purple",
        "lavender": "lavender; lilac; light purple; pale violet",
    }
)

LIGHTS: dict[str, tuple[str, ...]] = _split(
    {
        "warm": "warm light; golden light; cosy light; warm tones",
        "cool": "cool light; cold light; bluish light; cool tones",
        "dark": "dark; moody; dim light; low key; dramatic",
        "bright": "bright; airy; high key; bright light; well lit",
    }
)

PHRASES: dict[str, tuple[str, ...]] = _split(
    {
        "forest": (
            "forest; woods; green forest; trees; woodland; jungle; deep in the woods; pine "
            "trees; nature"
        ),
        "autumn_forest": (
            "autumn forest; autumn leaves; fall foliage; autumn; fall colours; forest in "
            "autumn; golden leaves"
        ),
        "meadow": (
            "meadow; grass field; park; green grass; lawn; field of grass; grassy hill; spring "
            "meadow; picnic in the park"
        ),
        "countryside": (
            "sunrise; countryside at sunrise; morning field; golden hour; sunrise over fields; "
            "farmland; countryside; early morning"
        ),
        "sky": (
            "sky; clouds; sky with clouds; in the clouds; heaven; cloudy sky; blue sky; above "
            "the clouds"
        ),
        "beach": (
            "beach; sandy beach; tropical beach; ocean shore; seaside; sand and sea; summer "
            "beach; seashore; coast; caribbean beach"
        ),
        "sunset_sea": (
            "sunset over the sea; ocean sunset; sunset beach; sunset; sea at sunset; sun going "
            "down; beach at sunset; sunset over the ocean; sundown"
        ),
        "snow": (
            "snow; winter; snowy landscape; winter forest; snowy hills; winter wonderland; ice "
            "and snow; snowfall; snowy mountains"
        ),
        "desert": "desert; sand dunes; dunes; sahara; desert sand; arabian desert; dry desert",
        "mountains": (
            "mountains; mountain view; dawn in the mountains; canyon; mountain landscape; hills "
            "at dawn; purple dawn; rocky mountains"
        ),
        "city_street": (
            "city street; city; downtown; urban street; skyscrapers; street; urban; big city by "
            "day; office towers"
        ),
        "night_city": (
            "night city; city at night; city lights; night city lights; downtown at night; neon "
            "lights; nightlife; dark bokeh lights; skyline at night; cyberpunk city"
        ),
        "waterfront": (
            "waterfront; harbour; venice; promenade by the water; seafront; pier; lagoon; quay; "
            "harbor"
        ),
        "town_square": (
            "town square; piazza; old town; european plaza; square in the evening; historic "
            "square; italian piazza; plaza"
        ),
        "living_room": (
            "living room; apartment; home interior; cosy room; home; empty room; indoor room; "
            "at home; house interior"
        ),
        "lobby": (
            "office lobby; office; lobby; reception; modern office; waiting room; office "
            "interior; workplace"
        ),
        "kitchen": (
            "kitchen; kitchen counter; kitchen table; bright kitchen; in the kitchen; cooking; "
            "kitchen worktop; breakfast table"
        ),
        "water": (
            "water; pool water; underwater; clear water; swimming pool; water surface; under "
            "water; pool; aqua"
        ),
        "christmas": (
            "christmas; christmas lights; christmas tree; holiday season; xmas; festive lights; "
            "new year; christmas decoration"
        ),
        "concrete": (
            "concrete; concrete wall; cement; grey concrete; plaster wall; industrial concrete "
            "wall; stone wall; loft wall"
        ),
        "paper": (
            "{c} studio; plain {c}; {c} gradient studio; {c}; seamless {c} paper; solid {c}; "
            "{c} wall; simple {c}; {c} colour; minimal {c}; clean {c} studio; {c} seamless "
            "paper"
        ),
        "wood_table": (
            "wooden table with {c} wall; wood table, {c} wall; rustic wooden table, {c} "
            "background; {c} wall and wooden table; wooden desk in front of a {c} wall; wooden "
            "surface, {c}; oak table with a {c} wall; wood planks and {c} wall"
        ),
        "white_marble": (
            "white marble table with {c} wall; white marble, {c} wall; white marble countertop, "
            "{c} background; {c} wall and white marble table; white marble slab before a {c} "
            "wall; marble table with {c} wall"
        ),
        "black_marble": (
            "black marble table with {c} wall; black marble, {c} wall; black marble countertop, "
            "{c} background; {c} wall and black marble table; dark marble with {c} wall; black "
            "marble slab before a {c} wall"
        ),
        "perfume": (
            "{c} perfume; luxury {c} perfume; perfume advertisement, {c}; {c} glamour lights; "
            "{c} bokeh; perfume bottle, {c} lights; elegant {c} fragrance; {c} glitter; perfume "
            "with {c} tones"
        ),
        "podium": (
            "{c} podium; {c} pedestal; round {c} podium; {c} stage; product podium, {c}; {c} "
            "display stand; {c} plinth; pedestal in {c}"
        ),
        "silk": (
            "{c} silk; {c} satin; {c} fabric; folds of {c} silk; {c} cloth; {c} velvet; draped "
            "{c} fabric; {c} textile"
        ),
        "window_light": (
            "{c} wall with window light; window shadow on a {c} wall; sunlight on a {c} wall; "
            "{c} wall with leaf shadows; sunlit {c} wall; {c} wall, window shadows; morning sun "
            "on a {c} wall"
        ),
    }
)

BARE: dict[str, tuple[str, ...]] = _split(
    {
        "paper": "studio; plain background; seamless paper; product studio; simple studio",
        "wood_table": (
            "wooden table; rustic wooden table; wood table; wooden desk; wooden surface; wood "
            "planks; oak table; wood"
        ),
        "white_marble": (
            "white marble table; white marble; marble countertop; marble table; white marble "
            "slab; marble; white marble counter"
        ),
        "black_marble": (
            "black marble table; black marble; dark marble; black marble slab; black marble counter"
        ),
        "perfume": (
            "perfume; luxury perfume; perfume advertisement; bokeh; glamour lights; fragrance; "
            "glitter; luxury; elegant perfume; cologne"
        ),
        "podium": "podium; pedestal; stage; product podium; display stand; plinth",
        "silk": "silk; satin; fabric; cloth; velvet; draped fabric",
        "window_light": (
            "window light; window shadow; leaf shadows; sunlit wall; sunlight through a window; "
            "plant shadows"
        ),
    }
)

TEMPLATES: tuple[str, ...] = _split(
    {
        "all": (
            "{}; {}; {}; {} background; {} backdrop; {} scene; a {} background; {} in the "
            "background; a product in front of {}; change background to {}; change the "
            "background to {}; product photo, {}; on a {} backdrop; in the {}; in a {}; on a "
            "{}; put it in a {}; place it in {}; with {} behind; make the background {}; "
            "replace the background with {}; set it on a {}; at the {}; photo of {}; "
            "background: {}; i want {}; please use {}; show it with {}; product shot with {}; "
            "{}, blurred; {}, soft light; beautiful {}; a nice {}; {}, high quality; {} "
            "setting; {} environment; bottle on {}; my product, {}; {} style; move it to the "
            "{}; turn the background into {}; surrounded by {} "
        )
    }
)["all"]
