"""Fifty common words, and which names of the labelled images mean them.

The words were chosen, and the names read, before any result was seen: words for common things that
ten images or more are labelled with, the drawings' names being in their authors' languages. An
entry with a slash is a folder; another is a name, or some words of one joined by underscores,
without the number that it ends in; what follows "not" is taken out again.
"""

# icons and map signs, among which no word is looked for
UNLABELLED = "computer/icons/ computer/buttons/ map_symbols/ led/ smilies/ shapes/"

LABELS = {
    "animal": (
        "animals/ fishes/ clickgame/ erase/ animal bee beetle bird bug bull butterfly camel cat "
        "chicken cow dog dolphin duck fish flies fox frog giraffe gorilla hedgehog hippopotamus "
        "horse kangaroo lizard mosquito mouse owl panda pig rabbit reptile rhinoceros shark "
        "sheep snail snake spider turkey turtle whale wolf bunny chick blackcat elefante "
        "elefantone cammello mucca mucche pecorella agnellini colombo papera anatra struzzo "
        "caterpillar not hardware/ auto/ toys/ games/ hot_dog corn_dog chicken_burger prawns "
        "mermaid troll dragon lucchetto cymru virus tatoo tante_orme star_butterfly bug_nicu"
    ),
    "bird": (
        "birds/ bird heron kingfisher penguin swans toucan gosling spoonbills harrier chicken "
        "duck owl macaw turkey pinguino colombo papera anatra struzzo gabbiano chick bluebird "
        "not roast_turkey turkey_platter chicken_burger contour_bat"
    ),
    "fish": (
        "fish/ fishes/ clickgame/ fish shark pescetto not lobster shrimp dolphin bluewhale orca "
        "amibe kallisti paesaggio"
    ),
    "insect": (
        "insects/ bugs/ bee beetle butterfly mosquito flies bug caterpillar ape_miele not auto/ "
        "slug woodlouse snail spider ragnetto ragno lumaca virus mostriciattolo bug_nicu "
        "star_butterfly"
    ),
    "dog": "dogs/ dog imagenet_00_243 imagenet_16_251 not dingo fox hot_dog corn_dog",
    "cat": "housecats/ cat kitten blackcat gatti not tigri",
    "bear": "bears/ bear panda not teddy edward teddy_bear red_panda",
    "horse": "horses/ horse cavallo not seahorse prawns mechorse",
    "tiger": "tiger tigre",
    "butterfly": "butterfly farfalla farfalle not star_butterfly",
    "penguin": "penguin pengwin tux pinguino not tractor mute play",
    "duck": "duck drake anatra papera rubberduck ducks",
    "lizard": "lizard lucertola lucertolona lucertolone ramarro chameleon chamaeleon iguana",
    "sheep": "sheep ram lamb pecora pecorella agnellini",
    "primate": "apes/ monkey macaque baboon gorilla gibbon orangutan lemur",
    "rodent": "rodents/ squirrel beaver chipmunk hamster topo not rabbit",
    "dinosaur": "dinosaurs/ dinosaur/",
    "fruit": (
        "fruit/ apple apples apricot banana coconut fruit kiwi lemon melon orange peach pear "
        "plum raspberry strawberry imagenet_04_949 citrus not led/ party/ mount gumnut juice "
        "orange_juice_box turkey_platter orange_color orange_burner slate_apple pie candied "
        "juice_glass tree_whit"
    ),
    "vegetable": "vegetables/ potato pumpkin zucca lettuce eggplant not mushroom potato_chips pie",
    "apple": "apple apples applf not juice slate_apple pie",
    "orange": (
        "orange mandarine rondelle not led/ party/ juice orange_juice_box orange_color "
        "orange_burner"
    ),
    "lemon": "lemon",
    "strawberry": "strawberry imagenet_04_949",
    "ice cream": (
        "ice_cream cone1 cone2 cone3 cone4 cone_alt cone_alt1 cone_alt2 cone_alt3 cone_alt4 "
        "glace gelato not traffic_cone"
    ),
    "bread": "bread toast croissant pretzel",
    "sandwich": "sandwich burger hamburger hot_dog tramezzino",
    "drink": (
        "beverages/ not flower_pot ice_cube icecube biberon baby_bottle wine_corks glass teapot "
        "a_teapot"
    ),
    "cup": "cup mug cuppa kubek tazza teacup not trophy_cup",
    "car": (
        "auto/ hummers/ car autos hummer chevrolet dodge skoda shelby bmw toyota blazer redcar "
        "sedan indycar not truck"
    ),
    "truck": "truck firetruck garbagetruck tow_truck dumper cement_mixer fire_engine terex",
    "airplane": "planes/ airplane aircraft plane raptor not toy_paper",
    "boat": "ship/ boat sailboat sailing trawler ship not bathyscape points tacks boating_rules",
    "vehicle": (
        "vehicles/ car truck bus airplane aircraft boat sailboat bicycle bike motorcycle "
        "tramway hummer autos fire_engine ambulans ambulanza dodge skoda bmw toyota blazer "
        "redcar plane rocket not toy_paper bus_lane bus_opposite bus_symbol bus_stop crossroads "
        "curve_ahead cycle_lane cycle_route lighthouse train_sign german_gun watch_for"
    ),
    "hammer": "hammer mallet",
    "tool": (
        "tools/ saw screwdriver shovel wrench not weapons/ toys/ multimeter spray binocolo "
        "bottle broom vacuum_cleaner vavuum_cleaner bussola calamita chiave cog engrenagem "
        "ferro gallows burner hurricane_lamp insecticide ironing_board kexi key keyring lampada "
        "lente lock mattone metal_cage pump nodding pan panel pansement ruota scart scolapasta "
        "secchio bucket smoke spaclu graubner thermometer toothbrush umbrella telescope mag "
        "magnificator magnifing_glass magnifying_glass lighter anvil"
    ),
    "weapon": "weapons/ not bullet_hole interior projectile",
    "clock": "clocks/ not sandglass",
    "computer": "computer laptop workstation desktop not keyboard spider Keyboardlayout user",
    "telephone": "telephone/ telephone phone handphone not email sauvetage lutte",
    "musical instrument": (
        "brass/ percussion/ string/ wind/ africandrum guitar cello derbouk djambf drums flute "
        "french_horn harp maracas dulcimer oboe piano saxophone trombone trumpet violin "
        "xylophone war_drum imagenet_10_541 not piano_theory"
    ),
    "guitar": "guitar",
    "hat": "hats/ hat santahat baseballcap not propeller jacob crown",
    "clothing": (
        "clothing/ clothes/ santahat hat shirt stocking mitten not button clothespin jewelry/ "
        "earring chain sunglasses shoe_print"
    ),
    "ball": (
        "ball basketball baseball volleyball soccer football 8ball tennis_ball cricketball "
        "volley beachball not hats/ bat glove helmet pitch fire_ball spider plays braille"
    ),
    "house": (
        "homes/ house cottage cityhouse pinkhome swisshome not lighthouse opera house_0 ell_house"
    ),
    "church": "church cathedral eglise ndp monastery not symbol",
    "castle": (
        "castle neuschwanstein egeskov chenonceau chambord castillo fort fortress ch_teau "
        "carcassonne"
    ),
    "balloon": "balloon balloons balloon360 pallone_aerestatico",
    "flower": "flowers/ flower daffodil rose rosa not cartoon_tree flower_pot flower_bed",
    "street sign": "roadsigns/ stop_sign street_sign not stoplight traffic_cone",
}

# as common, and none of ImageNet's classes
WITHOUT_CLASS = (
    "book",
    "tree",
    "moon",
    "map",
    "flag",
    "cake",
    "light bulb",
    "scissors",
    "windmill",
    "woman",
)
