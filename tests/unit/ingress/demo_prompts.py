"""What people type, by what a demo model cannot draw of it. Data alone.

The rules for warnings were made with these prompts in view; see `held_out_prompts` for others.
"""


def lines(texts: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """The prompts of each text, which are its lines."""
    return {told: tuple(text.strip().splitlines()) for told, text in texts.items()}


TUNED = lines(
    {
        "nothing": """\
Perfume backdrop
Change background to forest
white background
White background for Amazon listing
on a marble table
put my product on a wooden table
beach
tropical beach at sunset
make the background dark blue
luxury black background with gold
Snowy mountains in the background
kitchen counter, morning light
on a pink podium
pastel green background please
silk fabric, beige
christmas lights in the background
city street at night with bokeh
desert sand dunes
product photo, studio lighting, 4k, high quality
window light with leaf shadows on a beige wall
brick wall
concrete table, industrial style
bathroom shelf with marble
autumn forest, blurred, shallow depth of field
cup on a rustic wood table
leather handbag on a stone podium, soft shadow
a bottle standing in clear water with ripples
sneakers on a concrete floor
gradient purple background
minimalist beige studio, photorealistic
remove background
Replace the background with a green meadow
move the product to the left and make it sunset
make it brighter
more contrast, warmer light
same but darker
less shadow
black studio, spotlight from above
red velvet curtain
blue sky with white clouds
marbel table
wodden table
forrest background
whtie background
ligth grey backdrop
modern living room
office desk
etsy listing photo, neutral background
instagram post, pink aesthetic background
hero image for my shopify store, light gray
eCommerce catalogue shot on pure white
golden hour in the countryside
harbour at dusk
old town square in the evening
palm leaf shadow on white wall
terrazzo counter with beige wall
dark walnut table, moody light
ice and snow
park with green grass, sunny day
linen tablecloth, cozy light
luxury perfume ad with glitter
skincare set on a round podium, peach background
I want a yellow background
Could you please put the lamp in a modern living room?
teal wall with arch
geometric shapes, mint
headphones on black marble, dramatic lighting, 8k, ultra realistic
top down view on white linen
close-up, macro lens, dark background
centered composition with copy space on the right
background only, keep the product unchanged
Don't change the product
studio shot of a watch on slate
slate stone surface, low key
water surface, aqua
blurred bathroom background
snow, winter wonderland
forest without people
clean white studio, no text, no logo
beach but no people please
soft pink gradient
coffee mug on a kitchen table
baby bottle on a white podium
dog collar on a wooden table
women's handbag on beige silk
men's watch on black marble
a pair of leather boots on autumn leaves
turn the wall olive green
""",
        "people": """\
Add AI human
Add a woman holding the cup
woman smiling
a man in a suit next to the product
hands holding the bottle
model wearing the shoes
a family on the beach
kids playing in the park
a hand reaching for it
couple in love on a beach
portrait of a girl
people walking in the city street
a chef in a bright kitchen
bride in the background
add a female model
person using the product
santa claus in the snow
crowd at a concert
young asian woman in bathroom
make a humen hold it
someone holding it
lifestyle photo with a happy customer
doctor in white coat
""",
        "animals": """\
a dog beside it
cat on the sofa
horses on a meadow
birds in the sky
butterfly
elephant in the background
a golden retriever in the park
fish under water
kitten
lion in the savanna
parrots in the jungle
""",
        "writing": """\
write SALE
Nike logo
add text "50% OFF"
add my logo in the corner
price tag 19.99
neon sign that says OPEN
"Happy Birthday" lettering
put the words "new in" on the wall
watermark
add a slogan
""",
        "unknown": """\
Coca-Cola advertisement
Apple store
IKEA showroom
Starbucks cafe
Disney castle
Eiffel tower
spaceship
on Mars
on the moon
in space with stars
savanna
ballroom
inside a warehouse
a garden with flowers
surrounded by roses
Paris street
New York skyline
pyramids of Egypt
volcano
castle on a hill
swimming pool party
waterfall
rainy window
foggy forest
fire and smoke
lemon slices and mint leaves
coffee beans around the cup
balloons and confetti
birthday cake
Halloween pumpkins
race car on a track
on a boat
airplane
japanese temple
chinese new year lanterns
gym
library
restaurant table
supermarket shelf
cartoon style
anime
oil painting
add a vase with tulips
strawberries
rainbow
lightning
cherry blossoms
disco ball
chess board
dragon
robots
bedroom
""",
        "language": """\
weißer Hintergrund
fond blanc
fondo blanco
auf einem Holztisch
sur une table en bois
белый фон
白色背景
mujer con un bolso
sfondo bianco
houten tafel
""",
    }
)
