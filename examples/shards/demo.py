"""Spread the example photographs over four servers, search them, and stop one of the four.

python examples/shards/demo.py
"""

import shutil
import tempfile
from pathlib import Path

from servers import Servers

import lookalike

PHOTOS = Path(__file__).parents[1] / "photos"
SHARDS = ["shard1", "shard2", "shard3", "shard4"]


def main() -> None:
    mariadbd = lookalike.PrivateServer(engine="mariadb").install()
    folder = Path(tempfile.mkdtemp(prefix="shards-"))
    servers = Servers(folder, mariadbd)
    try:
        print("==> Starting a head and four shards")
        servers.start()
        with lookalike.connect(servers.url) as db:
            show(db, servers)
    finally:
        servers.stop()
        shutil.rmtree(folder)


def show(db: lookalike.Database, servers: Servers) -> None:
    photos = db.collection("photos", shards=SHARDS)
    print(f"==> Adding the images of {PHOTOS}")
    print(f"added {photos.add(PHOTOS).added}")
    for name in SHARDS:
        _, rows = db.rows(f"SELECT COUNT(*) FROM photos PARTITION (p{SHARDS.index(name)})")
        print(f"{name} has {rows[0][0]}")
    print("==> Which of them look like cat.jpg?")
    for match in photos.search(PHOTOS / "cat.jpg", k=5):
        print(f"{match.similarity:.3f} {match.image_name}")
    print("==> Killing shard3, and asking again")
    servers.shards["shard3"].kill()
    try:
        photos.search(PHOTOS / "cat.jpg", k=5)
    except lookalike.DatabaseError as error:
        print(f"error: {error}")
    print("==> Starting shard3 again")
    servers.shards["shard3"].start()
    print(f"found {len(photos.search(PHOTOS / 'cat.jpg', k=5))}")


if __name__ == "__main__":
    main()
