"""Checks a copy of a log with pymerkle (PyPI), and none of the relay's code: rebuilds the tree from the entries
and compares its root with the checkpoint's, and with that of a checkpoint kept before.

    checker.py COPY [KEPT]

Whose signature a checkpoint has is checker.go's part: pymerkle knows no notes.
"""
import base64
import os
import sys

from pymerkle import InmemoryTree


def head(path):
    lines = open(path, encoding="utf-8").read().split("\n")
    return int(lines[1]), base64.b64decode(lines[2])


def entries(folder, size):
    for first in range(0, size, 256):
        path, width = f"{folder}/tile/entries/{first // 256:03}", size - first
        if width < 256:
            path += f".p/{width}"
        data = open(path, "rb").read()
        while data:
            length = int.from_bytes(data[:2], "big")
            yield data[2 : 2 + length]
            data = data[2 + length :]


size, root = head(os.path.join(sys.argv[1], "checkpoint"))
tree = InmemoryTree(algorithm="sha256")
for entry in entries(sys.argv[1], size):
    tree.append_entry(entry)
if tree.get_size() != size or tree.get_state() != root:
    sys.exit(f"the {size} entries do not have the root of the checkpoint")
print(f"{size} entries have the root of the checkpoint")
if len(sys.argv) > 2:
    kept, before = head(sys.argv[2])
    if kept > size or tree.get_state(kept) != before:
        sys.exit(f"the first {kept} entries are not those that were kept")
    print(f"the first {kept} are as they were kept")
