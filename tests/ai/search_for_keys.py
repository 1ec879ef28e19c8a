"""Searches everything that a run of the tests of taut::ai has written for the keys that it used: output of the programs, logs,
caches, recordings, traces, errors. No eight bytes of any key may stand there, in plain or in another form.

  search_for_keys.py FOLDER     a folder of kept_run.py's
"""

import base64
import re
import sys
import tempfile
from pathlib import Path

from kept_run import LETTERS

PIECE = 8  # bytes
KEYS = len(LETTERS)
# The least that a run has to have sent, or its silence means nothing.
FEWEST_REQUESTS = 1000
NEEDED = ("ai.out", "python.out", "python.xml", "files")


def keys_of(marker):
    """As marker_key() of marker_key.h makes them: each letter so much further on."""
    return ["".join(LETTERS[(LETTERS.index(letter) + number) % KEYS] for letter in marker) for number in range(KEYS)]


def pieces(text, length=PIECE):
    return {text[i : i + length] for i in range(len(text) - length + 1)}


def needles_of(key):
    """Every piece of a key, and what it looks like encoded. Percent signs and \\u escapes are undone in the text instead."""
    found = set()
    for form in (key, key.upper(), key.encode().hex(), key.encode().hex().upper()):
        found |= {piece.encode() for piece in pieces(form, PIECE * len(form) // len(key))}
    for start in range(3):  # where the groups of three bytes may begin
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = (len(key) - start) // 3 * 3
            found |= pieces(encode(key[start : start + whole].encode()), PIECE * 4 // 3 + 1)
    found |= {piece.decode().encode(utf_16) for piece in list(found) for utf_16 in ("utf-16-le", "utf-16-be")}
    return found


def undone(data):
    """The text itself, and without percent signs, \\x and \\u escapes, and line breaks within words."""
    yield data
    decoded = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), data)
    decoded = re.sub(rb"\\u00([0-9A-Fa-f]{2})|\\x([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1] or found[2], 16)]), decoded)
    if decoded != data:
        yield decoded


def hits(data, needles):
    """The needles that stand in the data. Only words that are long enough can hold one."""
    words = set()
    for view in undone(data):
        words |= set(re.findall(rb"[\w+/=-]{%d,}" % PIECE, view))
        words |= set(re.findall(rb"(?:[\w+/=-]\0){%d,}|(?:\0[\w+/=-]){%d,}" % (PIECE, PIECE), view))
    text = b"\n".join(words)
    return {needle for needle in needles if needle in text}


def search(folder, keys):
    """The files that hold a piece of a key."""
    needles = set().union(*map(needles_of, keys))
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path == folder / "marker":
            continue
        if any(needle.decode() in str(path) for needle in needles if needle.isalnum()):
            found.append(f"the name of {path}")
        if hits(path.read_bytes(), needles):
            found.append(str(path))
    return found


def check_the_search():
    """Whatever the search says it can find, it finds; and it finds nothing in texts without a key."""
    marker = "gzhyjxkwmvntpsqrrqspntmvkwjxhyzgghjkmnpq"
    keys = keys_of(marker)
    key = keys[3]
    middle = key[11:19]
    planted = {
        "plain": key,
        "piece": f"x{middle}x",
        "json": '{"key":"' + "".join(f"\\u{ord(c):04x}" for c in key) + '"}',
        "percent": "".join(f"%{ord(c):02X}" for c in middle),
        "upper": middle.upper(),
        "hex": middle.encode().hex(),
        "utf-16": middle.encode("utf-16-le"),
        **{f"base64 after {n}": base64.b64encode(b"u" * n + key.encode()) for n in range(4)},
        "basic": base64.urlsafe_b64encode(b"user:" + key.encode()),
    }
    with tempfile.TemporaryDirectory() as name:
        for what, text in planted.items():
            folder = Path(name) / what.replace(" ", "-")
            folder.mkdir()
            (folder / "log").write_bytes(b"before " + (text if isinstance(text, bytes) else text.encode()) + b" after")
            assert search(folder, keys), f"the search does not find a key that is {what}"
            (folder / "log").write_bytes(b"Authorization: <redacted> 0123456 " + b"deadbeef-cafe" * 9)
            assert not search(folder, keys)


def main():
    check_the_search()
    folder = Path(sys.argv[1])
    missing = [name for name in NEEDED if not (folder / name).exists()]
    if missing:
        print(f"{folder}: there is no {', '.join(missing)}: the tests have not run")
        return 1
    requests = int((folder / "marked_requests").read_text())
    if requests < FEWEST_REQUESTS:
        print(f"only {requests} requests carried a key; expected {FEWEST_REQUESTS}")
        return 1
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = search(folder, keys_of((folder / "marker").read_text().strip()))
    for path in found:
        print(f"{path} holds a piece of a key")
    size = sum(path.stat().st_size for path in files)
    print(f"{requests} requests with keys; {len(files)} files of {size} bytes; {len(found)} with a piece of a key")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
