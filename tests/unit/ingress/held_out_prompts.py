"""What people type, by what a demo model cannot draw of it. Data alone.

Written at the same time as `demo_prompts`, in part after what others have published, and looked at
first when the rules for warnings were done: 131 of 136 were decided rightly then.
"""

from tests.unit.ingress.demo_prompts import lines

HELD_OUT = lines(
    {
        "nothing": """\
Product on a white seamless background, soft light from above
Marble countertop in a modern kitchen, natural morning light from a window on the left
matte black surface with a hard spotlight, deep shadows, premium feel
soft muted colour palette, minimalist, elegant
velvet backdrop in emerald green
weathered oak table with blurred greenery behind
wooden board before a tropical beach
lime wash plaster wall with organic shadows
dark charcoal studio, dramatic lighting
blurred urban street, city vibe, bokeh
nature, park with sunlight
warm beige tone, natural feel
I need 3 pictures for my Etsy shop, plain light background
our new perfume on golden silk
shampoo bottle on wet stone
lipstick on a pink arch
sunglasses on sand
candle on a stone slab, cosy evening mood
jewellery on black velvet
phone case on blue paper
wine glass before a sunset sea
running shoes on grass
backpack in the mountains
a chair in an empty apartment
speaker on a walnut desk
toothbrush in a tiled bathroom
juice bottle on a beach
wallet on dark wood, side light
change the wall colour to sage green
darker please
make it look more expensive
try again with a lighter background
can we have snow instead
as before, but at night
put it further back and add a soft shadow
zoom out a bit
remove the clutter behind it
nothing but plain grey
photograph for a catalogue: neutral, evenly lit, no props
high-end cosmetics advert, cream and gold
studio backdrop in navy with a halo behind
bokeh lights, purple and blue
sunny window, curtain shadows on the wall
sandstone podium
floating above the clouds
reflections in calm water
frozen ground and snowfall
pine forest in winter
an Italian piazza in evening light
skyscrapers at night
reception of an office
granite worktop
travertine blocks with warm light
fotorealistic, backround should be whte
candel on a woden shelf
baby shampoo on a bathroom counter
cat food bag on a kitchen floor
ladies' shoes on pink paper
children's toy on a yellow podium
listing image, white, 2000x2000 px, jpg
aspect ratio 4:5, centered, plain teal
""",
        "people": """\
product held in hand against a mountain trail
woman's hands applying the cream
a barista pouring coffee
two friends laughing on a sofa
teenagers skateboarding downtown
grandmother in a kitchen
influencer taking a selfie with it
yoga instructor on a beach
a runner in the park
human figure beside the bottle for scale
male model, standing, looking at the camera
happy customers
fingers touching the screen
face of a lady with the earrings on
Add AI humans
an astronaut
""",
        "animals": """\
puppy sitting next to the bowl
a flock of seagulls over the sea
bees and honey
tiger in the jungle
dolphins jumping out of the water
an owl on a branch
""",
        "writing": """\
Sale banner with 30% off
put our brand name on the wall
add a headline at the top
caption: summer collection
logo of Adidas behind it
with the text BLACK FRIDAY
poster with typography
barcode
""",
        "unknown": """\
dried pampas grass and macrame
celestial sky with constellations and the moon
floral pattern with peonies
art deco pattern
fresh herbs beside the bowl
monstera leaves and terracotta pots
pinecones and stones
a sprig of lavender and napkins
berries and citrus fruit around the bottle
milk splash
in front of the Taj Mahal
London bridge in the rain
Tokyo street with cherry trees
medieval castle
inside a submarine
on a surfboard
Ferrari showroom
hot air balloons over hills
a picnic basket with cheese and bread
valentine hearts
fireworks
bamboo and zen stones
shop window
hotel room with a bed
a starry night
garage with tools
flower field
wedding hall
vaporwave
steampunk gears
comic book style
cave with stalactites
football stadium
aurora borealis
bookshelf and globe
ferris wheel
gift boxes with ribbons
""",
        "language": """\
Hintergrund in hellblau
une plage au coucher du soleil
mesa de madera con luz natural
fundo branco
białe tło
木のテーブル
خلفية بيضاء
белый мрамор
""",
    }
)
