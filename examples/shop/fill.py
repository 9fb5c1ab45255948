"""Fill the shop with the example products, and index their pictures: python fill.py"""

import csv
from pathlib import Path

from models import DATABASE, Base, Product, engine
from PIL import Image
from sqlalchemy.orm import Session

import lookalike

PRODUCTS = Path(__file__).parents[1] / "products"
model = lookalike.load_model("efficientnet-lite2")

Base.metadata.drop_all(engine)
Base.metadata.create_all(engine)
with (PRODUCTS / "products.csv").open(newline="") as file, Session(engine) as session:
    rows = list(csv.DictReader(file))
    pictures = [Image.open(PRODUCTS / row["path"]).convert("RGB") for row in rows]
    for row, embedding in zip(rows, model.embed_images(pictures), strict=True):
        price, name, category = float(row["price"]), row["name"], row["category"]
        session.add(Product(name=name, category=category, price=price, embedding=embedding))
    session.commit()

with lookalike.connect(DATABASE) as db:
    if any(table.name == "shop_products" for table in db.tables()):
        db.drop_index("shop_products")  # of the table before
    db.table("shop_products", name="name")
print(f"The shop has {len(rows)} products.")
